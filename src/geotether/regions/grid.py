"""Grids of square pixels over a region, in degrees or in metres."""

import math
import re
from dataclasses import dataclass

import numpy as np
import shapely
from jaxtyping import Bool, Float64

from geotether.geodesy.coordinates import wrap_longitude
from geotether.geodesy.crs import is_wgs84, lonlat_of_xy, xy_of_lonlat
from geotether.regions.outline import EQUAL_AREA
from geotether.regions.region import Region

GEOGRAPHIC = "EPSG:4326"
MOST_PIXELS = 10_000_000_000
# Edges on multiples of the step are found in spite of rounding.
_SLACK = 1e-6
_UNITS = {"": 0.0, "deg": 0.0, "degree": 0.0, "degrees": 0.0, "°": 0.0, "m": 1.0, "km": 1000.0}


@dataclass(frozen=True)
class Grid:
    """Square pixels in rows from north to south and columns from west to east.

    Args:
        crs: "EPSG:4326" (degrees), or in metres "EPSG:6933", a UTM zone such as "EPSG:32633", or a PROJ string of a
            Lambert azimuthal equal-area projection.
        west: Western edge of the first column, in units of the CRS.
        north: Northern edge of the first row, likewise.
        step: Side of a pixel, likewise.
        rows: Number of rows.
        columns: Number of columns.
        name: Name of the region that it was laid over.

    Example:
        >>> grid = Grid("EPSG:4326", 179.0, 10.0, 0.5, rows=2, columns=4, name="box")
        >>> grid.lon(), grid.lat()
        (array([ 179.25,  179.75, -179.75, -179.25]), array([9.75, 9.25]))
    """

    crs: str
    west: float
    north: float
    step: float
    rows: int
    columns: int
    name: str = ""

    @property
    def is_geographic(self) -> bool:
        """Whether pixels are squares in degrees."""
        return is_wgs84(self.crs)

    @property
    def transform(self) -> tuple[float, float, float, float, float, float]:
        """The affine transformation a, b, c, d, e, f: x = a column + b row + c, y = d column + e row + f."""
        return self.step, 0.0, self.west, 0.0, -self.step, self.north

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Outer edges west, south, east and north, in units of the CRS; east may exceed 180 degrees."""
        return self.west, self.north - self.rows * self.step, self.west + self.columns * self.step, self.north

    def x(self) -> Float64[np.ndarray, "columns"]:
        """Return the centres of the columns in units of the CRS; degrees may exceed 180."""
        return self.west + (np.arange(self.columns) + 0.5) * self.step

    def y(self) -> Float64[np.ndarray, "rows"]:
        """Return the centres of the rows in units of the CRS, north first."""
        return self.north - (np.arange(self.rows) + 0.5) * self.step

    def lon(self) -> Float64[np.ndarray, "columns"]:
        """Return the longitudes of the columns' centres in [-180, 180), of a grid in degrees.

        Raises:
            ValueError: If the grid is projected, so that columns have no longitude.
        """
        self._check_geographic()
        return wrap_longitude(self.x())

    def lat(self) -> Float64[np.ndarray, "rows"]:
        """Return the latitudes of the rows' centres, north first, of a grid in degrees.

        Raises:
            ValueError: If the grid is projected, so that rows have no latitude.
        """
        self._check_geographic()
        return self.y()

    def _check_geographic(self) -> None:
        if not self.is_geographic:
            raise ValueError(f"A grid in {self.crs} has no longitude per column; use lonlat(rows, columns).")

    def axes(self, rows: slice, columns: slice) -> tuple[Float64[np.ndarray, " c"], Float64[np.ndarray, " r"]] | None:
        """Return the longitude of each column and the latitude of each row.

        None if they depend on both, in a UTM zone or an azimuthal projection, or if a pixel is no place.
        """
        x, y = self.x()[columns], self.y()[rows]
        if self.is_geographic:
            return wrap_longitude(x), y
        if self.crs != EQUAL_AREA:
            return None
        lon = lonlat_of_xy(np.stack([x, np.zeros_like(x)], axis=1), self.crs)[:, 0]
        lat = lonlat_of_xy(np.stack([np.zeros_like(y), y], axis=1), self.crs)[:, 1]
        return None if np.isnan(lon).any() or np.isnan(lat).any() else (wrap_longitude(lon), lat)

    def lonlat(self, rows: slice, columns: slice) -> Float64[np.ndarray, "r c 2"]:
        """Return longitude and latitude of pixel centres, WGS 84; NaN where the projection has no place."""
        xy = np.stack(np.meshgrid(self.x()[columns], self.y()[rows]), axis=-1)
        if self.is_geographic:
            xy[..., 0] = wrap_longitude(xy[..., 0])
            return xy
        lonlat = lonlat_of_xy(xy.reshape(-1, 2), self.crs)
        lonlat[:, 0] = wrap_longitude(lonlat[:, 0])
        return lonlat.reshape(xy.shape)

    def inside(self, region: Region, rows: slice, columns: slice) -> Bool[np.ndarray, "r c"]:
        """Mark the pixels whose centres are within a region."""
        lonlat = self.lonlat(rows, columns)
        return region.contains(lonlat.reshape(-1, 2)).reshape(lonlat.shape[:2])

    def tiles(self, side: int = 256) -> list[tuple[slice, slice]]:
        """Divide the grid into tiles of at most `side` rows and columns, row by row from the north-west."""
        cut = [
            [slice(start, min(start + side, count)) for start in range(0, count, side)]
            for count in (self.rows, self.columns)
        ]
        return [(rows, columns) for rows in cut[0] for columns in cut[1]]


def grid_of(region: Region, resolution: str | float) -> Grid:
    """Lay a grid over a region, with pixel edges on multiples of the pixel's side.

    Args:
        region: The region; the grid covers its bounds.
        resolution: Side of a pixel: degrees as 0.1 or "0.1"; metres as "1000m" or "1km". In metres, a region less than
            6 degrees wide gets its UTM zone, the world EPSG:6933 (equal-area, cylindrical), and any other region the
            Lambert azimuthal equal-area projection around the middle of its bounds (around the pole if it surrounds
            one).

    Raises:
        ValueError: If the resolution is not a length, or would need more than ten thousand million pixels.

    Example:
        >>> from geotether.regions.region import region_of
        >>> grid_of(region_of("-10 35 30 60"), 0.5).bounds
        (-10.0, 35.0, 30.0, 60.0)
        >>> grid_of(region_of("5 50 8 53"), "1km").crs
        'EPSG:32632'
    """
    step, in_metres = _step_of(resolution)
    crs = _projection(region) if in_metres else GEOGRAPHIC
    bounds = _projected_bounds(region, crs) if in_metres else region.bounds
    left, right = _edges(bounds[0], bounds[2], step)
    bottom, top = _edges(bounds[1], bounds[3], step)
    # Pixels whose centre is beyond the edge of the map are left out, and no column occurs twice.
    if crs == GEOGRAPHIC:
        right = min(right, left + max(1, round(360.0 / step)))
        bottom, top = _edges(bounds[1], bounds[3], step, 90.0)
    elif crs == EQUAL_AREA:
        east, north = xy_of_lonlat(np.array([[180.0, 90.0]]), crs)[0].tolist()
        left, right = _edges(bounds[0], bounds[2], step, east)
        bottom, top = _edges(bounds[1], bounds[3], step, north)
    rows, columns = top - bottom, right - left
    if rows * columns > MOST_PIXELS:
        raise ValueError(
            f"A grid of {resolution} over {region.name} has {rows:,} x {columns:,} = {rows * columns:,} pixels, more "
            f"than {MOST_PIXELS:,}; choose a coarser resolution or a smaller region."
        )
    return Grid(crs, _multiple(left, step), _multiple(top, step), step, rows, columns, region.name)


def _edges(low: float, high: float, step: float, limit: float = math.inf) -> tuple[int, int]:
    """Return the multiples of the step around an interval, of pixels whose centres are within the limit."""
    first, last = math.floor(low / step + _SLACK), math.ceil(high / step - _SLACK)
    if math.isfinite(limit):
        first = max(first, math.ceil(-limit / step - 0.5 - _SLACK))
        last = min(last, math.floor(limit / step + 0.5 + _SLACK))
    return first, max(last, first + 1)


def _multiple(count: int, step: float) -> float:
    """Return count * step without the rounding of steps such as 0.1."""
    per_unit = round(1.0 / step)
    return count / per_unit if per_unit and abs(per_unit * step - 1.0) < 1e-12 else count * step


def _step_of(resolution: str | float) -> tuple[float, bool]:
    """Return the side of a pixel, and whether it is in metres rather than degrees."""
    found = re.fullmatch(r"\s*([0-9.eE+-]+?)\s*([^\d.\s]*)\s*", str(resolution))
    unit = found.group(2).lower() if found else None
    try:
        number = float(found.group(1)) if found else math.nan
    except ValueError:
        number = math.nan
    if unit not in _UNITS or not (math.isfinite(number) and number > 0):
        raise ValueError(
            f"The resolution {str(resolution)!r} is not a length above 0; write degrees as 0.1, or metres as 1000m or "
            "1km."
        )
    metres = _UNITS[unit]
    if not metres and number > 90:
        raise ValueError(
            f"The resolution {number:g} is in degrees and must be at most 90; write metres as {number:g}m."
        )
    return number * (metres or 1.0), bool(metres)


def _projection(region: Region) -> str:
    """Choose the projection in metres of a region."""
    west, south, east, north = region.bounds
    middle = (west + east) / 2
    if east - west < 6 and south >= -80 and north <= 84:
        zone = min(60, int((wrap_longitude(middle) + 180) // 6) + 1)
        return f"EPSG:{326 if south + north >= 0 else 327}{zone:02d}"
    if east - west > 180 and not (south >= 0 and north == 90) and not (north <= 0 and south == -90):
        return EQUAL_AREA
    latitude = math.copysign(90, north + south) if east - west > 180 else round((south + north) / 2)
    longitude = 0 if east - west > 180 else round(wrap_longitude(middle))
    return f"+proj=laea +lat_0={latitude:g} +lon_0={longitude} +datum=WGS84 +units=m +no_defs"


def _projected_bounds(region: Region, crs: str) -> tuple[float, float, float, float]:
    """Return the bounds of a region in a projection, from points along its outline."""
    west, south, east, north = region.bounds
    if crs == EQUAL_AREA:  # x and y depend on longitude and latitude alone
        per_degree = xy_of_lonlat(np.array([[1.0, 0.0]]), crs)[0, 0]
        low, high = xy_of_lonlat(np.array([[0.0, south], [0.0, north]]), crs)[:, 1]
        west, east = (-180.0, 180.0) if east > 180 else (west, east)
        return west * per_degree, low, east * per_degree, high
    shape = shapely.segmentize(region.shape, max(0.01, (east - west) / 500))
    xy = xy_of_lonlat(shapely.get_coordinates(shape), crs)
    xy = xy[np.isfinite(xy).all(axis=1)]
    left, bottom = xy.min(axis=0).tolist()
    right, top = xy.max(axis=0).tolist()
    return left, bottom, right, top
