"""Geometry columns of GeoParquet: the notes of a schema, points out of any geometry, and points to write."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float64

from geotether.files.values import is_bytes

# The rows that a geometry can be read from are described with these words where it cannot.
NO_GEOMETRY = "no geometry"


def geometry_notes(schema: pa.Schema) -> dict[str, Any]:
    """Read the `geo` entry of a schema; empty where there is none.

    Raises:
        ValueError: If it is not JSON.
    """
    try:
        return json.loads((schema.metadata or {}).get(b"geo", b"{}"))
    except ValueError as error:
        raise ValueError(f"the file's 'geo' entry is not JSON: {error}.") from error


def geometry_column(schema: pa.Schema) -> str | None:
    """Name the primary geometry column of a GeoParquet schema; None where there is none."""
    geo = geometry_notes(schema)
    name = geo.get("primary_column", "geometry")
    return name if geo and name in schema.names else None


def with_geometry_note(schema: pa.Schema, about: dict[str, Any], column: str = "geometry") -> pa.Schema:
    """Describe a geometry column in a schema, as GeoParquet does.

    Args:
        schema: With this column.
        about: Its encoding, CRS and so on; no CRS means OGC:CRS84.
        column: Its name.

    Source:
        GeoParquet 1.1.0, section Metadata.
    """
    geo = {"version": "1.1.0", "primary_column": column, "columns": {column: about}}
    return schema.with_metadata({**(schema.metadata or {}), b"geo": json.dumps(geo).encode()})


def with_geometry(columns: pa.Table, lonlat: Float64[np.ndarray, "n 2"]) -> pa.Table:
    """Put a GeoParquet geometry of points in front of other columns.

    Args:
        columns: Table of n rows without a geometry.
        lonlat: Longitude and latitude in degrees, shape (n, 2).
    """
    import shapely

    shapes = pa.array(shapely.to_wkb(shapely.points(lonlat), byte_order=1), pa.binary())
    columns = columns.add_column(0, "geometry", shapes)
    about: dict[str, Any] = {"encoding": "WKB", "geometry_types": ["Point"]}
    if len(lonlat):
        about["bbox"] = [*lonlat.min(axis=0).tolist(), *lonlat.max(axis=0).tolist()]
    return columns.replace_schema_metadata(with_geometry_note(columns.schema, about).metadata)


def points_of_geometry(column: pa.ChunkedArray) -> tuple[Float64[np.ndarray, "n 2"], dict[int, str]]:
    """Find one point of each geometry.

    Args:
        column: Well-known binary, or points as GeoArrow writes them. A line, a polygon or a collection gives a point
            on or inside it; its centroid may lie outside.

    Returns:
        x and y in the column's own CRS, shape (n, 2), NaN where there are none, and row to reason for those.

    Raises:
        ValueError: If the column contains neither.
    """
    import shapely

    parts = [chunk.storage if isinstance(chunk, pa.ExtensionArray) else chunk for chunk in column.chunks]
    column = pa.chunked_array(parts) if parts else column
    missing = np.flatnonzero(np.asarray(column.is_null().to_numpy(), dtype=bool)).tolist()
    reasons = dict.fromkeys(missing, NO_GEOMETRY)
    if pa.types.is_struct(column.type) and {"x", "y"} <= {part.name for part in column.type}:
        axes = [pc.struct_field(column, axis).cast(pa.float64()).to_numpy() for axis in "xy"]
        return np.stack(axes, axis=1), reasons
    if not is_bytes(column.type):
        raise ValueError(f"the geometry is stored as {column.type}; only well-known binary and points can be read.")
    wkb = np.empty(len(column), dtype=object)
    wkb[:] = column.to_pylist()
    shapes = shapely.from_wkb(wkb, on_invalid="ignore")
    unread = np.flatnonzero(shapely.is_missing(shapes)).tolist()
    reasons = dict.fromkeys(unread, "geometry is not well-known binary") | reasons
    extended = np.flatnonzero(shapely.get_type_id(shapes) > 0)
    for row in extended.tolist():
        try:
            shapes[row] = shapely.point_on_surface(shapes[row])
        except shapely.errors.GEOSException:
            shapes[row], reasons[row] = None, "invalid geometry"
    empty = shapely.is_empty(shapes)
    reasons |= dict.fromkeys(np.flatnonzero(empty).tolist(), "empty geometry")
    shapes[empty] = None
    return np.stack([shapely.get_x(shapes), shapely.get_y(shapes)], axis=1), reasons
