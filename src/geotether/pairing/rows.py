"""Which rows of a file are read."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Integer

from geotether.pairing.paired_file import PairedFile


def matching_rows(file: PairedFile, wanted: Mapping[str, Any]) -> Integer[np.ndarray, " m"]:
    """Find the rows where each of some columns holds a value, or one of several.

    Args:
        file: The open file.
        wanted: Column to value or values; empty: all rows.

    Returns:
        Row numbers, rising.

    Raises:
        ValueError: If there is no such column, or no row is left.
    """
    keep = np.ones(len(file), dtype=bool)
    for name, values in wanted.items():
        column = file.column(name)
        if column.ndim != 1:
            raise ValueError(f"rows cannot be chosen by {name!r}: it has {column.shape[1:]} values a row.")
        # As texts, so that a year may be written 2023 or "2023".
        allowed = {_text(value) for value in (values if isinstance(values, list) else [values])}
        keep &= np.array([_text(value) in allowed for value in column.tolist()])
        if not keep.any():
            found = sorted({_text(value) for value in column.tolist()})[:20]
            raise ValueError(f"no row is left where {name!r} is {values!r}; it holds {', '.join(found)}.")
    return np.flatnonzero(keep)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(int(value))
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
