"""Cells of a table as ids, labels and texts."""

from typing import Any

import numpy as np
import pyarrow as pa


def is_plain(kind: pa.DataType) -> bool:
    """Do cells hold numbers, truths, dates or texts, rather than lists, structs or bytes?"""
    return not (pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def without_dictionary(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Give the values themselves where a column holds numbers that stand for them."""
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def texts_of(column: pa.ChunkedArray) -> np.ndarray:
    """Read cells as texts, "" where missing; a whole number has no point, a date is ISO 8601.

    Example:
        >>> texts_of(pa.chunked_array([[12.0, 0.5, None]])).tolist()
        ['12', '0.5', '']
    """
    return np.array([_said(value) for value in without_dictionary(column).to_pylist()], dtype=str)


def label_of(column: pa.ChunkedArray, with_gaps: bool) -> np.ndarray:
    """Read a label: numbers and truths as they are, else texts.

    Args:
        column: Of n rows.
        with_gaps: Does the whole column have gaps? Whole numbers and truths then become floats with NaN, in every run.
    """
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        if with_gaps:
            column = column.cast(pa.int8()) if pa.types.is_boolean(kind) else column
            return np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)
        return np.asarray(column.to_numpy())
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)
    return texts_of(column)


def _said(value: Any) -> str:
    if value is None:
        return ""
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
