"""A region of the Earth, given as a name, a box in degrees or a file of polygons."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from jaxtyping import Bool, Float

from geotether.files.polygons import POLYGON_ENDINGS
from geotether.geodesy.coordinates import wrap_longitude
from geotether.regions.named import known_names, outline_of_name
from geotether.regions.outline import area_km2, outline_of_file
from geotether.suggestions import closest

WORLD = "world"
_FORMS = "a country or continent (France, FR, FRA, Africa), 'world', or four numbers W S E N in degrees"


@dataclass(frozen=True, eq=False)
class Region:
    """A part of the Earth's surface.

    Args:
        name: What it is called in titles and metadata.
        shape: Polygon or multi-polygon of shapely in degrees, WGS 84, whose western end is in [-180, 180); a region
            across the antimeridian continues beyond 180 degrees east. None: the whole Earth.

    Example:
        >>> fiji = Region("box", shapely.box(177, -19, 182, -16))
        >>> fiji.contains(np.array([[-179.0, -17.0], [179.0, -17.0], [0.0, -17.0]]))
        array([ True,  True, False])
    """

    name: str
    shape: Any

    @cached_property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east and north in degrees, with -180 <= west < 180 and east possibly above 180."""
        if self.shape is None:
            return -180.0, -90.0, 180.0, 90.0
        west, south, east, north = self.shape.bounds
        return west, south, east, north

    @cached_property
    def area_km2(self) -> float:
        """Area on the WGS 84 ellipsoid in square kilometres."""
        return area_km2(shapely.box(*self.bounds) if self.shape is None else self.shape)

    def contains(self, lonlat: Float[np.ndarray, "n 2"]) -> Bool[np.ndarray, "n"]:
        """Mark the places within the region or on its edge.

        Args:
            lonlat: Degrees, WGS 84, shape (n, 2), any turn of longitude; rows that are NaN are outside.
        """
        lon, lat = wrap_longitude(lonlat[:, 0].astype(np.float64)), lonlat[:, 1].astype(np.float64)
        if self.shape is None:
            return np.isfinite(lon) & (np.abs(lat) <= 90)
        shapely.prepare(self.shape)
        inside = shapely.intersects_xy(self.shape, lon, lat)
        # -180 and 180 are one meridian, so a region that ends at 180 degrees contains -180 as well.
        beyond = ~inside & (lon + 360.0 <= self.bounds[2])
        inside[beyond] = shapely.intersects_xy(self.shape, lon[beyond] + 360.0, lat[beyond])
        # A pole is one place, whatever its longitude.
        inside |= (np.abs(lat) == 90) & ((lat == self.bounds[1]) | (lat == self.bounds[3]))
        return inside


def region_of(given: "str | Path | Sequence[float]", files: bool = True) -> Region:
    """Read a region from a name, a box or a polygon file.

    Args:
        given: "world"; a country or territory by its English name or ISO 3166-1 code ("France", "FR", "FRA"); a
            continent ("Africa"); a box in degrees as "W S E N", "W,S,E,N" or four numbers, with W above E for a box
            across the antimeridian; or a polygon file (.geojson, .gpkg, .shp, .fgb, .parquet) in any CRS.
        files: Whether it may be a file; False never touches the disk, for names that others give.

    Raises:
        FileNotFoundError: If it names a polygon file that does not exist.
        ValueError: If it names nothing (the message has the closest name), a box is not one, or a file has no polygons.
        ImportError: If reading the file needs an extra that is not installed.

    Example:
        >>> region_of("170 -50 -170 -30").bounds
        (170.0, -50.0, 190.0, -30.0)
        >>> region_of("Frence")
        Traceback (most recent call last):
            ...
        ValueError: There is no region 'Frence'. Did you mean 'France'? ...
    """
    if isinstance(given, Path) or (files and isinstance(given, str) and given.lower().endswith(POLYGON_ENDINGS)):
        return Region(Path(given).stem, outline_of_file(Path(given)))
    if not isinstance(given, str):
        return _box([float(number) for number in given], str(given))
    words = [word for word in re.split(r"[\s,;]+", given.strip()) if word]
    if words and all(_is_number(word) for word in words):
        return _box([float(word) for word in words], repr(given))
    if given.strip().casefold() in (WORLD, "the world", "earth", "global"):
        return Region(WORLD, None)
    found = outline_of_name(given)
    if found is None:
        if files and Path(given).is_file():
            raise ValueError(f"{given} is not a polygon file; they end in {', '.join(POLYGON_ENDINGS)}.")
        names = [
            name for name in known_names() if len(name) > 3 or len(given) <= 3
        ]  # codes are close to any short text
        file = f", or a polygon file ({', '.join(POLYGON_ENDINGS)})" if files else ""
        raise ValueError(f"There is no region {given!r}.{closest(given, names)} A region is {_FORMS}{file}.")
    return Region(*found)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _box(numbers: Sequence[float], given: str) -> Region:
    """Make a region of west, south, east and north in degrees."""
    wanted = "give W S E N in degrees, such as -10 35 30 60, with W above E for a box across the antimeridian."
    if len(numbers) != 4:
        raise ValueError(f"The region {given} has {len(numbers)} numbers instead of four: {wanted}")
    west, south, east, north = numbers
    if not (-90 <= south < north <= 90):
        raise ValueError(
            f"The region {given} has south {south:g} and north {north:g}, not -90 <= S < N <= 90: {wanted}"
        )
    if not (-180 <= west <= 360 and -180 <= east <= 360) or west == east or east - west > 360:
        raise ValueError(f"The region {given} has west {west:g} and east {east:g}, not -180 to 360 degrees: {wanted}")
    wide = (east - west) % 360.0 or 360.0
    start = float(wrap_longitude(west)) if wide < 360.0 else -180.0
    name = " ".join(f"{number:g}" for number in numbers)
    return Region(name, shapely.box(start, south, start + wide, north))
