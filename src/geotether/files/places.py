"""Where the rows of a table lie: from columns or a geometry, in any CRS, rejecting rows or refusing the file."""

from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float64

from geotether.files.geometry import geometry_column, geometry_notes, points_of_geometry
from geotether.files.values import numbers_of
from geotether.geodesy.coordinates import check_lonlat
from geotether.geodesy.crs import WGS84, check_crs, crs_name, lonlat_of_xy

# Names of degrees come before x and y, which may be metres.
LON_NAMES = ("lon", "longitude", "lng", "long", "x")
LAT_NAMES = ("lat", "latitude", "y")
NO_PLACE = "longitude or latitude missing"
BEYOND_LATITUDE = "latitude outside [-90, 90]"
SWAPPED = f"{BEYOND_LATITUDE}, possible as a longitude"  # and the longitude as a latitude; many may be a swap


class PlaceFinder:
    """Finds the place of every row of a file's tables.

    Args:
        schema: Of these tables.
        lon: Column of longitudes, or of x in `crs`. None: the geometry, or a column with one of the known names.
        lat: Column of latitudes, or of y; named together with `lon` or not at all.
        crs: CRS of the coordinates, such as "EPSG:28992". None: what the file states, or degrees in WGS 84.

    Attributes:
        columns: The columns that state the place, which are not features.

    Raises:
        ValueError: If the columns are missing (those found are listed) or ambiguous, or the CRS is unknown or stated
            twice.
    """

    def __init__(self, schema: pa.Schema, lon: str | None = None, lat: str | None = None, crs: str | None = None):
        if (lon is None) != (lat is None):
            raise ValueError(f"lon and lat are named together; got lon={lon!r} and lat={lat!r}.")
        self.geometry = geometry_column(schema) if lon is None else None
        # A geometry beside named columns states the place as well.
        self.columns: tuple[str, ...] = tuple(name for name in [geometry_column(schema)] if name)
        if self.geometry is not None:
            about = geometry_notes(schema)["columns"].get(self.geometry, {})
            stated = about.get("crs", WGS84)
            if crs is not None and stated is not None and "crs" in about:
                raise ValueError(f"the file states its own CRS ({crs_name(stated)}); leave crs={crs!r} out.")
            if crs is None and stated is None:
                raise ValueError("the geometry has no CRS; state it with crs=, such as crs='EPSG:4326' for degrees.")
            self.crs: Any = crs or stated
        else:
            self.lon, self.lat = _axes(schema, {"lon": lon, "lat": lat})
            self.columns = (*self.columns, self.lon, self.lat)
            self.crs = crs or WGS84
        check_crs(self.crs)  # an unknown CRS is an error here, not at the first row

    def find(self, table: pa.Table) -> tuple[Float64[np.ndarray, "n 2"], dict[int, str]]:
        """Find the places of some rows; the policy of a job, which rejects single rows.

        Args:
            table: With the schema of this object.

        Returns:
            Longitude and latitude in degrees, shape (n, 2), and row to reason where they are not valid.
        """
        if self.geometry is not None:
            xy, reasons = points_of_geometry(table[self.geometry])
        else:
            axes = [(name, *numbers_of(table[name])) for name in (self.lon, self.lat)]
            reasons = {row: f"{name} is not a number" for name, _, odd in reversed(axes) for row in odd}
            xy = np.stack([values for _, values, _ in axes], axis=1)
        lonlat = lonlat_of_xy(xy, self.crs)
        lost = np.flatnonzero(np.isfinite(xy).all(axis=1) & ~np.isfinite(lonlat).all(axis=1)).tolist()
        outside = dict.fromkeys(lost, f"coordinates outside the range of {crs_name(self.crs)}")
        return lonlat, refuse_places(lonlat) | outside | reasons

    def require(self, table: pa.Table) -> Float64[np.ndarray, "n 2"]:
        """Find the places of all rows; the policy of a call, which refuses a table with any row without a valid place.

        Args:
            table: With the schema of this object.

        Raises:
            ValueError: If a row has no valid place; the first is named with the reason.
        """
        lonlat, reasons = self.find(table)
        if reasons:
            row = min(reasons)
            if row in refuse_places(lonlat) and reasons[row] == refuse_places(lonlat)[row]:
                check_lonlat(lonlat)  # its message counts the rows and detects swapped columns
            raise ValueError(
                f"{len(reasons)} of {len(lonlat)} rows have no valid place; row {row}{self._said(table, row)}: "
                f"{reasons[row]}. Correct these rows or leave them out."
            )
        return lonlat

    def _said(self, table: pa.Table, row: int) -> str:
        if self.geometry is not None:
            return ""
        cells = [repr(table[name][row].as_py()) for name in (self.lon, self.lat)]
        return f" has {self.lon} = {cells[0]} and {self.lat} = {cells[1]}"


def refuse_places(lonlat: Float64[np.ndarray, "n 2"]) -> dict[int, str]:
    """Say which places cannot be (longitude, latitude) in degrees.

    Args:
        lonlat: Shape (n, 2), any values.

    Returns:
        Row to reason.

    Example:
        >>> refuse_places(np.array([[5.66, 51.97], [51.97, 95.66], [5.66, 519.7], [np.nan, 0.0]]))
        {1: 'latitude outside [-90, 90], possible as a longitude', 2: 'latitude outside [-90, 90]', \
3: 'longitude or latitude missing'}
    """
    lon, lat = lonlat[:, 0], lonlat[:, 1]
    reasons = {}
    missing = ~np.isfinite(lonlat).all(axis=1)
    with np.errstate(invalid="ignore"):
        beyond_lat, beyond_lon = np.abs(lat) > 90, (lon < -180) | (lon > 360)
    for row in np.flatnonzero(missing | beyond_lat | beyond_lon).tolist():
        if missing[row]:
            reasons[row] = NO_PLACE
        elif beyond_lat[row]:
            reasons[row] = SWAPPED if abs(lon[row]) <= 90 and abs(lat[row]) <= 180 else BEYOND_LATITUDE
        else:
            reasons[row] = "longitude outside [-180, 360]"
    return reasons


def find_name(names: list[str], known: tuple[str, ...]) -> str | None:
    """Find the first of the known names among columns, in any case.

    Raises:
        ValueError: If two columns differ from it by case only.
    """
    for wanted in known:
        hits = [name for name in names if name.strip().lower() == wanted]
        if len(hits) > 1:
            raise ValueError(f"two columns could be {wanted!r}: {', '.join(map(repr, hits))}; rename one.")
        if hits:
            return hits[0]
    return None


def listed_columns(names: list[str], most: int = 40) -> str:
    """List the columns of a file for a message.

    Example:
        >>> listed_columns(["a", "b", "c"], most=2)
        "Columns found: 'a', 'b' and 1 more."
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"Columns found: {', '.join(map(repr, names[:most])) or 'none'}{more}."


def _axes(schema: pa.Schema, given: dict[str, str | None]) -> list[str]:
    """Name the columns of the two coordinates."""
    names = list(schema.names)
    found: dict[str, str | None] = {}
    for axis, known in (("lon", LON_NAMES), ("lat", LAT_NAMES)):
        if (wanted := given[axis]) is not None:
            if wanted not in names:
                raise ValueError(f"there is no column {wanted!r} for {axis}. {listed_columns(names)}")
            found[axis] = wanted
            continue
        both = [name for name in names if name.strip().lower() in known and name.strip().lower() not in ("x", "y")]
        if len(both) > 1:
            said = " and ".join(map(repr, both))
            raise ValueError(f"the columns {said} could both be {axis}; name one with lon= and lat=.")
        found[axis] = find_name(names, known)
    missing = [axis for axis, name in found.items() if name is None]
    if missing:
        raise ValueError(
            f"there is no column for {' and '.join(missing)}; name the columns of coordinates with lon= and lat= (for "
            "metres also crs=), on the command line with --set lon=COLUMN --set lat=COLUMN (of `geotether encode` "
            f"--lon and --lat). {listed_columns(names)}"
        )
    for axis, name in found.items():
        kind = schema.field(name).type
        if pa.types.is_nested(kind) or pa.types.is_boolean(kind) or pa.types.is_temporal(kind):
            raise ValueError(f"column {name!r} for {axis} contains {kind}, not numbers.")
    return [str(name) for name in found.values()]


def lonlat_of_columns(
    columns: pa.Table, lon: str | None = None, lat: str | None = None, crs: str | None = None
) -> Float64[np.ndarray, "n 2"]:
    """Find the places of a whole table, as `PlaceFinder` does; a row without a valid place is an error."""
    return PlaceFinder(columns.schema, lon, lat, crs).require(columns)
