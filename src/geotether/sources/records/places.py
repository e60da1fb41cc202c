"""Where the rows of a table lie: from columns or a geometry, in any CRS, refusing rows rather than files."""

import functools
import json
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float64

from geotether.sources.geometry import geometry_column, geometry_notes, points_of_wkb
from geotether.sources.points import LAT_NAMES, LON_NAMES, find_name
from geotether.sources.records.cell_values import without_dictionary
from geotether.sources.source import refuse_places


class PlaceFinder:
    """Finds the place of every row of the tables of one file.

    Args:
        schema: Of these tables.
        lon: Column of longitudes, or of x in `crs`. None: the geometry, or a column with one of the known names.
        lat: Column of latitudes, or of y; named together with `lon` or not at all.
        crs: What the coordinates are in, such as "EPSG:28992". None: what the file says, or degrees in WGS 84.
        file_crs: What the file says of its geometry, where that is known from elsewhere than the schema.

    Attributes:
        columns: The columns that hold the place; no features.

    Raises:
        ValueError: If the columns are missing (those there are listed), the CRS is unknown or told twice.
        ImportError: If coordinates have to be converted and pyproj is missing.
    """

    def __init__(self, schema: pa.Schema, lon: str | None = None, lat: str | None = None, crs: str | None = None):
        if (lon is None) != (lat is None):
            raise ValueError(f"lon and lat are named together; got lon={lon!r} and lat={lat!r}.")
        self.geometry = geometry_column(schema) if lon is None else None
        # A geometry beside named columns states the place all the same.
        self.columns: tuple[str, ...] = tuple(name for name in [geometry_column(schema)] if name)
        if self.geometry is not None:
            about = geometry_notes(schema)["columns"].get(self.geometry, {})
            stated = about.get("crs", "OGC:CRS84")
            if crs is not None and stated is not None and "crs" in about:
                raise ValueError(f"the file states its own CRS ({_crs_name(stated)}); leave crs={crs!r} out.")
            if crs is None and stated is None:
                raise ValueError(
                    "the geometry has no CRS; say which one with crs=, such as crs='EPSG:4326' for degrees."
                )
            self.crs = _as_text(crs or stated)
        else:
            self.lon, self.lat = _axes(schema, lon, lat)
            self.columns = (*self.columns, self.lon, self.lat)
            self.crs = _as_text(crs or "OGC:CRS84")
        if not _is_wgs84(self.crs):
            _transformer(self.crs)  # an unknown CRS is an error here, not at the first row

    def find(self, table: pa.Table) -> tuple[Float64[np.ndarray, "n 2"], dict[int, str]]:
        """Find the places of some rows.

        Args:
            table: Of the schema given at first.

        Returns:
            Longitude and latitude in degrees, shape (n, 2), and row to reason where they are not valid.
        """
        reasons: dict[int, str] = {}
        if self.geometry is not None:
            xy, reasons = points_of_wkb(table[self.geometry])
        else:
            xy = np.stack([_numbers(table[name], name, reasons) for name in (self.lon, self.lat)], axis=1)
        finite = np.isfinite(xy).all(axis=1)
        if not _is_wgs84(self.crs):
            converted = np.full(xy.shape, np.nan)
            converted[finite] = _converted(xy[finite], self.crs)
            lost = np.flatnonzero(finite & ~np.isfinite(converted).all(axis=1))
            reasons |= dict.fromkeys(lost.tolist(), f"coordinates outside the range of {_crs_name(self.crs)}")
            xy = converted
        return xy, refuse_places(xy) | reasons


def _axes(schema: pa.Schema, lon: str | None, lat: str | None) -> tuple[str, str]:
    names = list(schema.names)
    found = ", ".join(map(repr, names[:30])) + (f" and {len(names) - 30} more" if len(names) > 30 else "")
    axes = []
    for axis, given, known in (("lon", lon, LON_NAMES), ("lat", lat, LAT_NAMES)):
        if given is not None and given not in names:
            raise ValueError(f"there is no column {given!r} for {axis}. Columns found: {found or 'none'}.")
        name = given or find_name(names, known)
        if name is None:
            raise ValueError(
                f"there is no column for {axis}; name the columns of coordinates with lon= and lat= "
                f"(for metres also crs=), on the command "
                f"line with --set lon=COLUMN --set lat=COLUMN. Columns found: {found or 'none'}."
            )
        kind = schema.field(name).type
        if pa.types.is_nested(kind) or pa.types.is_boolean(kind) or pa.types.is_temporal(kind):
            raise ValueError(f"column {name!r} for {axis} holds {kind}, not numbers.")
        axes.append(name)
    return axes[0], axes[1]


def _numbers(column: pa.ChunkedArray, name: str, reasons: dict[int, str]) -> np.ndarray:
    """One coordinate of each row, NaN where it is none."""
    try:
        return np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)
    except pa.ArrowException:
        pass
    values = np.full(len(column), np.nan)
    for row, value in enumerate(without_dictionary(column).to_pylist()):
        try:
            values[row] = float(value) if value is not None and str(value).strip() else np.nan
        except ValueError:
            reasons[row] = f"{name} is not a number"
    return values


def _as_text(crs: Any) -> str:
    return crs if isinstance(crs, str) else json.dumps(crs)


def _crs_name(crs: Any) -> str:
    about = json.loads(crs) if isinstance(crs, str) and crs.startswith("{") else crs
    if isinstance(about, dict):
        named = about.get("id", {})
        return (
            f"{named['authority']}:{named['code']}" if "code" in named else str(about.get("name", "a CRS of its own"))
        )
    return str(about) if len(str(about)) < 40 else f"{str(about)[:40]}..."


@functools.cache
def _is_wgs84(crs: str) -> bool:
    name = _crs_name(crs).upper()
    return name.endswith(("CRS84", "CRS:84")) or (name.startswith("EPSG") and name.endswith(":4326"))


def _converted(xy: np.ndarray, crs: str) -> np.ndarray:
    """Longitudes and latitudes, NaN for what lies outside the range of a CRS.

    Some projections give far too large metres a place all the same; on the way back they give other metres. Signs may
    differ on the way back, since both ends of a map are the same meridian.
    """
    transformer = _transformer(crs)
    lonlat = np.stack(transformer.transform(*xy.T), axis=1)
    back = np.stack(transformer.transform(*lonlat.T, direction="INVERSE"), axis=1)
    with np.errstate(invalid="ignore"):
        lost = ~(np.abs(np.abs(back) - np.abs(xy)) <= 1e-6 * np.abs(xy) + 1).all(axis=1)
    lonlat[lost] = np.nan
    return lonlat


@functools.lru_cache(maxsize=8)
def _transformer(crs: str) -> Any:
    try:
        from pyproj import CRS, Transformer
        from pyproj.exceptions import CRSError
    except ImportError:
        raise ImportError(
            f"The places are in {_crs_name(crs)}, not WGS 84; converting them needs pyproj: "
            "pip install 'geotether[geo]'."
        ) from None
    try:
        return Transformer.from_crs(CRS.from_user_input(crs), "OGC:CRS84", always_xy=True)
    except CRSError:
        raise ValueError(f"there is no CRS {_crs_name(crs)!r}; name one as in crs='EPSG:28992'.") from None
