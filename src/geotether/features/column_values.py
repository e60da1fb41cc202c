"""What the cells of a column say, as numbers, truths, levels or parts of dates."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float64

from geotether.features.column_kinds import is_list, is_number

_TRUE, _FALSE = {"true", "yes", "t", "y", "1", "1.0"}, {"false", "no", "f", "n", "0", "0.0"}
DAYS_OF_YEAR = 365.2425


def numbers_of(column: pa.ChunkedArray) -> tuple[Float64[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """Read numbers; texts that are numbers count as such.

    Returns:
        Shape (n,), NaN where missing or not a number; and where it is not a number though it is something.
    """
    bad = np.zeros(len(column), dtype=bool)
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    if is_number(column.type) or pa.types.is_null(column.type) or pa.types.is_integer(column.type):
        return np.array(column.cast(pa.float64()).to_numpy(), dtype=np.float64), bad
    values = np.full(len(column), np.nan)
    for row, value in enumerate(column.to_pylist()):
        try:
            values[row] = float(value) if value is not None and str(value).strip() else np.nan
        except (TypeError, ValueError):
            bad[row] = True
    return values, bad


def truths_of(column: pa.ChunkedArray) -> tuple[Float64[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """Read truths: true, yes, 1 and false, no, 0 in any case.

    Returns:
        1, 0 or NaN, shape (n,); and where it is neither though it is something.
    """
    if is_number(column.type) or pa.types.is_boolean(column.type):
        values, _ = numbers_of(column)
        bad = ~np.isnan(values) & ~np.isin(values, (0, 1))
        return np.where(bad, np.nan, values), bad
    words = ["" if value is None else str(value).strip().lower() for value in column.to_pylist()]
    values = np.array([1.0 if word in _TRUE else 0.0 if word in _FALSE else np.nan for word in words])
    return values, np.isnan(values) & np.array([word != "" for word in words], dtype=bool)


def levels_of(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Read classes: every (row, value) once, values as texts; a cell may be a list of them.

    Returns:
        Rows and values, as many as there are; what is missing or empty is left out.
    """
    rows = np.arange(len(column))
    if is_list(column.type):
        whole = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
        rows = np.asarray(pc.list_parent_indices(whole).to_numpy(zero_copy_only=False), dtype=np.int64)
        column = pc.list_flatten(column)
    texts = [_level(value) for value in column.to_pylist()]
    pairs = dict.fromkeys((row, text) for row, text in zip(rows.tolist(), texts, strict=True) if text)
    return np.array([row for row, _ in pairs], dtype=np.int64), np.array([text for _, text in pairs], dtype=object)


def days_hours_years(times: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Take dates apart: days since 1 January, hours since midnight, and the year with its fraction.

    Example:
        >>> day, hour, year = days_hours_years(np.array(["2024-02-01T06:00"], dtype="datetime64[ms]"))
        >>> day, hour, year.round(2)
        (array([31.25]), array([6.]), array([2024.09]))
    """
    start = times.astype("datetime64[Y]")
    day = (times - start.astype("datetime64[ms]")) / np.timedelta64(1, "D")
    hour = (times - times.astype("datetime64[D]").astype("datetime64[ms]")) / np.timedelta64(1, "h")
    return day, hour, start.astype(np.int64) + 1970 + day / DAYS_OF_YEAR


def _level(value: Any) -> str:
    """A whole number reads the same whether its column has gaps, and so holds floats, or not."""
    if value is None or value != value:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()
