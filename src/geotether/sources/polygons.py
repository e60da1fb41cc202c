"""The polygon of a published file that contains each place."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64, Integer

from geotether.files.geometry import geometry_notes
from geotether.files.polygons import objects_of, open_polygons, polygons_of
from geotether.geodesy.coordinates import check_lonlat, wrap_longitude
from geotether.geodesy.crs import WGS84, is_geographic, xy_of_lonlat

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Holders:
    """The polygon that each place lies in.

    Attributes:
        row: Its row in the file, shape (n,); -1 where no polygon contains it. On a shared border the first counts.
        columns: Its attributes by column name, object arrays of shape (n,), None where there is none.
        num_repaired: How many invalid polygons near places were repaired.
    """

    row: Integer[np.ndarray, " n"]
    columns: dict[str, np.ndarray]
    num_repaired: int

    @property
    def found(self) -> Bool[np.ndarray, " n"]:
        """Whether some polygon contains the place."""
        return self.row >= 0


def polygon_columns(path: str | Path, layer: str | None = None) -> list[str]:
    """Name the attribute columns of a layer of a polygon file, by default of the first; raises as `find_polygons`."""
    with open_polygons(Path(path), layer) as (rows, geometry):
        return [name for name in rows.schema.names if name != geometry]


def find_polygons(
    path: str | Path, lonlat: Float[np.ndarray, "n 2"], columns: Sequence[str] = (), layer: str | None = None
) -> Holders:
    """Find the polygon that contains each place.

    The file is streamed, 16 polygons at a time, against a search tree of the places, so memory does not grow with the
    file. Places are converted to the file's CRS (WGS 84 where it has none); polygons beyond or across 180 degrees, cut
    there or not, and places on the date line are found on both sides; invalid polygons are repaired and counted.

    Args:
        path: GeoPackage, Shapefile, GeoJSON or GeoParquet with polygons.
        lonlat: Places in degrees, WGS 84, shape (n, 2).
        columns: Attributes to return, named as in the file.
        layer: Which layer. None: the first.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read, has no such layer or column, or contains no polygons.
        ImportError: If geopandas' parts are missing.
    """
    import shapely

    path = Path(path)
    check_lonlat(lonlat)
    row = np.full(len(lonlat), -1, dtype=np.int64)
    values = {name: np.full(len(lonlat), None, dtype=object) for name in columns}
    start = repaired = polygonal = 0
    with open_polygons(path, layer) as (rows, geometry):
        known = [name for name in rows.schema.names if name != geometry]
        unknown = [name for name in columns if name not in known]
        if unknown:
            raise ValueError(f"{path} has no column {unknown[0]!r}; there are {', '.join(known) or 'none'}.")
        about = geometry_notes(rows.schema)["columns"][geometry]
        xy, owner = _places_in(about.get("crs") or WGS84, lonlat)
        tree = shapely.STRtree(shapely.points(xy))
        turn = 360.0 if is_geographic(about.get("crs") or WGS84) else 0.0
        for table in rows.tables:
            shapes = polygons_of(table[geometry], path, turn)
            # Checking the validity of a coast of a million vertices takes seconds, so only polygons near places are.
            near = np.unique(tree.query(shapes)[0])
            wrong = near[~shapely.is_valid(shapes[near])]
            shapes[wrong] = shapely.make_valid(shapes[wrong])
            repaired += len(wrong)
            polygonal += int(np.isin(shapely.get_type_id(shapes), (3, 6, 7)).sum())
            which, place = tree.query(shapes, predicate="intersects")
            order = np.argsort(which, kind="stable")
            holders, first = np.unique(owner[place[order]], return_index=True)  # the first polygon in the file counts
            new = row[holders] < 0
            place, polygon = holders[new], which[order][first[new]]
            row[place] = start + polygon
            for name in columns:
                values[name][place] = objects_of(table[name])[polygon]
            start += len(shapes)
    if not polygonal:
        raise ValueError(f"{path} contains no polygons in its {start} rows.")
    if repaired:
        _log.info("%s: %d invalid polygons were repaired.", path.name, repaired)
    return Holders(row, values, repaired)


def _places_in(crs: Any, lonlat: Float[np.ndarray, "n 2"]) -> tuple[Float64[np.ndarray, "m 2"], np.ndarray]:
    """Convert places to a CRS, some of them also a turn further east or west; and return the place of each row."""
    places = np.arange(len(lonlat))
    xy = xy_of_lonlat(lonlat, crs)
    if not is_geographic(crs):
        inside = np.isfinite(xy).all(axis=1)
        return xy[inside], places[inside]
    xy = np.stack([wrap_longitude(xy[:, 0]), xy[:, 1]], axis=1)
    turn = np.array([360.0, 0.0])
    turned = [xy, xy + turn, xy - turn]
    # Files run from -180 to 180, or as far as 360; -180 and 180 are one meridian.
    kept = [np.ones(len(xy), dtype=bool), turned[1][:, 0] <= 360.0, turned[2][:, 0] >= -200.0]
    return np.concatenate([t[k] for t, k in zip(turned, kept, strict=True)]), np.concatenate([places[k] for k in kept])
