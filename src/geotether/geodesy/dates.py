"""The one parser of dates and times, used by every reader of files."""

import datetime
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Bool

_YEAR = re.compile(r"\d{4}")
_YEAR_MONTH = re.compile(r"(\d{4})-(\d{1,2})")
_SLASHES = re.compile(r"(\d{4})/(\d{1,2})/(\d{1,2})(?=$|[ T])")
_SHORT_END = re.compile(r"(\d{1,2}-)?\d{1,2}")
_ENDLESS = ("", "..")
# Magnitudes of times since 1970, from 1973 to 2286.
_EPOCHS = {"seconds": (1e8, 1e10), "milliseconds": (1e11, 1e13)}


def is_time(kind: pa.DataType) -> bool:
    """Whether an Arrow type is that of dates or of timestamps."""
    return pa.types.is_timestamp(kind) or pa.types.is_date(kind)


def times_of(column: pa.ChunkedArray | pa.Array) -> tuple[np.ndarray, Bool[np.ndarray, " n"]]:
    """Read dates and times.

    ================================ ===========================================
    accepted                         read as
    ================================ ===========================================
    ``1998``                         1998-01-01T00:00, also as a number
    ``1998-07``, ``1998-7``          1998-07-01T00:00
    ``2024-06-15``, ``20240615``     2024-06-15T00:00, 20240615 also as a number
    ``2024/06/15``                   2024-06-15T00:00
    ``2024-06-15 10:30``, with T     2024-06-15T10:30, in UTC
    ``2024-06-15T10:30:00+02:00``    2024-06-15T08:30; also Z, +0200 and +02
    ``2024-06-15/2024-06-20``        2024-06-15T00:00, the start of a range;
                                     also ``2024-06-15/20`` and ``2024-06-15/..``
    Arrow dates and timestamps       as they are; UTC where they have no zone
    ================================ ===========================================

    Whole numbers are years from 1000 to 9999 or dates written as yyyymmdd. Seconds or milliseconds since 1970 are not
    read, because they cannot be distinguished from other numbers; `why_no_time` explains this in messages.

    Args:
        column: n values.

    Returns:
        datetime64[ms] in UTC, shape (n,), NaT where missing or not understood; and where a value was not understood.

    Source:
        ISO 8601-1:2019, sections 5.2 to 5.5.

    Example:
        >>> times_of(pa.array(["1998", "2024-02-29T01:00+02:00", "spring", None]))
        (array(['1998-01-01T00:00:00.000', '2024-02-28T23:00:00.000', 'NaT', 'NaT'], dtype='datetime64[ms]'),
         array([False, False,  True, False]))
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        return times_of(column.cast(kind.value_type))
    if is_time(kind):
        zone = getattr(kind, "tz", None)
        utc = column.cast(pa.timestamp("ms", zone) if zone else pa.timestamp("ms"), safe=False).cast(pa.timestamp("ms"))
        times = np.asarray(utc.to_numpy(zero_copy_only=False), dtype="datetime64[ms]")
        return times, np.zeros(len(times), dtype=bool)
    values = column.to_pylist()
    given = np.array([value is not None and value == value and str(value).strip() != "" for value in values], bool)
    found = [_parsed(value) if there else None for value, there in zip(values, given, strict=True)]
    times = np.array(found, "datetime64[ms]")  # None becomes NaT
    return times, given & np.isnat(times)


def strict_times(column: pa.ChunkedArray | pa.Array, called: Callable[[int], str]) -> np.ndarray:
    """Read dates and times as datetime64[ms]; ValueError with what `called` says of the first row that is not one."""
    times, wrong = times_of(column)
    if wrong.any():
        row = int(wrong.argmax())
        value = column[row].as_py()
        raise ValueError(f"{called(row)}: {value!r} {why_no_time(value)}.")
    return times


def time_of(value: str) -> np.datetime64 | None:
    """Read one date or time as `times_of` does; None if it is not one.

    Example:
        >>> str(time_of("2020-07")), time_of("summer")
        ('2020-07-01T00:00:00.000', None)
    """
    found = _parsed(value)
    return None if found is None else np.datetime64(found, "ms")


def why_no_time(value: Any) -> str:
    """Say why a value is not a date or time, for a message or as the reason for rejecting a row.

    Args:
        value: A value that `times_of` did not understand.

    Returns:
        Words that follow the name of the column; the same for the same fault.

    Example:
        >>> why_no_time(1577836800)
        'is in seconds since 1970, not a date; write it in ISO 8601, such as 2003-06-21'
        >>> why_no_time("spring")
        'is not a date in ISO 8601, such as 2003-06-21'
    """
    try:
        number = abs(float(value))
    except (TypeError, ValueError):
        number = 0.0
    for unit, (least, most) in _EPOCHS.items():
        if least <= number < most:
            return f"is in {unit} since 1970, not a date; write it in ISO 8601, such as 2003-06-21"
    return "is not a date in ISO 8601, such as 2003-06-21"


def _parsed(value: Any) -> datetime.datetime | None:
    if isinstance(value, bool):
        return None
    try:
        if isinstance(value, str):
            return _of_text(value.strip())
        return _of_number(value)
    except (TypeError, ValueError, OverflowError, ArithmeticError):
        return None


def _of_number(value: Any) -> datetime.datetime | None:
    whole = int(value)
    if whole != value:
        return None
    if 1000 <= whole <= 9999:
        return datetime.datetime(whole, 1, 1)
    if 10000101 <= whole <= 99991231:
        return datetime.datetime(whole // 10000, whole // 100 % 100, whole % 100)
    return None


def _of_text(text: str) -> datetime.datetime | None:
    with suppress(ValueError):
        return _utc(datetime.datetime.fromisoformat(text))  # most values, without regular expressions
    text = _SLASHES.sub(r"\1-\2-\3", text)
    start, slash, end = text.partition("/")
    if slash and not _is_end(start, end.strip()):
        return None
    return _of_one(start.strip())


def _is_end(start: str, end: str) -> bool:
    """Whether a text can end a range: a time, its last parts where the start is a day, or nothing."""
    if end in _ENDLESS:
        return True
    # "2024/06" may be a month or a range of years.
    return (start.count("-") >= 2 and _SHORT_END.fullmatch(end) is not None) or _of_text(end) is not None


def _of_one(text: str) -> datetime.datetime:
    if _YEAR.fullmatch(text):
        return datetime.datetime(int(text), 1, 1)
    if match := _YEAR_MONTH.fullmatch(text):
        return datetime.datetime(int(match[1]), int(match[2]), 1)
    if match := re.match(r"(\d{4})-(\d{1,2})-(\d{1,2})(?=$|[ T])", text):  # a day or month of one digit too
        text = f"{match[1]}-{int(match[2]):02d}-{int(match[3]):02d}{text[match.end() :]}"
    return _utc(datetime.datetime.fromisoformat(text))


def _utc(time: datetime.datetime) -> datetime.datetime:
    return time if time.tzinfo is None else time.astimezone(datetime.UTC).replace(tzinfo=None)
