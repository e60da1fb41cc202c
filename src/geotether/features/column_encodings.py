"""Encodings of columns: one class per kind, fitted to a column and stored as plain values."""

import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float64

from geotether.features.column_kinds import UnsuitedError
from geotether.files.numbers import numbers_of
from geotether.files.values import is_list, is_number
from geotether.geodesy.dates import times_of

# Gaps get a feature of their own if they are more frequent than this among the fitted rows.
MISSING_SHARE = 0.001
# Above this skewness (Fisher-Pearson), numbers that are never negative become logarithms.
SKEWED = 2.0
_IQR_OF_NORMAL = 1.3489795003921634  # of a standard normal distribution, so that the scale is a standard deviation
_TRUE, _FALSE = {"true", "yes", "t", "y", "1", "1.0"}, {"false", "no", "f", "n", "0", "0.0"}
DAYS_OF_YEAR = 365.2425
# Values, not finite where there is none; and where a cell is neither empty nor a value.
Cells = tuple[np.ndarray, Bool[np.ndarray, " n"]]
# Where cells are empty, and where they cannot be read.
Read = tuple[Bool[np.ndarray, " n"], Bool[np.ndarray, " n"]]


def column_numbers(column: pa.ChunkedArray) -> Cells:
    """Read numbers; booleans are 0 and 1, and texts that are numbers count as such."""
    values, odd = numbers_of(column.cast(pa.int8()) if pa.types.is_boolean(column.type) else column)
    bad = np.zeros(len(values), dtype=bool)
    bad[list(odd)] = True
    return values, bad


def column_booleans(column: pa.ChunkedArray) -> Cells:
    """Read booleans as 1 and 0: true, yes, 1 and false, no, 0 in upper or lower case."""
    if is_number(column.type) or pa.types.is_boolean(column.type):
        values, _ = column_numbers(column)
        bad = ~np.isnan(values) & ~np.isin(values, (0, 1))
        return np.where(bad, np.nan, values), bad
    words = ["" if value is None else str(value).strip().lower() for value in column.to_pylist()]
    values = np.array([1.0 if word in _TRUE else 0.0 if word in _FALSE else np.nan for word in words])
    return values, np.isnan(values) & np.array([word != "" for word in words], dtype=bool)


def levels_of(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Read classes as rows and values (texts), each pair once; a cell may be a list or empty."""
    rows = np.arange(len(column))
    if is_list(column.type):
        whole = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
        rows = np.asarray(pc.list_parent_indices(whole).to_numpy(zero_copy_only=False), dtype=np.int64)
        column = pc.list_flatten(column)
    texts = [_level(value) for value in column.to_pylist()]
    pairs = dict.fromkeys((row, text) for row, text in zip(rows.tolist(), texts, strict=True) if text)
    return np.array([row for row, _ in pairs], dtype=np.int64), np.array([text for _, text in pairs], dtype=object)


def days_hours_years(times: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Split dates into days since 1 January, hours since midnight, and the year with its fraction.

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
    """Return a value as text; whole numbers read the same in columns of floats, which have gaps, and of integers."""
    if value is None or value != value:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


class Encoding(ABC):
    """The features of one column; a subclass is a frozen dataclass of plain values, `flag` gives gaps a feature."""

    kind: ClassVar[str]
    name: str
    flag: bool

    def names(self) -> list[str]:
        """Return the names of the features."""
        return [*self._names(), *[f"{self.name} missing"] * self.flag]

    def encode(self, column: pa.ChunkedArray) -> Float64[np.ndarray, "n k"]:
        """Compute the features."""
        parts, gap = self._parts(column)
        return np.column_stack([np.asarray(part, dtype=np.float64) for part in [*parts, *[gap] * self.flag]])

    @abstractmethod
    def read(self, column: pa.ChunkedArray) -> Read:
        """Return where cells are empty, and where they cannot be read."""

    @abstractmethod
    def _names(self) -> list[str]:
        """Return the names of the features except that of gaps."""

    @abstractmethod
    def _parts(self, column: pa.ChunkedArray) -> tuple[Sequence[np.ndarray], np.ndarray]:
        """Compute these features, of shape (n,) or (n, k) each, and where the gaps are."""


class ValueEncoding(Encoding):
    """An encoding of cells with one value each, read by `values_of`; values that are not finite are gaps."""

    values_of: ClassVar[Callable[..., Cells]]
    wanted: ClassVar[str]

    def read(self, column: pa.ChunkedArray) -> Read:
        """Return where cells are empty, and where they cannot be read."""
        values, bad = self.values_of(column)
        return ~np.isfinite(values), bad

    def _parts(self, column: pa.ChunkedArray) -> tuple[Sequence[np.ndarray], np.ndarray]:
        values, _ = self.values_of(column)
        gap = ~np.isfinite(values)
        return self._features(values, gap), gap

    @abstractmethod
    def _features(self, values: np.ndarray, gap: np.ndarray) -> list[np.ndarray]:
        """Compute the features of values, of shape (n,) each."""

    @classmethod
    def _given(cls, name: str, column: pa.ChunkedArray) -> tuple[np.ndarray, bool]:
        """Return the values to fit to, and whether gaps are frequent enough for a feature of their own."""
        values, bad = cls.values_of(column)
        if bad.sum() * 2 > (~np.isnan(values) | bad).sum():
            raise ValueError(f"Column {name!r} must contain {cls.wanted}; {bad.sum()} of {len(bad)} values do not.")
        given = values[np.isfinite(values)]
        if len(given) == 0:
            raise UnsuitedError("it has no values")
        return given, 1 - len(given) / len(values) > MISSING_SHARE


@dataclass(frozen=True)
class NumberEncoding(ValueEncoding):
    """(x - median) / (IQR / 1.35), clipped, after log(1 + x) if `log`; gaps are the median."""

    kind: ClassVar[str] = "numeric"
    values_of = staticmethod(column_numbers)
    wanted: ClassVar[str] = "numbers"
    name: str
    log: bool
    median: float
    scale: float
    clip: float
    flag: bool

    @classmethod
    def fit(cls, name: str, column: pa.ChunkedArray, log: bool | None, clip: float, flag: bool) -> "NumberEncoding":
        """Fit the scale; if `log` is None, the skewness decides."""
        given, gaps = cls._given(name, column)
        if log and given.min() < 0:
            raise ValueError(f"Column {name!r} has values below 0 (down to {given.min():g}); log is impossible.")
        if log is None:
            log = bool(
                given.min() >= 0 and _skewness(given) > SKEWED > 0 and _skewness(np.log1p(given)) < _skewness(given)
            )
        median, scale = _middle_and_spread(np.log1p(given) if log else given)
        if not scale > 0:
            raise UnsuitedError("constant")
        return cls(name, log, median, scale, clip, flag and gaps)

    def _names(self) -> list[str]:
        return [f"log {self.name}" if self.log else self.name]

    def _features(self, values: np.ndarray, gap: np.ndarray) -> list[np.ndarray]:
        if self.log:  # values below 0 in new rows count as 0
            values = np.log1p(np.where(gap, 0, values).clip(min=0))
        scaled = ((np.where(gap, self.median, values) - self.median) / self.scale).clip(-self.clip, self.clip)
        return [np.where(gap, 0.0, scaled)]


@dataclass(frozen=True)
class BooleanEncoding(ValueEncoding):
    """1 or 0; gaps are the share of ones."""

    kind: ClassVar[str] = "boolean"
    values_of = staticmethod(column_booleans)
    wanted: ClassVar[str] = "booleans (true, false, yes, no, 1, 0)"
    name: str
    share: float
    flag: bool

    @classmethod
    def fit(cls, name: str, column: pa.ChunkedArray, flag: bool) -> "BooleanEncoding":
        """Fit the share of ones."""
        given, gaps = cls._given(name, column)
        if given.min() == given.max() and not (flag and gaps):
            raise UnsuitedError("constant")
        return cls(name, float(given.mean()), flag and gaps)

    def _names(self) -> list[str]:
        return [self.name]

    def _features(self, values: np.ndarray, gap: np.ndarray) -> list[np.ndarray]:
        return [np.where(gap, self.share, values)]


@dataclass(frozen=True)
class LevelEncoding(Encoding):
    """One 0/1 feature per frequent value; others share one feature, or `buckets` by hash; gaps are 0 in all."""

    kind: ClassVar[str] = "categorical"
    name: str
    levels: list[str]
    buckets: int
    other: bool
    flag: bool

    @classmethod
    def fit(
        cls, name: str, column: pa.ChunkedArray, max_levels: int, min_count: int, buckets: int, flag: bool
    ) -> "LevelEncoding":
        """Find the frequent values."""
        row, level = levels_of(column)
        found, counts = np.unique(level, return_counts=True)
        order = np.lexsort((found, -counts))
        frequent = [int(place) for place in order if counts[place] >= min_count][:max_levels]
        rare = int(counts.sum() - counts[frequent].sum())
        missing = 1 - len(np.unique(row)) / max(len(column), 1)
        if not frequent and not (buckets and rare):
            most = f"the most frequent occurs {counts.max()} times" if len(counts) else "it has no values"
            raise UnsuitedError(f"no value occurs {min_count} times (min_count); {most}")
        flag = flag and missing > MISSING_SHARE
        if len(found) == 1 and missing == 0:
            raise UnsuitedError("constant")
        # If every row has a level, the last feature follows from the others, which does no harm.
        return cls(name, [str(found[place]) for place in frequent], buckets, not buckets and rare >= min_count, flag)

    def read(self, column: pa.ChunkedArray) -> Read:
        """Return where cells are empty; any value can be read."""
        return _without(levels_of(column)[0], len(column)), np.zeros(len(column), dtype=bool)

    def _names(self) -> list[str]:
        rest = [f"{self.name}=#{bucket}" for bucket in range(self.buckets)] + [f"{self.name}=other"] * self.other
        return [f"{self.name}={level}" for level in self.levels] + rest

    def _parts(self, column: pa.ChunkedArray) -> tuple[Sequence[np.ndarray], np.ndarray]:
        row, level = levels_of(column)
        place = {value: number for number, value in enumerate(self.levels)}
        matrix = np.zeros((len(column), len(self._names())))
        known = np.array([place.get(value, -1) for value in level.tolist()], dtype=np.int64)
        matrix[row[known >= 0], known[known >= 0]] = 1
        for at, value in zip(row[known < 0].tolist(), level[known < 0].tolist(), strict=True):
            if self.buckets:
                matrix[at, len(self.levels) + zlib.crc32(value.encode()) % self.buckets] = 1
            elif self.other:
                matrix[at, len(self.levels)] = 1
        return [matrix], _without(row, len(column))


@dataclass(frozen=True)
class DateEncoding(ValueEncoding):
    """Day of the year and hour as points on circles, and the scaled year; only those that vary."""

    kind: ClassVar[str] = "date"
    values_of = staticmethod(times_of)
    wanted: ClassVar[str] = "dates"
    name: str
    year: float
    spread: float
    has_days: bool
    has_hours: bool
    clip: float
    flag: bool

    @classmethod
    def fit(cls, name: str, column: pa.ChunkedArray, clip: float, flag: bool) -> "DateEncoding":
        """Find which parts vary."""
        given, gaps = cls._given(name, column)
        day, hour, year = days_hours_years(given)
        median, spread = _middle_and_spread(year)
        spread = spread if np.ptp(np.floor(year)) else 0.0
        has_days, has_hours = bool(np.ptp(np.floor(day)) > 0), bool(np.ptp(hour) > 0)
        if not (spread or has_days or has_hours):
            raise UnsuitedError("constant")
        return cls(name, median, spread, has_days, has_hours, clip, flag and gaps)

    def _names(self) -> list[str]:
        days, hours = ["sin day of year", "cos day of year"] * self.has_days, ["sin hour", "cos hour"] * self.has_hours
        return [f"{self.name} {part}" for part in [*days, *["year"] * bool(self.spread), *hours]]

    def _features(self, values: np.ndarray, gap: np.ndarray) -> list[np.ndarray]:
        day, hour, year = days_hours_years(np.where(gap, np.datetime64("2000-01-01", "ms"), values))
        found = []
        if self.has_days:
            found += [np.sin(2 * np.pi * day / DAYS_OF_YEAR), np.cos(2 * np.pi * day / DAYS_OF_YEAR)]
        if self.spread:
            found.append(((year - self.year) / self.spread).clip(-self.clip, self.clip))
        if self.has_hours:
            found += [np.sin(2 * np.pi * hour / 24), np.cos(2 * np.pi * hour / 24)]
        return [np.where(gap, 0.0, part) for part in found]


_CLASSES: dict[str, Any] = {c.kind: c for c in (NumberEncoding, BooleanEncoding, LevelEncoding, DateEncoding)}


def plain_encoding(encoding: Encoding) -> dict[str, Any]:
    """Return an encoding as plain values."""
    return {"kind": encoding.kind} | vars(encoding)


def encoding_of_plain(values: dict[str, Any]) -> Encoding:
    """Restore an encoding from the values of `plain_encoding`."""
    return _CLASSES[values["kind"]](**{name: value for name, value in values.items() if name != "kind"})


def _middle_and_spread(values: np.ndarray) -> tuple[float, float]:
    """Return the median, and the interquartile range as a standard deviation, or the latter if the range is 0."""
    low, median, high = np.percentile(values, [25, 50, 75])
    # More than half the rows may share one value, such as airports without a route.
    return float(median), float((high - low) / _IQR_OF_NORMAL or values.std())


def _skewness(values: np.ndarray) -> float:
    centred = values - values.mean()
    spread = values.std()
    return float((centred**3).mean() / spread**3) if spread > 0 else 0.0


def _without(rows: np.ndarray, count: int) -> np.ndarray:
    """Return which of `count` rows are not in `rows`."""
    gap = np.ones(count, dtype=bool)
    gap[rows] = False
    return gap
