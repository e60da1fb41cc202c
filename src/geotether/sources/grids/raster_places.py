"""Places at which to read a raster: from a file, or sampled uniformly by area."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from geotether.files.places import PlaceFinder, listed_columns, refuse_places
from geotether.files.rows import naming, read_rows
from geotether.geodesy.coordinates import swap_suspicion, wrap_longitude
from geotether.geodesy.dates import time_of
from geotether.sources.grids.cells import Cells, open_raster
from geotether.sources.records.row_file import observations_of
from geotether.sources.sampling import on_land, sample_places


@dataclass(frozen=True, eq=False)
class RasterPlaces:
    """Places in degrees, ids (or none), times in UTC (or None), and row to reason for rows that cannot be used."""

    lonlat: Float64[np.ndarray, "n 2"]
    id: np.ndarray
    time: np.ndarray | None = None
    reasons: dict[int, str] = field(default_factory=dict)


def given_places(path: Path, id: str | None = None, time: str | None = None) -> RasterPlaces:
    """Read places, with the columns `id` and `time` (or one date for all), from a file of points in any format of rows.

    Raises:
        ValueError: If the file is damaged or empty, or has no columns of coordinates or of these names.
    """
    columns = read_rows(path)
    with naming(path, "places"):
        date = None if time is None or time in columns.column_names else time_of(time)
        column = time if date is None else None
        for name in (id, column):
            if name is not None and name not in columns.column_names:
                raise ValueError(f"there is no column {name!r}. {listed_columns(columns.column_names)}")
        seen, reasons = observations_of(columns, 0, PlaceFinder(columns.schema), id, column, (), ())
    return RasterPlaces(seen.lonlat, seen.id, seen.time if date is None else np.full(len(seen), date), reasons)


def sampled_places(
    cells: Cells,
    rows: int,
    seed: int,
    land: Path | None = None,
    mask: Path | None = None,
    latitudes: tuple[float, float] = (-90.0, 90.0),
) -> Float64[np.ndarray, "n 2"]:
    """Draw places uniformly by area where the raster has data in any band, optionally on land or a mask.

    `land` are polygons that must contain the places, `mask` a raster whose first band must be above 0 there. The
    places, in degrees, are in the order of the raster's tiles, so that a run of places reads few tiles.

    Raises:
        ValueError: If too few are found; the message counts how many passed each condition.
    """
    limits = cells.raster.grid.bounds()
    south, north = max(limits[1], latitudes[0]), min(limits[3], latitudes[1])
    if south >= north:
        raise ValueError(
            f"{cells.raster.path} extends from latitude {limits[1]:g} to {limits[3]:g}, outside "
            f"latitudes: [{latitudes[0]:g}, {latitudes[1]:g}]."
        )
    only = None if mask is None else Cells(open_raster(mask))
    left = dict.fromkeys(["drawn", "in the raster", "on land", "on the mask", "with data"], 0)

    def look(lonlat: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        keep = cells.raster.grid.inside(*cells.raster.grid.cells(lonlat))
        left["drawn"] += len(keep)
        left["in the raster"] += int(keep.sum())
        if land is not None:
            keep[keep] = on_land(_wrapped(lonlat[keep]), land)
            left["on land"] += int(keep.sum())
        if only is not None:
            keep[keep] = only.values(lonlat[keep])[:, 0] > 0
            left["on the mask"] += int(keep.sum())
        if cells.raster.missing is not None:
            keep[keep] = ~np.isnan(cells.values(lonlat[keep])).all(axis=1)
            left["with data"] += int(keep.sum())
        return keep, {}

    try:
        lonlat, _ = sample_places(rows, seed, look, south, north, limits[0], limits[2])
    except ValueError as error:
        lost = ", ".join(f"{count} {name}" for name, count in left.items() if count or name in _asked(land, mask))
        raise ValueError(f"{cells.raster.path}: {error} Places after each condition: {lost}.") from error
    return _wrapped(lonlat)[np.argsort(cells.tiles_of(lonlat), kind="stable")]


def refuse_outside(cells: Cells, lonlat: Float64[np.ndarray, "n 2"], origin: Path) -> None:
    """Raise ValueError if no valid place of the file `origin` is inside the raster."""
    refused = refuse_places(lonlat)
    usable = lonlat[[row for row in range(len(lonlat)) if row not in refused]]
    grid = cells.raster.grid
    if not grid.inside(*grid.cells(usable)).any():
        west, south, east, north = grid.bounds()
        guess = swap_suspicion(lonlat) or ""
        raise ValueError(
            f"None of the {len(lonlat)} places of {origin} is inside {cells.raster.path}, which extends from longitude "
            f"{west:g} to {east:g} and from latitude {south:g} to {north:g}. {guess}".rstrip()
        )


def _asked(land: Path | None, mask: Path | None) -> set[str]:
    return {name for name, asked in (("on land", land), ("on the mask", mask), ("in the raster", True)) if asked}


def _wrapped(lonlat: np.ndarray) -> np.ndarray:
    return np.stack([wrap_longitude(lonlat[:, 0]), lonlat[:, 1]], axis=1)
