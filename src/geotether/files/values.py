"""Cells of a table as numbers, labels and texts."""

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float64


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
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def is_plain(kind: pa.DataType) -> bool:
    """Whether cells are numbers, booleans, dates or texts, rather than lists, structs or bytes."""
    return not (pa.types.is_nested(kind) or is_bytes(kind))


def without_dictionary(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the values of a dictionary-encoded column."""
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def usual_schema(schema: pa.Schema) -> pa.Schema:
    """Replace string_view and binary_view, which few of Arrow's functions accept; two equal names are a ValueError."""
    name, count = Counter(schema.names).most_common(1)[0] if schema.names else ("", 0)
    if count > 1:
        raise ValueError(f"two columns are called {name!r}; rename one.")
    usual = {"string_view": pa.string(), "binary_view": pa.binary()}
    fields = [field.with_type(usual.get(str(field.type), field.type)) for field in schema]
    return pa.schema(fields, schema.metadata)


def numbers_of(column: pa.ChunkedArray) -> tuple[Float64[np.ndarray, " n"], dict[int, Any]]:
    """Read cells as numbers.

    Args:
        column: Numbers, or texts that are numbers.

    Returns:
        float64 with NaN where a cell is empty or not a number; and the cells that are not numbers, by row.

    Example:
        >>> numbers_of(pa.chunked_array([["5.66", "", "five"]]))
        (array([5.66,  nan,  nan]), {2: 'five'})
    """
    column = without_dictionary(column)
    if is_number(column.type) or pa.types.is_null(column.type):
        return np.array(column.cast(pa.float64()).to_numpy(), dtype=np.float64), {}
    values = np.full(len(column), np.nan)
    odd: dict[int, Any] = {}
    for row, value in enumerate(column.to_pylist()):
        if value is None or (isinstance(value, str) and not value.strip()):
            continue
        try:
            values[row] = float(value) if not isinstance(value, bool) else float("x")
        except (TypeError, ValueError):
            odd[row] = value
    return values, odd


def texts_of(column: pa.ChunkedArray) -> np.ndarray:
    """Read cells as texts, "" where missing; whole numbers have no decimal point, dates are in ISO 8601.

    Example:
        >>> texts_of(pa.chunked_array([[12.0, 0.5, None]])).tolist()
        ['12', '0.5', '']
    """
    return np.array([_text(value) for value in without_dictionary(column).to_pylist()], dtype=str)


def label_of(column: pa.ChunkedArray, with_gaps: bool | None = None) -> np.ndarray:
    """Read a label: numbers and booleans as they are, else texts.

    Args:
        column: n cells.
        with_gaps: Whether the whole column, of which this may be a part, has gaps: then whole numbers and booleans
            become floats with NaN in every part. None: this is the whole column.
    """
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        if column.null_count if with_gaps is None else with_gaps:
            column = column.cast(pa.int8()) if pa.types.is_boolean(kind) else column
            return np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)
        return np.asarray(column.to_numpy())
    if is_number(kind):
        return np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)
    return texts_of(column)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
