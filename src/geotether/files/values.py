"""Cells of a table as numbers, labels and texts."""

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def is_text(kind: pa.DataType) -> bool:
    """Whether cells are texts, also through a dictionary."""
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.types.is_string(inner) or pa.types.is_large_string(inner)


def is_number(kind: pa.DataType) -> bool:
    """Whether cells are numbers; booleans are not."""
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)


def is_list(kind: pa.DataType) -> bool:
    """Whether cells are lists."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def is_bytes(kind: pa.DataType) -> bool:
    """Whether cells are bytes."""
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind))


def is_plain(kind: pa.DataType) -> bool:
    """Whether cells are numbers, booleans, dates or texts, rather than lists, structs, bytes, durations or times."""
    odd = (pa.types.is_duration, pa.types.is_time, pa.types.is_interval, pa.types.is_nested, is_bytes)
    return not any(test(kind) for test in odd)


def without_dictionary(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the values of a dictionary-encoded column."""
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def usual_type(kind: pa.DataType) -> pa.DataType:
    """Replace the newer Arrow types, which few functions accept, by older ones that hold the same values.

    Example:
        >>> usual_type(pa.list_view(pa.string_view())), usual_type(pa.decimal32(9, 2))
        (ListType(list<item: string>), Decimal128Type(decimal128(9, 2)))
    """
    usual = {"string_view": pa.string(), "binary_view": pa.binary(), "halffloat": pa.float32()}
    if str(kind) in usual:
        return usual[str(kind)]
    if pa.types.is_decimal32(kind) or pa.types.is_decimal64(kind):
        return pa.decimal128(kind.precision, kind.scale)
    if pa.types.is_run_end_encoded(kind) or (pa.types.is_dictionary(kind) and "_view" in str(kind.value_type)):
        return usual_type(kind.value_type)
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(usual_type(kind.value_type), kind.list_size)
    if pa.types.is_large_list(kind) or str(kind).startswith("large_list_view"):
        return pa.large_list(usual_type(kind.value_type))
    if pa.types.is_list(kind) or str(kind).startswith("list_view"):
        return pa.list_(usual_type(kind.value_type))
    return kind.storage_type if str(kind) in ("extension<arrow.json>", "extension<arrow.uuid>") else kind


def usual_schema(schema: pa.Schema) -> pa.Schema:
    """Apply `usual_type` to all columns; two equal names are a ValueError."""
    name, count = Counter(schema.names).most_common(1)[0] if schema.names else ("", 0)
    if count > 1:
        raise ValueError(f"two columns are called {name!r}; rename one.")
    return pa.schema([field.with_type(usual_type(field.type)) for field in schema], schema.metadata)


def usual(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Convert a column to its `usual_type`, and a dictionary to its values."""
    wanted = usual_type(column.type)
    if wanted == column.type:
        return without_dictionary(column)
    if isinstance(column.type, pa.BaseExtensionType):
        return pa.chunked_array([chunk.storage for chunk in column.chunks], wanted)
    if pa.types.is_dictionary(column.type):
        return pa.chunked_array([column.to_pylist()], wanted)
    if "list_view" in str(column.type).partition("<")[0]:
        return pa.chunked_array([_without_view(chunk).cast(wanted) for chunk in column.chunks], wanted)
    return (pc.run_end_decode(column) if pa.types.is_run_end_encoded(column.type) else column).cast(wanted)


def _without_view(lists: pa.Array) -> pa.Array:
    """Convert a list view to a list; Arrow's own cast (26.0) leaves out the last offset."""
    offsets = np.concatenate([[0], np.cumsum(pc.fill_null(lists.value_lengths(), 0).to_numpy(zero_copy_only=False))])
    return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), lists.flatten(), mask=lists.is_null())


def usual_table(table: pa.Table) -> pa.Table:
    """Apply `usual_type` to all columns of a table."""
    schema = usual_schema(table.schema)
    if schema == table.schema:
        return table
    pairs = zip(table.columns, schema.types, strict=True)
    return pa.Table.from_arrays([c if c.type == kind else usual(c) for c, kind in pairs], schema=schema)


def texts_of(column: pa.ChunkedArray) -> np.ndarray:
    """Read cells as texts in an object array, "" where missing; whole numbers have no point.

    Example:
        >>> texts_of(pa.chunked_array([[12.0, 0.5, None]])).tolist()
        ['12', '0.5', '']
    """
    texts = np.empty(len(column), dtype=object)
    texts[:] = [_text(value) for value in usual(column).to_pylist()]
    return texts


def _text(value: Any) -> str:
    if value is None:
        return ""
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
