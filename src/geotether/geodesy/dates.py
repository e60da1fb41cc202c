"""Dates and times as files hold them, into milliseconds of UTC."""

import datetime
import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool

_YEAR = re.compile(r"\d{4}")
_YEAR_MONTH = re.compile(r"(\d{4})-(\d{1,2})")
_NOT_A_TIME = np.datetime64("NaT", "ms")


def is_time(kind: pa.DataType) -> bool:
    """Is this the Arrow type of a date or of a date with a time of day?"""
    return pa.types.is_timestamp(kind) or pa.types.is_date(kind)


def times_of(column: pa.ChunkedArray | pa.Array) -> tuple[np.ndarray, Bool[np.ndarray, " n"]]:
    """Read dates and times.

    Arrow dates and timestamps are taken as they are; without a time zone they are in UTC. Texts follow ISO 8601: a
    year, a year and month, a date, or a date and time with or without an offset; of a range "2001-05-01/2001-05-09"
    the start counts. Whole numbers are years (1 to 9999) or dates written as 20240131. What is not told is the first:
    the year 1998 is 1 January 1998, 00:00.

    Args:
        column: Of n values.

    Returns:
        datetime64[ms] in UTC, shape (n,), NaT where missing or not understood; and where it was not understood.

    Example:
        >>> times_of(pa.array(["1998", "2024-02-29T01:00+02:00", "spring", None]))
        (array(['1998-01-01T00:00:00.000', '2024-02-28T23:00:00.000', 'NaT', 'NaT'], dtype='datetime64[ms]'),
         array([False, False,  True, False]))
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        return times_of(column.cast(kind.value_type))
    if is_time(kind):
        naive = pa.timestamp("ms")
        utc = column.cast(pa.timestamp("ms", kind.tz) if getattr(kind, "tz", None) else naive, safe=False)
        times = np.asarray(utc.cast(naive).to_numpy(**_copying(utc)), dtype="datetime64[ms]")
        return times, np.zeros(len(times), dtype=bool)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        whole = pc.if_else(pc.equal(column, pc.round(column)), column, None)
        found = [_of_number(value) for value in whole.to_pylist()]
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        found = [_of_text(value) for value in column.to_pylist()]
    else:
        found = [None] * len(column)
    times = np.array(
        [_NOT_A_TIME if value is None else np.datetime64(value, "ms") for value in found], "datetime64[ms]"
    )
    given = np.asarray(pc.is_valid(column).to_numpy(**_copying(column)), dtype=bool)
    if not pa.types.is_integer(kind) and given.any() and pa.types.is_floating(kind):
        given &= ~np.isnan(np.asarray(column.to_numpy(**_copying(column)), dtype=np.float64))
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        given &= np.array([bool((value or "").strip()) for value in column.to_pylist()], dtype=bool)
    return times, given & np.isnat(times)


def _copying(column: pa.ChunkedArray | pa.Array) -> dict[str, bool]:
    return {} if isinstance(column, pa.ChunkedArray) else {"zero_copy_only": False}


def _of_number(value: float | None) -> datetime.datetime | None:
    if value is None or value != value:
        return None
    try:
        whole = int(value)
        year, month, day = (whole, 1, 1) if whole <= 9999 else (whole // 10000, whole // 100 % 100, whole % 100)
        return datetime.datetime(year, month, day)
    except (ValueError, OverflowError):
        return None


def _of_text(value: str | None) -> datetime.datetime | None:
    text = (value or "").split("/")[0].strip()
    try:
        if _YEAR.fullmatch(text):
            return datetime.datetime(int(text), 1, 1)
        if match := _YEAR_MONTH.fullmatch(text):
            return datetime.datetime(int(match[1]), int(match[2]), 1)
        time = datetime.datetime.fromisoformat(text)
        return time if time.tzinfo is None else time.astimezone(datetime.UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None
