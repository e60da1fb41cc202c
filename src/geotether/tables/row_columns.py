"""Columns that every kind of table has beside what was seen: ids, times and splits."""

import difflib
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Shaped

SPLITS = ("train", "validation", "test", "buffer")


def row_ids(values: Any, count: int) -> Shaped[np.ndarray, "n"]:
    """Check the ids of rows, or number the rows.

    Args:
        values: One text or number a row; empty: the rows are numbered.
        count: Number of rows.

    Returns:
        Texts, shape (n,), all different.

    Raises:
        ValueError: If an id comes twice.

    Example:
        >>> row_ids([], 3).tolist()
        ['0', '1', '2']
    """
    ids = np.asarray(values if len(values) else np.arange(count)).astype(str)
    names, first, counts = np.unique(ids, return_index=True, return_counts=True)
    if len(names) < count:
        name = names[counts > 1][np.argmin(first[counts > 1])]
        rows = np.flatnonzero(ids == name)
        raise ValueError(f"ids must differ, but {str(name)!r} stands in rows {rows[0]} and {rows[1]}.")
    return ids


def row_times(values: Any) -> Shaped[np.ndarray, "n"]:
    """Check times.

    Args:
        values: datetime64 of any unit, shape (n,).

    Returns:
        datetime64[ms].

    Raises:
        TypeError: If they are no datetime64.
    """
    values = np.asarray(values)
    if values.dtype.kind != "M":
        raise TypeError(f"time must be datetime64, got {values.dtype}; convert it by astype('datetime64[ms]').")
    return values.astype("datetime64[ms]")


def row_split(values: Any, also: Mapping[str, str] | None = None) -> Shaped[np.ndarray, "n"]:
    """Check a split.

    Args:
        values: One name a row, shape (n,).
        also: Further names and which of `SPLITS` they mean.

    Returns:
        One of `SPLITS` a row.

    Raises:
        ValueError: If a row has another name; the closest one is offered.

    Example:
        >>> row_split(["train", "val"], {"val": "validation"}).tolist()
        ['train', 'validation']
    """
    values = np.asarray(values).astype(object)
    meant = {name: name for name in SPLITS} | dict(also or {})
    for row, value in enumerate(values):
        if value not in meant:
            close = difflib.get_close_matches(str(value), SPLITS, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise ValueError(f"split must be one of {', '.join(SPLITS)}, but row {row} is {str(value)!r}.{hint}")
    return np.array([meant[value] for value in values], dtype=str)
