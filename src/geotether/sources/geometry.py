"""Point geometries as GeoParquet stores them: well-known binary, and the note that says which column it is."""

import json
import struct
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float64

# One point in well-known binary: byte order, type 1, x, y.
_POINT = np.dtype([("order", "u1"), ("type", "<u4"), ("x", "<f8"), ("y", "<f8")])
_TYPES = {1: "Point", 2: "LineString", 3: "Polygon", 4: "MultiPoint", 5: "MultiLineString", 6: "MultiPolygon"}
WGS84 = {("OGC", "CRS84"), ("EPSG", "4326")}


def wkb_of_lonlat(lonlat: Float64[np.ndarray, "n 2"]) -> pa.Array:
    """Write points as well-known binary.

    Args:
        lonlat: Longitude and latitude in degrees, shape (n, 2).

    Returns:
        Arrow array of n binary values of 21 bytes.

    Source:
        OGC 06-103r4, Simple Feature Access, section 8.2.

    Example:
        >>> wkb_of_lonlat(np.array([[0.0, 0.0]]))[0].as_py()[:5].hex()
        '0101000000'
    """
    points = np.empty(len(lonlat), dtype=_POINT)
    points["order"], points["type"] = 1, 1
    points["x"], points["y"] = lonlat.T
    offsets = np.arange(len(lonlat) + 1, dtype=np.int32) * _POINT.itemsize
    return pa.Array.from_buffers(pa.binary(), len(lonlat), [None, pa.py_buffer(offsets), pa.py_buffer(points)])


def geo_metadata(lonlat: Float64[np.ndarray, "n 2"], column: str = "geometry") -> dict[bytes, bytes]:
    """Describe a column of points for the file's schema.

    Args:
        lonlat: Longitude and latitude in degrees, shape (n, 2).
        column: Name of the geometry column.

    Returns:
        The `geo` entry. It names no CRS, which by the standard means OGC:CRS84: longitude, latitude, WGS 84.

    Source:
        GeoParquet 1.1.0, section Metadata.
    """
    about: dict[str, Any] = {"encoding": "WKB", "geometry_types": ["Point"]}
    if len(lonlat):
        about["bbox"] = [*lonlat.min(axis=0).tolist(), *lonlat.max(axis=0).tolist()]
    return {b"geo": json.dumps({"version": "1.1.0", "primary_column": column, "columns": {column: about}}).encode()}


def with_geometry(columns: pa.Table, lonlat: Float64[np.ndarray, "n 2"]) -> pa.Table:
    """Put a GeoParquet geometry of points in front of other columns.

    Args:
        columns: Table of n rows without a geometry.
        lonlat: Longitude and latitude in degrees, shape (n, 2).
    """
    columns = columns.add_column(0, "geometry", wkb_of_lonlat(lonlat))
    return columns.replace_schema_metadata({**(columns.schema.metadata or {}), **geo_metadata(lonlat)})


def geometry_column(schema: pa.Schema) -> str | None:
    """Name the primary geometry column of a GeoParquet schema, or None if it is no GeoParquet."""
    geo = geometry_notes(schema)
    name = geo.get("primary_column", "geometry")
    return name if geo and name in schema.names else None


def lonlat_of_geometry(table: pa.Table) -> Float64[np.ndarray, "n 2"]:
    """Read the places of a GeoParquet table.

    Args:
        table: With a geometry column and its `geo` entry. Coordinates of another CRS are converted, for
            which pyproj is needed.

    Returns:
        Longitude and latitude in degrees, WGS 84, shape (n, 2); not checked for their range yet.

    Raises:
        ValueError: If a geometry is missing or not a point (the row is named), or the CRS is unknown.
        ImportError: If the CRS differs from WGS 84 and pyproj is missing.
    """
    name = geometry_column(table.schema)
    if name is None:
        raise ValueError(f"There is no geometry column among {', '.join(table.column_names)}.")
    column = table[name].combine_chunks()
    if isinstance(column, pa.ChunkedArray):  # more than one chunk can stay where there is too much for one
        column = pa.concat_arrays(column.chunks)
    if isinstance(column.type, pa.BaseExtensionType):
        column = column.storage
    if column.null_count:
        row = column.is_null().to_numpy(zero_copy_only=False).argmax()
        raise ValueError(f"Row {row} has no geometry; leave such rows out.")
    if pa.types.is_struct(column.type):
        xy = np.stack([pc.struct_field(column, axis).to_numpy(zero_copy_only=False) for axis in "xy"], axis=1)
    else:
        xy = _xy_of_wkb(column.cast(pa.large_binary()))
    return _to_wgs84(xy.astype(np.float64), geometry_notes(table.schema)["columns"].get(name, {}))


def points_of_wkb(column: pa.ChunkedArray) -> tuple[Float64[np.ndarray, "n 2"], dict[int, str]]:
    """Read one point from each geometry, refusing single rows.

    Args:
        column: Well-known binary, or points as GeoArrow writes them. A line, a polygon or a collection gives a point
            on or inside it (the centroid may lie outside), for which shapely is needed.

    Returns:
        x and y in the column's own CRS, shape (n, 2), and row to reason where there is none.

    Raises:
        ValueError: If the column holds neither.
        ImportError: If a geometry is not a point and shapely is missing.
    """
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks)
    if isinstance(array.type, pa.BaseExtensionType):
        array = array.storage
    reasons = dict.fromkeys(np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False)).tolist(), "no geometry")
    if pa.types.is_struct(array.type) and {"x", "y"} <= {part.name for part in array.type}:
        axes = [pc.struct_field(array, axis).cast(pa.float64()) for axis in "xy"]
        return np.stack([axis.to_numpy(zero_copy_only=False) for axis in axes], axis=1), reasons
    if not (pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type)):
        raise ValueError(f"the geometry is stored as {array.type}; only well-known binary and points can be read.")
    array = array.cast(pa.large_binary())
    xy = np.full((len(array), 2), np.nan)
    plain = np.array([value is not None and len(value) == _POINT.itemsize for value in array.to_pylist()], dtype=bool)
    points = array.filter(pa.array(plain))
    bits = np.frombuffer(b"".join(points.to_pylist()), dtype=_POINT)
    simple = (bits["order"] == 1) & (bits["type"] == 1)
    rows = np.flatnonzero(plain)
    xy[rows[simple]] = np.stack([bits["x"], bits["y"]], axis=1)[simple]
    empty = rows[simple][np.isnan(xy[rows[simple]]).any(axis=1)]
    reasons |= dict.fromkeys(empty.tolist(), "empty geometry")
    others = np.setdiff1d(np.setdiff1d(np.arange(len(array)), rows[simple]), list(reasons)).astype(np.int64)
    if len(others):
        xy[others] = _points_inside([array[int(row)].as_py() for row in others], others, reasons)
    return xy, reasons


def _points_inside(values: list[bytes], rows: np.ndarray, reasons: dict[int, str]) -> np.ndarray:
    try:
        import shapely
    except ImportError:
        raise ImportError(
            "The file has lines or polygons; a point inside each is found by shapely: pip install 'geotether[geo]'."
        ) from None
    xy = np.full((len(values), 2), np.nan)
    for place, (row, shape) in enumerate(
        zip(rows.tolist(), shapely.from_wkb(values, on_invalid="ignore"), strict=True)
    ):
        if shape is None:
            reasons[row] = "geometry is no well-known binary"
            continue
        try:
            inside = shapely.point_on_surface(shape)
        except shapely.errors.GEOSException:
            reasons[row] = "invalid geometry"
            continue
        if inside.is_empty:
            reasons[row] = "empty geometry"
        else:
            xy[place] = inside.x, inside.y
    return xy


def geometry_notes(schema: pa.Schema) -> dict[str, Any]:
    """Read the `geo` entry of a schema; empty where there is none.

    Raises:
        ValueError: If it is not JSON.
    """
    try:
        return json.loads((schema.metadata or {}).get(b"geo", b"{}"))
    except ValueError as error:
        raise ValueError(f"The file's 'geo' entry is not JSON: {error}.") from error


def _xy_of_wkb(column: pa.Array) -> np.ndarray:
    lengths = pc.binary_length(column)
    if len(column) and pc.all(pc.equal(lengths, _POINT.itemsize)).as_py():
        offsets = np.frombuffer(column.buffers()[1], dtype=np.int64)[column.offset :]
        points = np.frombuffer(column.buffers()[2], dtype=_POINT, count=len(column), offset=int(offsets[0]))
        if (points["order"] == 1).all() and (points["type"] == 1).all():
            return np.stack([points["x"], points["y"]], axis=1)
    return np.array([_xy_of_one(row, value) for row, value in enumerate(column.to_pylist())]).reshape(-1, 2)


def _xy_of_one(row: int, value: bytes) -> tuple[float, float]:
    """One point in either byte order, with or without height; other geometries are named."""
    try:
        order = "<" if value[0] == 1 else ">"
        code = struct.unpack_from(f"{order}I", value, 1)[0]
        kind, start = (code & 0x0FFFFFFF) % 1000, 9 if code & 0x20000000 else 5
        if kind != 1:
            raise ValueError(
                f"Row {row} is a {_TYPES.get(kind, f'geometry of type {kind}')}, not a Point; use centroids."
            )
        x, y = struct.unpack_from(f"{order}dd", value, start)
    except (struct.error, IndexError):
        raise ValueError(f"Row {row} holds {len(value)} bytes that are no well-known binary.") from None
    return x, y


def _to_wgs84(xy: np.ndarray, about: dict[str, Any]) -> np.ndarray:
    if "crs" not in about:
        return xy
    crs = about["crs"]
    if crs is None:
        raise ValueError("The geometry column has no CRS; write the file again with OGC:CRS84 (longitude, latitude).")
    if isinstance(crs, str) and tuple(crs.upper().split(":")) in WGS84:
        return xy
    named = crs.get("id", {}) if isinstance(crs, dict) else {}
    if (named.get("authority"), str(named.get("code"))) in WGS84:
        return xy
    try:
        from pyproj import CRS, Transformer
    except ImportError:
        raise ImportError(
            f"The places are in {named or 'another CRS'}, not WGS 84; converting them needs pyproj: "
            "pip install 'geotether[geo]'."
        ) from None
    transformer = Transformer.from_crs(CRS.from_user_input(crs), "OGC:CRS84", always_xy=True)
    return np.stack(transformer.transform(xy[:, 0], xy[:, 1]), axis=1)
