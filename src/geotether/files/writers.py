"""The file formats that points are written to, in chunks of any number.

A column is written unchanged or refused by its name; only NaN and infinity become null in GeoJSON, which has neither.
"""

import contextlib
import decimal
import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float64

from geotether.files.disk import replacing_file
from geotether.files.formats import format_of
from geotether.files.geometry import geometry_column, geometry_notes
from geotether.files.json_records import JSON_TEXT
from geotether.files.values import is_bytes, is_list, is_text, without_dictionary
from geotether.geodesy.crs import WGS84, is_wgs84, lonlat_of_xy

Chunks = Iterable[tuple[pa.Table, Float64[np.ndarray, "n 2"]]]
_DRIVERS = {".gpkg": "GPKG", ".fgb": "FlatGeobuf"}
_GROUP_BYTES = 2**25  # of a row group of Parquet, in memory
_TEXT_ROWS = 4096  # made texts of at once
_SPECIAL = r'[",;\t\r\n|]'  # what a cell with one of these needs quotes for


def list_column(values: np.ndarray) -> pa.Array:
    """Turn the rows of an array into fixed-size lists.

    Args:
        values: Numbers, shape (n, d).

    Returns:
        Arrow array of n lists of d values, without a copy where the array is contiguous.

    Example:
        >>> str(list_column(np.zeros((3, 2), dtype=np.float32)).type)
        'fixed_size_list<item: float>[2]'
    """
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(values).reshape(-1)), values.shape[1])


def write_parquet(columns: pa.Table, path: str | Path) -> None:
    """Write Parquet, compressed, with a checksum for every page."""
    write_points(path, columns.schema, [(columns, np.empty((0, 2)))])


def write_points(path: str | Path, schema: pa.Schema, chunks: Chunks) -> None:
    """Write points in chunks; the file is replaced only once all are written.

    A geometry stays a geometry; in a CSV it becomes the columns `lon` and `lat`. Points without one get it in GeoJSON,
    GeoPackage and FlatGeobuf.

    Args:
        path: Its ending decides the format; see `refuse_columns`.
        schema: Of all tables.
        chunks: Tables, and the longitude and latitude of their rows, shape (n, 2).

    Raises:
        ValueError: If a column cannot be written unchanged; it is named.
        OSError: If the disk is full or the folder cannot be written to; an existing file is unchanged.
    """
    refuse_columns(schema, path)
    found = format_of(path, "rows")
    write = {"parquet": _write_parquet, "geojson": _write_geojson, "layer": _write_layer}.get(
        found.name if found else "", _write_csv
    )
    with replacing_file(path) as part:
        write(part, schema, chunks, Path(path).suffix.lower())


def refuse_columns(schema: pa.Schema, path: str | Path) -> None:
    """Raise ValueError, naming the column, if the format of `path` cannot hold the type of a column."""
    found, geometry = format_of(path, "rows"), geometry_column(schema)
    if found is None or found.name == "parquet":
        return
    if found.name == "layer":  # GDAL mixes up the values of such columns
        seen: dict[str, str] = {}
        for name in schema.names:
            if seen.setdefault(name.lower(), name) != name:
                pair = f"{seen[name.lower()]!r} and {name!r}"
                raise ValueError(
                    f"Columns {pair} differ by case only, which {path} cannot hold; rename one or write .parquet."
                )
    for field in schema:
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        wrong = pa.types.is_duration(kind) or pa.types.is_map(kind) or pa.types.is_union(kind)
        wrong |= is_bytes(kind) or pa.types.is_fixed_size_binary(kind)
        if found.name == "layer":
            wrong |= pa.types.is_nested(kind) or pa.types.is_decimal(kind) or pa.types.is_time(kind)
        if wrong and field.name != geometry:
            said = "bytes" if is_bytes(kind) else str(kind)
            raise ValueError(
                f"Column {field.name!r} contains {said}, which {path} cannot hold unchanged; write a .parquet file."
            )


def _write_parquet(part: Path, schema: pa.Schema, chunks: Chunks, ending: str) -> None:
    import pyarrow.parquet as pq

    # An open file, because given a path pyarrow deletes whatever is there when it fails, devices included.
    with (
        part.open("wb") as file,
        pq.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True) as writer,
    ):
        waiting: list[pa.Table] = []
        for table, _ in chunks:
            waiting.append(table)
            if sum(one.nbytes for one in waiting) >= _GROUP_BYTES:
                writer.write_table(pa.concat_tables(waiting))
                waiting = []
        if waiting:
            writer.write_table(pa.concat_tables(waiting))


def _write_csv(part: Path, schema: pa.Schema, chunks: Chunks, ending: str) -> None:
    """Write delimited text; lists and structs become JSON in their cell."""
    mark = "\t" if ending == ".tsv" else ","
    geometry = geometry_column(schema)
    names = [name for name in schema.names if name != geometry]
    added = [] if geometry is None else [name for name in ("lon", "lat") if name not in names]
    with part.open("wb") as file:
        file.write((mark.join(_quoted(pa.array(added + names)).to_pylist()) + "\n").encode())
        for table, lonlat in _small(chunks):
            if geometry is not None:
                _same_places(table, lonlat, part)
            places = [pa.array(np.ascontiguousarray(lonlat[:, ("lon", "lat").index(name)])) for name in added]
            cells = [_cells(pa.chunked_array([place])) for place in places] + [_cells(table[name]) for name in names]
            lines = pc.binary_join_element_wise(*cells, mark) if len(cells) > 1 else cells[0]
            _write_texts(file, pc.binary_join_element_wise(lines, "\n", ""))


def _small(chunks: Chunks) -> Chunks:
    """Cut tables into parts whose texts take little memory."""
    for table, lonlat in chunks:
        for start in range(0, table.num_rows, _TEXT_ROWS):
            yield table.slice(start, _TEXT_ROWS), lonlat[start : start + _TEXT_ROWS]


def _write_texts(file: Any, texts: pa.Array) -> None:
    """Write the texts of an array one after the other."""
    _, offsets, content = texts.buffers()
    bounds = np.frombuffer(offsets, np.int32, len(texts) + 1, 4 * texts.offset)
    if content is not None:
        file.write(memoryview(content)[bounds[0] : bounds[-1]])


def _same_places(table: pa.Table, lonlat: Float64[np.ndarray, "n 2"], path: Path) -> None:
    """Refuse columns called lon and lat that do not tell where the geometry lies."""
    for axis, name in enumerate(("lon", "lat")):
        if name in table.column_names:
            values = table[name].to_pylist()
            if any(
                not isinstance(value, int | float) or abs(value - place) > 1e-6
                for value, place in zip(values, lonlat[:, axis].tolist(), strict=True)
            ):
                raise ValueError(
                    f"Column {name!r} is not the place of the geometry, but would be read as such in a CSV; write "
                    ".parquet, .geojson or .gpkg, or rename the column."
                )


def _cells(column: pa.ChunkedArray) -> pa.Array:
    """Texts of cells, in quotes where needed; nothing for null."""
    if pa.types.is_nested(column.type):
        texts = _json_texts(column)
        return _quoted(pc.fill_null(pc.if_else(column.combine_chunks().is_null(), None, texts), ""))
    texts = pc.fill_null(as_texts(column).combine_chunks(), "")
    return _quoted(texts) if is_text(column.type) else texts


def _quoted(texts: pa.Array) -> pa.Array:
    quotes = pc.match_substring_regex(texts, _SPECIAL)
    inside = pc.replace_substring(texts, '"', '""')
    return pc.if_else(quotes, pc.binary_join_element_wise('"', inside, '"', ""), texts)


def as_texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Convert cells to texts from which the same values are read; times are in ISO 8601, with a zone in UTC."""
    column = without_dictionary(column)
    kind = column.type
    if pa.types.is_float16(kind):
        column = column.cast(pa.float32())
    if not pa.types.is_timestamp(kind):
        return column.cast(pa.string())
    if kind.tz is not None:
        column = column.cast(pa.timestamp(kind.unit, "UTC"))
    return pc.replace_substring(column.cast(pa.string()), " ", "T")


def _write_geojson(part: Path, schema: pa.Schema, chunks: Chunks, ending: str) -> None:
    """Write a FeatureCollection with the columns as properties; numbers that are not finite become null."""
    geometry = geometry_column(schema)
    crs = None if geometry is None else geometry_notes(schema)["columns"].get(geometry, {}).get("crs", WGS84)
    names = [name for name in schema.names if name != geometry]
    with part.open("wb") as file:
        file.write(b'{"type": "FeatureCollection", "features": [')
        mark = "\n"
        for table, lonlat in _small(chunks):
            shapes = _shapes(None if geometry is None else table[geometry], lonlat, crs)
            parts = [f'{mark}{{"type": "Feature", "geometry": ', shapes, ', "properties": {']
            for name in names:
                parts += [f"{', ' * (name != names[0])}{dumped(name)}: ", _properties(schema.field(name), table[name])]
            features = pc.binary_join_element_wise(*parts, "}}", "")
            if mark == "\n":  # the first feature has no comma before it
                mark = ",\n"
                rest = pc.binary_join_element_wise(",", features[1:], "")
                features = pa.concat_arrays([features[:1], rest])
            _write_texts(file, features)
        file.write(b"\n]}\n")


def _shapes(column: pa.ChunkedArray | None, lonlat: Float64[np.ndarray, "n 2"], crs: Any) -> pa.Array:
    """Geometries as GeoJSON in degrees."""
    lon, lat = (_number_texts(pa.array(np.ascontiguousarray(axis))) for axis in lonlat.T)
    points = pc.binary_join_element_wise('{"type": "Point", "coordinates": [', lon, ", ", lat, "]}", "")
    if column is None or not is_bytes(column.type):
        return points
    import shapely

    wkb = np.empty(len(column), dtype=object)
    wkb[:] = column.to_pylist()
    shapes = shapely.from_wkb(wkb, on_invalid="ignore")
    plain = (shapely.get_type_id(shapes) == 0) & ~shapely.has_z(shapes)
    if plain.all():
        return points
    if not is_wgs84(crs):

        def in_degrees(xyz: Any) -> Any:
            return np.concatenate([lonlat_of_xy(np.ascontiguousarray(xyz[:, :2]), crs), xyz[:, 2:]], axis=1)

        deep = shapely.has_z(shapes)
        shapes[~deep] = shapely.transform(shapes[~deep], in_degrees)
        shapes[deep] = shapely.transform(shapes[deep], in_degrees, include_z=True)
    return pc.if_else(pa.array(plain), points, pa.array(shapely.to_geojson(shapes), pa.string()))


def _properties(field: pa.Field, column: pa.ChunkedArray) -> pa.Array:
    """Cells as JSON texts."""
    if field.metadata and JSON_TEXT in field.metadata:
        return pc.fill_null(column.combine_chunks(), "null")
    column = without_dictionary(column)
    kind = column.type
    if pa.types.is_decimal(kind):
        return pa.array(["null" if v is None else _json_number(field.name, v) for v in column.to_pylist()], pa.string())
    return _json_texts(as_texts(column) if pa.types.is_temporal(kind) else column)


def _json_texts(column: pa.ChunkedArray) -> pa.Array:
    """JSON texts of values; those of many numbers are made by Arrow."""
    kind, values = column.type, column.combine_chunks()
    if _is_float(kind):
        return _number_texts(values)
    if is_list(kind) and _is_float(kind.value_type):
        lengths = pc.fill_null(pc.list_value_length(values), 0).to_numpy()
        inside = pa.ListArray.from_arrays(
            pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32()), _number_texts(values.flatten())
        )
        texts = pc.binary_join_element_wise("[", pc.binary_join(inside, ", "), "]", "")
        return pc.if_else(values.is_null(), "null", texts)
    return pa.array([dumped(value) for value in _json_values(column, kind)], pa.string())


def _is_float(kind: pa.DataType) -> bool:
    return bool(pa.types.is_float32(kind) or pa.types.is_float64(kind))


def _number_texts(values: pa.Array) -> pa.Array:
    """Floating-point numbers in the fewest digits that give them back; null where they are missing or not finite."""
    texts = values.cast(pa.string())
    known = values.fill_null(np.nan).to_numpy(zero_copy_only=False)
    if (known == np.rint(known)).any():  # 2 would be read as an integer
        texts = pc.replace_substring_regex(texts, r"^(-?\d+)$", r"\1.0")
    return pc.fill_null(pc.if_else(np.isfinite(known), texts, None), "null")


def _json_number(name: str, value: decimal.Decimal) -> str:
    if decimal.Decimal(repr(float(value))) != value:
        raise ValueError(
            f"Column {name!r} contains {value}, which has more digits than a number of GeoJSON; write .parquet or .csv."
        )
    return f"{value:f}"


def _json_values(column: pa.ChunkedArray, kind: pa.DataType) -> list[Any]:
    """Convert values to those of JSON. Float32 keeps its own few digits instead of those of its float64 twin."""
    inner = kind.value_type if is_list(kind) else kind
    return [_plain(value, pa.types.is_float32(inner)) for value in column.to_pylist()]


def _plain(value: Any, short: bool) -> Any:
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return float(str(np.float32(value))) if short else value
    if isinstance(value, list | tuple):
        return [_plain(item, short) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item, short) for key, item in value.items()}
    if isinstance(value, decimal.Decimal):
        return float(value)
    return value.isoformat() if hasattr(value, "isoformat") else value


def dumped(value: Any) -> str:
    """Return strict JSON in Unicode."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _write_layer(part: Path, schema: pa.Schema, chunks: Chunks, ending: str) -> None:
    """Write a GeoPackage or FlatGeobuf by GDAL, with one layer."""
    import pyogrio

    own = geometry_column(schema)
    names = [name for name in schema.names if name != own]
    taken = {name.lower() for name in names}  # SQLite does not tell Geom from geom
    geometry = next(name for name in ("geom", "geometry", "the_geom", "shape_") if name not in taken)
    crs = geometry_notes(schema)["columns"].get(own, {}).get("crs", WGS84) if own else WGS84
    fields = [pa.field(geometry, pa.binary(), metadata={b"ARROW:extension:name": b"geoarrow.wkb"})]
    fields += [pa.field(name, _layer_type(schema.field(name).type, ending)) for name in names]
    wanted = pa.schema(fields)
    failed: list[BaseException] = []

    def batches() -> Iterator[pa.RecordBatch]:
        import shapely

        try:
            for table, lonlat in chunks:
                shapes = pa.array(shapely.to_wkb(shapely.points(lonlat)), pa.binary()) if own is None else table[own]
                columns = [shapes, *(_layer_column(table[field.name], field) for field in list(wanted)[1:])]
                yield from pa.table(columns, schema=wanted).combine_chunks().to_batches()
        except BaseException as error:  # GDAL would keep only its text
            failed.append(error)
            raise

    # GDAL chooses by the ending, and keeps a GeoPackage's journal beside it.
    target = part.with_name(part.name + ending)
    try:
        kind = "Point" if own is None else "Unknown"
        reader = pa.RecordBatchReader.from_batches(wanted, batches())
        options = {"driver": _DRIVERS[ending], "geometry_name": geometry, "geometry_type": kind, "crs": _layer_crs(crs)}
        if ending == ".fgb":
            options |= {"SPATIAL_INDEX": "NO"}  # which would sort the rows
        else:
            number = next(name for name in ("fid", "ogc_fid", "feature_id") if name not in taken)
            options |= {"FID": number, "GEOMETRY_NAME": geometry}
        pyogrio.write_arrow(reader, target, layer=part.name.split(".")[1], **options)
        target.replace(part)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, RuntimeError, pa.ArrowException) as error:
        if failed:
            raise failed[0] from None
        raise ValueError(f"{_DRIVERS[ending]} cannot hold these columns: {error}") from error
    finally:
        for left in part.parent.glob(f"{target.name}*"):
            with contextlib.suppress(OSError):
                left.unlink()


def _layer_crs(crs: Any) -> str:
    return "EPSG:4326" if is_wgs84(crs) else crs if isinstance(crs, str) else json.dumps(crs)


def _layer_type(kind: pa.DataType, ending: str) -> pa.DataType:
    """Choose what GDAL keeps; as texts, dates in FlatGeobuf and times without a zone, which would become UTC."""
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    if is_text(inner) or pa.types.is_null(inner):
        return pa.string()
    if pa.types.is_timestamp(inner):
        return pa.timestamp("ms", "UTC") if inner.tz and ending == ".gpkg" else pa.string()
    if pa.types.is_uint64(inner) or pa.types.is_uint32(inner):
        return pa.int64()
    if pa.types.is_float16(inner):
        return pa.float32()
    if pa.types.is_date(inner):
        return pa.date32() if ending == ".gpkg" else pa.string()
    return inner


def _layer_column(column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    try:
        return as_texts(column) if pa.types.is_string(field.type) else without_dictionary(column).cast(field.type)
    except pa.ArrowInvalid as error:
        raise ValueError(
            f"Column {field.name!r} contains {column.type} that do not fit {field.type} ({error}); write .parquet."
        ) from error
