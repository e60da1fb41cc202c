"""Geometry columns of GeoParquet: the notes of a schema, points out of any geometry, and points to write."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float64

from geotether.files.values import is_bytes, is_text, usual

# The rows that a geometry can be read from are described with these words where it cannot.
NO_GEOMETRY = "no geometry"
_BARE_NAMES = ("geometry", "geom", "the_geom", "wkb_geometry", "wkb", "wkt")


def geometry_notes(schema: pa.Schema) -> dict[str, Any]:
    """Read the `geo` entry of a schema; empty where there is none.

    Raises:
        ValueError: If it is not JSON, or not of that form.
    """
    try:
        geo = json.loads((schema.metadata or {}).get(b"geo", b"{}"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the file's 'geo' entry is not JSON: {error}.") from error
    columns = geo.get("columns", {}) if isinstance(geo, dict) else None
    if not isinstance(columns, dict) or not all(isinstance(one, dict) for one in columns.values()):
        raise ValueError("the file's 'geo' entry is not that of GeoParquet.")
    return {**geo, "columns": columns} if geo else {}


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


def bare_geometry(schema: pa.Schema) -> str | None:
    """Name a column of well-known binary or text that no GeoParquet note describes, by its usual names."""
    return next(
        (f.name for f in schema if f.name.strip().lower() in _BARE_NAMES and (is_bytes(f.type) or is_text(f.type))),
        None,
    )


def points_of_geometry(
    column: pa.ChunkedArray, turn: float = 0.0
) -> tuple[Float64[np.ndarray, "n 2"], dict[int, str], int]:
    """Find one point of each geometry.

    Args:
        column: Well-known binary or text, or points as GeoArrow writes them. A line, a polygon or a collection gives a
            point on or inside it; its centroid may lie outside.
        turn: A full turn of longitude in units of x, 0 where x is not a longitude. An edge longer than half a turn is
            taken to cross 180 degrees, as a file means it that does not cut its geometries there.

    Returns:
        x and y in the column's own CRS, shape (n, 2), NaN where there are none; row to reason for those; and how many
        points stand for several that are far apart.

    Raises:
        ValueError: If the column contains neither.
    """
    import shapely

    parts = [chunk.storage if isinstance(chunk, pa.ExtensionArray) else chunk for chunk in column.chunks]
    column = usual(pa.chunked_array(parts) if parts else column)
    missing = np.flatnonzero(np.asarray(column.is_null().to_numpy(), dtype=bool)).tolist()
    reasons = dict.fromkeys(missing, NO_GEOMETRY)
    if pa.types.is_struct(column.type) and {"x", "y"} <= {part.name for part in column.type}:
        axes = [pc.struct_field(column, axis).cast(pa.float64()).to_numpy() for axis in "xy"]
        return np.stack(axes, axis=1), reasons, 0
    if not (is_bytes(column.type) or is_text(column.type)):
        raise ValueError(f"the geometry is stored as {column.type}; only well-known binary and points can be read.")
    known = np.empty(len(column), dtype=object)
    known[:] = column.to_pylist()
    read, form = (shapely.from_wkt, "text") if is_text(column.type) else (shapely.from_wkb, "binary")
    shapes = read(known, on_invalid="ignore")
    unread = np.flatnonzero(shapely.is_missing(shapes)).tolist()
    reasons = dict.fromkeys(unread, f"geometry is not well-known {form}") | reasons
    extended = np.flatnonzero(shapely.get_type_id(shapes) > 0)
    apart = 0
    for row in extended.tolist():
        try:
            shape = unwrapped(shapes[row], turn)
            west, south, east, north = shape.bounds
            apart += shape.geom_type == "MultiPoint" and max(east - west, north - south) > (turn / 36_000 or 1000.0)
            shapes[row] = shapely.point_on_surface(shape)
        except AroundPoleError as error:
            shapes[row] = shapely.Point(0.0, error.args[0])
        except (shapely.errors.GEOSException, ValueError):
            shapes[row], reasons[row] = None, "invalid geometry"
    empty = shapely.is_empty(shapes)
    reasons |= dict.fromkeys(np.flatnonzero(empty).tolist(), "empty geometry")
    shapes[empty] = None
    xy = np.stack([shapely.get_x(shapes), shapely.get_y(shapes)], axis=1)
    beyond = np.abs(xy[extended, 0]) > turn  # unwrapped westward or eastward
    if turn and beyond.any():
        xy[extended[beyond], 0] = np.mod(xy[extended[beyond], 0] + turn / 2, turn) - turn / 2
    return xy, reasons, apart


class AroundPoleError(Exception):
    """A ring that winds around a pole, whose latitude is the argument."""


def unwrapped(shape: Any, turn: float) -> Any:
    """Undo jumps of more than half a turn within each ring or line, and move holes into their polygon."""
    import shapely

    if not turn or shape.is_empty or not turn / 2 < shape.bounds[2] - shape.bounds[0] < turn:
        return shape

    def smooth(ring: Any) -> np.ndarray:
        points = shapely.get_coordinates(ring)
        jumps = np.abs(np.diff(points[:, 0]))
        if ((jumps > turn / 2) & (jumps < turn)).any():
            points[:, 0] = np.unwrap(points[:, 0], period=turn)
            if ring.is_closed and abs(points[0, 0] - points[-1, 0]) > turn / 2:
                raise AroundPoleError(np.copysign(90.0 if turn == 360.0 else np.nan, points[:, 1].mean()))
        return points

    def mended(part: Any) -> Any:
        if part.geom_type == "LineString":
            return shapely.LineString(smooth(part))
        if part.geom_type != "Polygon":
            return part
        shell, holes = smooth(part.exterior), [smooth(hole) for hole in part.interiors]
        for hole in holes:
            hole[:, 0] += turn * np.round((shell[:, 0].mean() - hole[:, 0].mean()) / turn)
        return shapely.Polygon(shell, holes)

    parts = [mended(part) for part in shapely.get_parts(shape)]
    return parts[0] if len(parts) == 1 else type(shape)(parts)
