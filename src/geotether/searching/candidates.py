"""The places that are searched among: points spread evenly over the land, or the points of a file."""

import hashlib
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64

from geotether.files.points import read_points
from geotether.geodesy.distance import EARTH_RADIUS_KM
from geotether.regions import Grid, Region, region_of

LAND_PLACES = 100_000  # about 37 km apart
# Candidates of a small region are not closer: the finest context of the models is coarser.
LEAST_SPACING_KM = 5.0
SOUTH = -60.0  # without Antarctica, of which models know nothing
_CONTINENTS = ("Africa", "Antarctica", "Asia", "Europe", "North America", "Oceania", "South America")
_EARTH_KM2 = 4 * math.pi * EARTH_RADIUS_KM**2
_LAND_SHARE = 0.262  # of the sphere, without Antarctica
_AT_ONCE = 2**20
_GOLDEN_ANGLE = 180.0 * (3.0 - 5.0**0.5)


@dataclass(frozen=True, eq=False)
class Candidates:
    """Places that are searched among.

    Attributes:
        said: What they are, in words, such as "100,567 places on land, about 36.5 km apart".
        lonlat: Degrees, WGS 84, shape (n, 2), at least one.
        columns: Their columns, if they come from a file: an Arrow table of n rows.
        spacing_km: Distance between neighbours, of a grid.
        grid: The grid whose pixel centres they are, row by row, if they are those of one.
    """

    said: str
    lonlat: Float64[np.ndarray, "n 2"]
    columns: Any = None
    spacing_km: float | None = None
    grid: Grid | None = None

    def __len__(self) -> int:
        """Count the places."""
        return len(self.lonlat)

    @property
    def digest(self) -> str:
        """SHA-256 of the places."""
        return hashlib.sha256(self.lonlat.tobytes()).hexdigest()


def land_candidates(count: int = LAND_PLACES, region: Region | None = None) -> Candidates:
    """Spread places evenly over the land of a region, by equal area.

    Args:
        count: About how many, 1 or more; fewer in a region so small that they would be less than 5 km apart.
        region: The region; None for the whole Earth without Antarctica.

    Raises:
        ValueError: If `count` is below 1, or the region has no land.

    Source:
        Gonzalez (2010), Mathematical Geosciences 42:49 (the Fibonacci lattice).

    Example:
        >>> places = land_candidates(1000)
        >>> 950 < len(places) < 1050, round(places.spacing_km)
        (True, 366)
    """
    if count < 1:
        raise ValueError(f"The number of places to search among must be 1 or more, got {count}.")
    if region is None or region.shape is None:
        region, area = region_of([-180.0, SOUTH, 180.0, 90.0]) if region is None else region, _LAND_SHARE * _EARTH_KM2
    else:
        area = region.area_km2
    total = math.ceil(min(count / area, LEAST_SPACING_KM**-2) * _EARTH_KM2)
    lonlat = np.concatenate([part[region.contains(part) & on_land(part)] for part in _lattice(total, region)])
    if not len(lonlat):
        raise ValueError(f"The region {region.name} has no land to search; name a larger one.")
    spacing = math.sqrt(_EARTH_KM2 / total)
    return Candidates(f"{len(lonlat):,} places on land, about {spacing:.3g} km apart", lonlat, spacing_km=spacing)


def file_candidates(path: str | Path, region: Region | None = None) -> Candidates:
    """Read the points of a file, with their columns; only those in the region, if there is one.

    Raises:
        FileNotFoundError, ValueError, ImportError: As `read_points`; also if no point is in the region.
    """
    records = read_points(path)
    lonlat, columns = records.lonlat, records.columns
    if region is not None:
        inside = region.contains(lonlat)
        if not inside.any():
            raise ValueError(f"None of the {len(records):,} points of {path} is in the region {region.name}.")
        lonlat, columns = lonlat[inside], columns.filter(inside)
    return Candidates(f"{len(lonlat):,} points of {Path(path).name}", lonlat, columns)


def grid_candidates(grid: Grid, said: str) -> Candidates:
    """Take all pixel centres of a grid in degrees, row by row; `said` says in words what they are.

    Example:
        >>> len(grid_candidates(Grid("EPSG:4326", -180.0, 90.0, 10.0, rows=18, columns=36), "pixels"))
        648
    """
    lonlat = grid.lonlat(slice(None), slice(None)).reshape(-1, 2)
    return Candidates(said, lonlat, spacing_km=math.radians(grid.step) * EARTH_RADIUS_KM, grid=grid)


def on_land(lonlat: Float[np.ndarray, "n 2"]) -> Bool[np.ndarray, "n"]:
    """Mark the places on land (Natural Earth, 1:50 million)."""
    land = np.zeros(len(lonlat), dtype=bool)
    for continent in _continents():
        left = np.flatnonzero(~land)
        land[left] = continent.contains(lonlat[left])
    return land


@cache
def _continents() -> tuple[Region, ...]:
    return tuple(region_of(name) for name in _CONTINENTS)


def _lattice(total: int, region: Region) -> Any:
    """Yield the points of a Fibonacci lattice of `total` points in the bounding box of a region, some at once."""
    west, south, east, north = region.bounds
    first = math.floor((1 - math.sin(math.radians(north))) / 2 * total)
    last = min(math.ceil((1 - math.sin(math.radians(south))) / 2 * total), total)
    for start in range(first, max(last, first + 1), _AT_ONCE):
        number = np.arange(start, min(start + _AT_ONCE, max(last, first + 1)), dtype=np.float64)
        lat = np.degrees(np.arcsin(np.clip(1 - (2 * number + 1) / total, -1, 1)))
        lon = (number * _GOLDEN_ANGLE - west) % 360.0 + west
        inside = lon <= east
        yield np.stack([(lon[inside] + 180.0) % 360.0 - 180.0, lat[inside]], axis=1)
