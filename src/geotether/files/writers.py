"""The file formats that points are written to."""

import datetime
import decimal
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pyarrow as pa

from geotether.files.disk import replacing_file
from geotether.files.values import is_bytes

_ROWS_AT_ONCE = 4096


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


def refuse_bytes(columns: pa.Table, path: str | Path) -> None:
    """Raise ValueError if a column contains bytes, which text cannot hold."""
    for column in columns.schema:
        if is_bytes(column.type):
            raise ValueError(
                f"Column {column.name!r} contains bytes, which {path} cannot hold; write a .parquet file instead."
            )


def write_parquet(columns: pa.Table, path: str | Path) -> None:
    """Write Parquet, compressed, with a checksum for every page."""
    import pyarrow.parquet as pq

    # An open file, because given a path pyarrow deletes whatever is there when it fails, devices included.
    with replacing_file(path) as part, part.open("wb") as file:
        pq.write_table(columns, file, compression="zstd", write_page_checksum=True)


def write_csv(columns: pa.Table, path: str | Path) -> None:
    """Write CSV, tab-separated where the ending is .tsv; lists become JSON in their cell."""
    from pyarrow.csv import CSVWriter, WriteOptions

    nested = [field.name for field in columns.schema if pa.types.is_nested(field.type)]
    schema = pa.schema([pa.field(f.name, pa.string()) if f.name in nested else f for f in columns.schema])
    options = WriteOptions(delimiter="\t" if Path(path).suffix.lower() == ".tsv" else ",")
    with (
        replacing_file(path) as part,
        part.open("wb") as file,
        CSVWriter(file, schema, write_options=options) as writer,
    ):
        for batch in columns.to_batches(_ROWS_AT_ONCE):
            arrays = [_as_json(batch[name]) if name in nested else batch[name] for name in columns.column_names]
            writer.write_batch(pa.record_batch(arrays, schema=schema))


def _as_json(column: pa.Array) -> pa.Array:
    return pa.array([None if value is None else _json(value) for value in _plain_values(column)], pa.string())


def write_geojson(columns: pa.Table, lonlat: np.ndarray, path: str | Path) -> None:
    """Write a FeatureCollection of points with the columns as properties; numbers that are not finite become null."""
    with replacing_file(path) as part, part.open("w", encoding="utf-8") as file:
        file.write('{"type": "FeatureCollection", "features": [\n')
        _write_features(columns, lonlat, file)
        file.write("]}\n")


def _write_features(columns: pa.Table, lonlat: np.ndarray, file: TextIO) -> None:
    done = 0
    for batch in columns.to_batches(_ROWS_AT_ONCE):
        values = [_plain_values(column) for column in batch.columns]
        for row in range(batch.num_rows):
            properties = {name: column[row] for name, column in zip(columns.column_names, values, strict=True)}
            place = {"type": "Point", "coordinates": lonlat[done].tolist()}
            feature = {"type": "Feature", "geometry": place, "properties": properties}
            done += 1
            file.write(_json(feature) + (",\n" if done < len(lonlat) else "\n"))


def _plain_values(column: pa.Array) -> list[Any]:
    """Convert values to those of JSON. Float32 keeps its own few digits instead of those of its float64 twin."""
    of_float32 = pa.types.is_float32(column.type) or (
        pa.types.is_nested(column.type) and pa.types.is_float32(getattr(column.type, "value_type", pa.null()))
    )
    convert = (lambda number: float(str(np.float32(number)))) if of_float32 else float
    return [_plain(value, convert) for value in column.to_pylist()]


def _plain(value: Any, convert: Callable[[float], float]) -> Any:
    if isinstance(value, float):
        return convert(value) if math.isfinite(value) else None
    if isinstance(value, list | tuple):
        return [_plain(item, convert) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item, convert) for key, item in value.items()}
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    return value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
