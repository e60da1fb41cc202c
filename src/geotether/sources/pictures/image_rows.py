"""Rows of images: what a table says of their places, times and labels."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Float64

from geotether.files.places import LAT_NAMES, LON_NAMES
from geotether.sources.pictures.pixels import UNKNOWN_TIME


def find_column(names: Sequence[str], wanted: str | None, known: Sequence[str], what: str, path: Path) -> str:
    """Find a column by its name, or by the known names for what it holds, in any case.

    Raises:
        ValueError: If there is none, or several could be meant; the columns are listed.
    """
    found = ", ".join(map(repr, names[:30])) or "none"
    if wanted is not None:
        if wanted not in names:
            raise ValueError(f"{path} has no column {wanted!r} for the {what}; columns found: {found}.")
        return wanted
    for name in known:
        hits = [column for column in names if column.strip().lower() == name]
        if len(hits) > 1:
            raise ValueError(f"{path}: columns {', '.join(map(repr, hits))} could be the {what}; name one of them.")
        if hits:
            return hits[0]
    raise ValueError(
        f"{path} has no column for the {what} (known names: {', '.join(known)}); name it. Columns found: {found}."
    )


def position_columns(names: Sequence[str], lon: str | None, lat: str | None, path: Path) -> tuple[str, str]:
    """Find the columns of longitude and latitude.

    Raises:
        ValueError: If one of them is not there.
    """
    return (
        find_column(names, lon, LON_NAMES, "longitude (option lon)", path),
        find_column(names, lat, LAT_NAMES, "latitude (option lat)", path),
    )


def row_columns(
    names: Sequence[str], id: str | None, time: str | None, labels: Sequence[str], path: Path
) -> dict[str, str]:
    """Find the columns of ids, times and labels that are named.

    Returns:
        By what it is for ("id", "time", "label:" and its name), the column.

    Raises:
        ValueError: If one is not there.
    """
    asked = [("id", id, "ids"), ("time", time, "times"), *((f"label:{name}", name, "labels") for name in labels)]
    return {role: find_column(names, name, (), what, path) for role, name, what in asked if name is not None}


def degrees(column: pa.Array | pa.ChunkedArray) -> Float64[np.ndarray, " n"]:
    """Read numbers, NaN where a value is missing or is no number."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return np.array([_number(text) for text in column.to_pylist()], dtype=np.float64)
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)


def moments(column: pa.Array | pa.ChunkedArray) -> tuple[np.ndarray, dict[int, str]]:
    """Read times as UTC: dates, timestamps of any zone, or texts in ISO 8601, without a zone taken as UTC.

    Returns:
        datetime64[ms], shape (n,), NaT where missing; and the rows whose text is no time.
    """
    times = np.full(len(column), UNKNOWN_TIME)
    reasons: dict[int, str] = {}
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        plain = column.cast(pa.timestamp("ms", "UTC" if getattr(column.type, "tz", None) else None), safe=False)
        return np.asarray(plain.cast(pa.timestamp("ms")).to_numpy(zero_copy_only=False), "datetime64[ms]"), reasons
    for row, value in enumerate(column.to_pylist()):
        if value is None or str(value).strip() == "":
            continue
        try:
            time = datetime.fromisoformat(str(value).strip())
        except ValueError:
            reasons[row] = "time is not ISO 8601 (2021-07-15T10:30:00Z)"
            continue
        times[row] = np.datetime64((time.astimezone(UTC) if time.tzinfo else time).replace(tzinfo=None), "ms")
    return times, reasons


def label_values(columns: Mapping[str, pa.ChunkedArray]) -> dict[str, np.ndarray]:
    """Give columns as numbers or texts; a missing text is empty."""
    found = {}
    for name, column in columns.items():
        if pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_boolean(column.type):
            found[name] = np.asarray(column.to_numpy())
        else:
            found[name] = np.array(["" if value is None else str(value) for value in column.to_pylist()], dtype=np.str_)
    return found


def _number(text: str | None) -> float:
    try:
        return float(text) if text is not None else math.nan
    except ValueError:
        return math.nan
