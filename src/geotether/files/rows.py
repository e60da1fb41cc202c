"""Open any file of rows as Arrow tables, for all readers."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from geotether.files.delimited import FAULT, BrokenLine, Layout, described_lines, read_delimited
from geotether.files.disk import check_file
from geotether.files.formats import not_utf8, opened_bytes, row_format
from geotether.files.geometry import with_geometry_note
from geotether.files.json_records import read_json
from geotether.files.values import usual_schema, usual_table


@dataclass(frozen=True)
class OpenRows:
    """The rows of an open file, to be read once from front to back.

    Attributes:
        schema: Of the tables. A column `FAULT`, where there is one, says why a row could not be read at all; a
            geometry is noted as GeoParquet notes it.
        tables: The rows.
        broken: Lines of delimited text with too few or too many values; complete once all rows are read.
    """

    schema: pa.Schema
    tables: Iterator[pa.Table]
    broken: list[BrokenLine]


@contextmanager
def open_rows(
    path: str | Path,
    layer: str | None = None,
    layout: Layout | None = None,
    opened: Callable[[], Any] | None = None,
    kind: str | None = None,
    rows_at_once: int = 4096,
    keep: str | None = None,
) -> Iterator[OpenRows]:
    """Open a file of rows in any format of `geotether.files.formats`.

    Args:
        path: The file.
        layer: Which layer of a GeoPackage; None: the only one.
        layout: How delimited text is written, where its header does not show it.
        opened: Opens the bytes of delimited text that is not a file by itself, such as a member of an archive.
        kind: Name of the format; None: inferred from the ending.
        rows_at_once: Most rows of a table; only GDAL's formats and Parquet follow it.
        keep: What the rows are to be written again as: "texts", "values" or "json"; see `read_delimited` and
            `read_json`.

    Yields:
        The rows. Errors name the file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the ending is unknown, or the file is damaged or not of its format.
        ImportError: If its format needs an extra that is not installed.
    """
    path = Path(path)
    kind = "csv" if opened is not None else kind or row_format(path).name
    if opened is None:
        check_file(path)
    if layer is not None and kind != "layer":
        raise ValueError(f"{path} has no layers; leave layer={layer!r} out.")
    with naming(path, kind):
        if kind == "layer":
            with _open_layer(path, layer, rows_at_once) as (schema, tables):
                yield OpenRows(schema, tables, [])
            return
        broken: list[BrokenLine] = []
        if kind == "csv":
            schema, tables = read_delimited(opened or (lambda: opened_bytes(path)), layout or Layout(), broken, keep)
        elif kind == "parquet":
            schema, tables = _read_parquet(path, rows_at_once)
        else:
            schema, tables = read_json(path, by_line=kind == "json lines", keep=keep)
        yield OpenRows(schema, tables, broken)


def read_rows(path: str | Path, layer: str | None = None, kind: str | None = None) -> pa.Table:
    r"""Read a whole file of rows; the policy of a call, which refuses a file with a malformed row.

    Texts of a CSV become dates or times where all of a column are in ISO 8601.

    Args:
        path: The file, in any format of `geotether.files.formats`.
        layer: Which layer of a GeoPackage; None: the only one.
        kind: Name of the format; None: inferred from the ending.

    Returns:
        All columns; a geometry is noted as GeoParquet notes it.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the ending is unknown, the file is damaged or has no rows, or a row cannot be read; the first
            such row is shown.
        ImportError: If its format needs an extra that is not installed.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(f"{folder}/towns.csv").write_text("lon;lat;name\n5,66;51,97;Wageningen\n")
        ...     read_rows(f"{folder}/towns.csv").to_pylist()
        [{'lon': 5.66, 'lat': 51.97, 'name': 'Wageningen'}]
    """
    kind = kind or row_format(path).name
    with open_rows(path, layer, kind=kind) as rows:
        table = pa.concat_tables([rows.schema.empty_table(), *rows.tables])
        if rows.broken:
            raise ValueError(f"{described_lines(rows.broken)}. Correct the file, or quote values with the delimiter.")
        if table.num_rows == 0:
            raise ValueError("it has no rows.")
        if FAULT in table.column_names:
            faults = table[FAULT].to_pylist()
            first = next((row for row, fault in enumerate(faults) if fault is not None), None)
            if first is not None:
                raise ValueError(f"row {first} cannot be read: {faults[first]}.")
            table = table.drop_columns([FAULT])
    if kind == "csv":
        for place, field in enumerate(table.schema):
            if pa.types.is_string(field.type):
                table = table.set_column(place, field.name, _dated(table[field.name]))
    return table


def column_names(path: str | Path, layer: str | None = None) -> list[str]:
    """Name the columns of a file of rows; raises as `open_rows`."""
    with open_rows(path, layer) as rows:
        return [name for name in rows.schema.names if name != FAULT]


@contextmanager
def naming(path: str | Path, kind: str) -> Iterator[None]:
    """Put the name of a file in front of errors about it, and turn those of Arrow into ValueError."""
    try:
        yield
    except MemoryError:
        raise ValueError(f"{path} does not fit into memory.") from None
    except (pa.ArrowException, OSError) as error:
        if getattr(error, "errno", None):  # the system's own error, such as a full disk or a missing permission
            raise
        raise ValueError(f"{path} is damaged or is not a {kind} file: {error}.") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: {_not_its_encoding(Path(path), error)}") from error
    except (TypeError, ValueError) as error:
        if str(error).startswith(str(path)):
            raise
        raise ValueError(f"{path}: {error}") from error


def _not_its_encoding(path: Path, error: UnicodeDecodeError) -> str:
    if path.suffix.lower() != ".shp":
        return str(not_utf8(error.encoding, error))
    return (
        f"its texts are not {error.encoding}, as its .cpg or .dbf states ({error.reason}); write the real encoding, "
        f"such as ISO-8859-1, into {path.with_suffix('.cpg').name}."
    )


def _dated(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Convert a column to dates or times where every value is one in ISO 8601; else keep texts, "" where missing."""
    if texts.null_count == len(texts):
        return pa.chunked_array([pa.nulls(len(texts))])
    for kind in (pa.date32(), pa.timestamp("s"), pa.timestamp("ns")):
        try:
            return texts.cast(kind)
        except pa.ArrowInvalid:
            continue
    return texts.fill_null("")


def _read_parquet(path: Path, rows_at_once: int) -> tuple[pa.Schema, Iterator[pa.Table]]:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    batches = file.iter_batches(rows_at_once)
    return usual_schema(file.schema_arrow), (usual_table(pa.Table.from_batches([batch])) for batch in batches)


@contextmanager
def _open_layer(path: Path, layer: str | None, rows_at_once: int) -> Iterator[tuple[pa.Schema, Iterator[pa.Table]]]:
    """Open a layer of a GeoPackage, Shapefile or FlatGeobuf."""
    try:
        import pyogrio
    except ImportError:
        raise ImportError(f"{path} is read with pyogrio: pip install 'geotether[geo]'.") from None
    faults = (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, pyogrio.errors.CRSError)
    try:
        layers = [str(name) for name, _ in pyogrio.list_layers(path)]
    except faults as error:
        raise ValueError(f"it is damaged or not a file that GDAL reads: {error}") from error
    if not layers:
        raise ValueError("it is damaged, or has no layers.")
    if layer is None and len(layers) > 1:
        raise ValueError(f"it has the layers {', '.join(layers)}; name one with layer= or --layer.")
    if layer is not None and layer not in layers:
        raise ValueError(f"it has no layer {layer!r}; there are {', '.join(layers) or 'none'}.")
    options = {"layer": layer or layers[0], "use_pyarrow": True, "batch_size": rows_at_once}
    with ExitStack() as stack:
        try:
            about, reader = stack.enter_context(pyogrio.open_arrow(path, encoding=_encoding(path), **options))
        except faults as error:
            raise ValueError(f"it is damaged, or states a CRS that is: {error}") from error
        yield (schema := _layer_schema(reader.schema, about)), _layer_tables(reader, schema)


def _layer_tables(reader: pa.RecordBatchReader, schema: pa.Schema) -> Iterator[pa.Table]:
    try:
        for batch in reader:
            batch.validate(full=True)  # what GDAL passes on of a damaged file may lie outside the memory
            yield pa.Table.from_batches([batch.from_arrays(batch.columns, schema=schema)])
    except pa.ArrowInvalid as error:
        if "UTF8" in str(error):
            raise UnicodeDecodeError("utf-8", b"", 0, 1, "invalid byte") from error
        raise
    except OSError as error:  # has a number as those of the system have
        raise ValueError(f"it is damaged: {error}") from error


def _layer_schema(schema: pa.Schema, about: dict[str, Any]) -> pa.Schema:
    """Call the geometry of a layer "geometry" where no attribute is called so, and note its CRS."""
    names = list(schema.names)
    geometry = about.get("geometry_name") or next((name for name in ("wkb_geometry", "geom") if name in names), None)
    if about.get("geometry_type") is None or geometry not in names:
        return schema.remove_metadata()
    called = str(geometry) if "geometry" in names else "geometry"  # an attribute may have that name
    fields = [pa.field(called if field.name == geometry else field.name, field.type) for field in schema]
    return with_geometry_note(pa.schema(fields), {"encoding": "WKB", "crs": about.get("crs")}, called)


def _encoding(path: Path) -> str | None:
    """Choose the encoding of a Shapefile's texts where the file does not state it: Latin-1 unless they are UTF-8."""
    table = path.with_suffix(".dbf")
    if path.suffix.lower() != ".shp" or path.with_suffix(".cpg").exists() or not table.is_file():
        return None
    content = table.read_bytes()
    if content[29:30] != b"\0":  # the language driver, which GDAL knows
        return None
    try:
        content[32:].decode()
    except UnicodeDecodeError:
        return "ISO-8859-1"
    return None
