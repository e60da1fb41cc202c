"""Feature tables on disk: GeoParquet in and out."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from geotether.sources.disk import replacing_file
from geotether.sources.geometry import geometry_column, with_geometry
from geotether.sources.points import LAT_NAMES, LON_NAMES, lonlat_of_columns
from geotether.sources.writers import list_column
from geotether.tables.matrix import FeatureColumns, read_matrix
from geotether.tables.origin import Origin, origin_of_note
from geotether.tables.table import FeatureTable

LABEL_PREFIX = "label:"
FEATURES = "features"
_NOTE = b"geotether"
_GROUP_BYTES = 2**26


def write_table(table: FeatureTable, path: str | Path) -> None:
    """Write a feature table as GeoParquet 1.1.

    Columns: `geometry` (points, OGC:CRS84), `lon`, `lat`, `id`, `features` (fixed-size lists of float32), and
    where the table has them `time` (milliseconds, UTC), `split` and one `label:<name>` for each label. Name and
    origin stand in the schema's note `geotether`. The file is complete or not there: it takes the place of an
    older one only once it is written.

    Args:
        table: What to write.
        path: Usually ends in .parquet. Missing folders are created.

    Raises:
        OSError: If the disk is full or the folder cannot be written to; an older file is unchanged.
    """
    columns: dict[str, pa.Array] = {
        "lon": pa.array(np.ascontiguousarray(table.lonlat[:, 0])),
        "lat": pa.array(np.ascontiguousarray(table.lonlat[:, 1])),
        "id": pa.array(table.id, pa.string()),
    }
    if table.time is not None:
        columns["time"] = pa.array(table.time)
    if table.split is not None:
        columns["split"] = pa.array(table.split, pa.string())
    columns |= {LABEL_PREFIX + name: pa.array(values) for name, values in table.labels.items()}
    columns[FEATURES] = list_column(table.features)
    file = with_geometry(pa.table(columns), table.lonlat)
    note: dict[str, Any] = {"table": 1, "name": table.name}
    if not table.origin.is_empty:
        note["origin"] = table.origin.plain()
    file = file.replace_schema_metadata({**file.schema.metadata, _NOTE: json.dumps(note).encode()})
    rows = max(1024, _GROUP_BYTES // (4 * table.dim))
    _write(path, file.schema, (file.slice(start, rows) for start in range(0, len(file), rows)))


def write_origin(path: str | Path, origin: Origin) -> None:
    """Write another origin into the file of a table; its rows are copied as they are.

    Args:
        path: From `write_table`; replaced only once all is written.
        origin: The whole of what the file is to say.

    Raises:
        OSError: If the disk is full or the folder cannot be written to; the file is unchanged.
    """
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        metadata = dict(file.schema_arrow.metadata)
        note = {**json.loads(metadata.pop(_NOTE)), "origin": origin.plain()}
        schema = file.schema_arrow.with_metadata({**metadata, _NOTE: json.dumps(note).encode()})
        # Parquet calls the items of lists otherwise than Arrow; as if written the first time, they are Arrow's again.
        place = schema.get_field_index(FEATURES)
        schema = schema.set(place, pa.field(FEATURES, pa.list_(pa.float32(), schema.field(place).type.list_size)))
        _write(path, schema, (file.read_row_group(group).cast(schema) for group in range(file.num_row_groups)))


def _write(path: str | Path, schema: pa.Schema, groups: Iterable[pa.Table]) -> None:
    """Write the groups of rows of a table's file."""
    labels = [name for name in schema.names if name.startswith(LABEL_PREFIX)]
    options: dict[str, Any] = {"compression": "zstd", "use_dictionary": ["split", *labels]}
    # An open file, because given a path pyarrow deletes whatever is there when it fails, devices included.
    with (
        replacing_file(path) as part,
        part.open("wb") as out,
        pq.ParquetWriter(out, schema, write_page_checksum=True, **options) as writer,
    ):
        for group in groups:
            writer.write_table(group, row_group_size=max(1, len(group)))


def read_table(
    path: str | Path,
    name: str | None = None,
    features: str | Sequence[str] = FEATURES,
    memory_share: float = 0.25,
    cache_dir: str | Path | None = None,
) -> FeatureTable:
    """Read a feature table from Parquet or GeoParquet, written here or by others.

    Places come from a GeoParquet geometry or from columns of coordinates as in `read_points`; `id`, `time`,
    `split` and `label:<name>` are read where they exist.

    Args:
        path: The file.
        name: Name of the modality; by default the one it was written under, or else the file's name.
        features: One column of lists of numbers, or several columns of numbers.
        memory_share: Features larger than this share of the machine's memory are kept on disk, as a memory
            map; 0 always maps, 1 hardly ever does.
        cache_dir: Where the map is kept, under the hash of the file; by default `geotether` in the user's
            cache folder. It may be deleted whenever no table uses it.

    Returns:
        The checked table.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no Parquet file or is damaged, has no coordinates or features (its columns are
            listed), rows differ in width (the first such row is named), or the content is not that of a
            `FeatureTable`.
        OSError: If the memory map does not fit on the disk.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}." if not path.exists() else f"{path} is not a file.")
    if not 0 <= memory_share <= 1:
        raise ValueError(f"memory_share must lie in [0, 1], got {memory_share}.")
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            chosen = FeatureColumns.of(file.schema_arrow, features)
            columns = file.read(columns=_wanted(file.schema_arrow))
            lonlat = lonlat_of_columns(columns if columns.num_columns else file.schema_arrow.empty_table())
            if file.metadata.num_rows == 0:
                raise ValueError("it has no rows.")
            matrix = read_matrix(file, path, chosen, memory_share, None if cache_dir is None else Path(cache_dir))
    except (pa.ArrowException, OSError) as error:
        if getattr(error, "errno", None):  # the system's own error, such as a full disk
            raise
        raise ValueError(f"{path} is damaged or is not a Parquet file: {str(error).rstrip('.')}.") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error
    return FeatureTable(
        name=name or _written_name(columns.schema) or path.stem,
        lonlat=lonlat,
        features=matrix,
        id=_texts(columns, "id") if "id" in columns.column_names else np.empty(0, dtype="<U1"),
        time=_times(columns) if "time" in columns.column_names else None,
        labels={
            column.removeprefix(LABEL_PREFIX): _labels(columns, column)
            for column in columns.column_names
            if column.startswith(LABEL_PREFIX)
        },
        split=_texts(columns, "split") if "split" in columns.column_names else None,
        origin=origin_of_note((columns.schema.metadata or {}).get(_NOTE)),
    )


def read_origin(path: str | Path) -> Origin:
    """Read where a table comes from and how it was made, without reading the table.

    Args:
        path: The file.

    Returns:
        An empty origin where the file says nothing.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no Parquet file.
    """
    try:
        return origin_of_note((pq.read_schema(path).metadata or {}).get(_NOTE))
    except pa.ArrowException as error:
        raise ValueError(f"{path} is damaged or is not a Parquet file: {str(error).rstrip('.')}.") from error


def _wanted(schema: pa.Schema) -> list[str]:
    """The columns besides the features; the coordinates only if they are needed."""
    geometry = geometry_column(schema)
    known = {"id", "time", "split"} | ({geometry} if geometry else set())
    places = () if geometry else (*LON_NAMES, *LAT_NAMES)
    return [
        name
        for name in schema.names
        if name in known or name.startswith(LABEL_PREFIX) or name.strip().lower() in places
    ]


def _written_name(schema: pa.Schema) -> str | None:
    try:
        return json.loads((schema.metadata or {}).get(_NOTE, b"{}")).get("name")
    except ValueError:
        return None


def _texts(columns: pa.Table, name: str) -> np.ndarray:
    column = columns[name]
    if column.null_count:
        row = column.is_null().to_numpy().argmax()
        raise ValueError(f"Column {name!r} has no value in row {row}; fill it in or leave the column out.")
    return np.array(column.cast(pa.string()).to_pylist(), dtype=str)


def _times(columns: pa.Table) -> np.ndarray:
    try:
        times = columns["time"].cast(pa.timestamp("ms"), safe=False)
    except pa.ArrowException as error:
        raise ValueError(f"Column 'time' must hold times, got {columns['time'].type}: {error}.") from error
    return np.asarray(times.to_numpy(), dtype="datetime64[ms]")


def _labels(columns: pa.Table, name: str) -> np.ndarray:
    """A label column; an unknown number is NaN, an unknown text is empty."""
    column = columns[name]
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return np.array(column.fill_null("").to_pylist(), dtype=str)
    if column.null_count and pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    return column.to_numpy()
