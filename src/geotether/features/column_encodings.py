"""How one column becomes numbers: one class a kind, fitted to a column, kept as plain values."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from geotether.features.column_encoding import MISSING_SHARE, Encoding, Read, ValueEncoding
from geotether.features.column_kinds import UnsuitedError
from geotether.features.column_values import DAYS_OF_YEAR, days_hours_years, levels_of, numbers_of, truths_of
from geotether.geodesy.dates import times_of

# Beyond this skewness (Fisher-Pearson), numbers that are never negative become logarithms.
SKEWED = 2.0
_IQR_OF_NORMAL = 1.3489795003921634  # of a standard normal distribution, so that the scale is a standard deviation


@dataclass(frozen=True)
class NumberEncoding(ValueEncoding):
    """(x - median) / (IQR / 1.35), clipped, after log(1 + x) where `log`; a gap is the median."""

    kind: ClassVar[str] = "numeric"
    values_of = staticmethod(numbers_of)
    wanted: ClassVar[str] = "numbers"
    name: str
    log: bool
    median: float
    scale: float
    clip: float
    flag: bool

    @classmethod
    def fit(cls, name: str, column: pa.ChunkedArray, log: bool | None, clip: float, flag: bool) -> "NumberEncoding":
        """Learn the scale; `log` None decides by the skewness."""
        given, gaps = cls._given(name, column)
        if log and given.min() < 0:
            raise ValueError(f"Column {name!r} has values below 0 (down to {given.min():g}); it cannot be in log.")
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
        if self.log:  # a value below 0 among new rows counts as 0
            values = np.log1p(np.where(gap, 0, values).clip(min=0))
        scaled = ((np.where(gap, self.median, values) - self.median) / self.scale).clip(-self.clip, self.clip)
        return [np.where(gap, 0.0, scaled)]


@dataclass(frozen=True)
class BooleanEncoding(ValueEncoding):
    """1 or 0; a gap is the share of ones."""

    kind: ClassVar[str] = "boolean"
    values_of = staticmethod(truths_of)
    wanted: ClassVar[str] = "truths (true, false, yes, no, 1, 0)"
    name: str
    share: float
    flag: bool

    @classmethod
    def fit(cls, name: str, column: pa.ChunkedArray, flag: bool) -> "BooleanEncoding":
        """Learn the share."""
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
    """One 0/1 feature for each frequent value; the others share one, or `buckets` by their hash; a gap is 0 in all."""

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
        """Learn the frequent values."""
        row, level = levels_of(column)
        found, counts = np.unique(level, return_counts=True)
        order = np.lexsort((found, -counts))
        frequent = [int(place) for place in order if counts[place] >= min_count][:max_levels]
        rare = int(counts.sum() - counts[frequent].sum())
        missing = 1 - len(np.unique(row)) / max(len(column), 1)
        if not frequent and not (buckets and rare):
            most = f"the commonest comes {counts.max()} times" if len(counts) else "it has no values"
            raise UnsuitedError(f"no value comes {min_count} times (min_count); {most}")
        flag = flag and missing > MISSING_SHARE
        if len(found) == 1 and missing == 0:
            raise UnsuitedError("constant")
        # With one level or with all rows in some level the last column would follow from the others; it does no harm.
        return cls(name, [str(found[place]) for place in frequent], buckets, not buckets and rare >= min_count, flag)

    def read(self, column: pa.ChunkedArray) -> Read:
        """Tell gaps; any value can be read."""
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
    """Day of the year as a point on a circle, the year scaled, the hour on a circle; those of them that vary."""

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
        """Learn what varies."""
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
    """Give an encoding as plain values."""
    return {"kind": encoding.kind} | vars(encoding)


def encoding_of_plain(values: dict[str, Any]) -> Encoding:
    """Take back what `plain_encoding` gave."""
    return _CLASSES[values["kind"]](**{name: value for name, value in values.items() if name != "kind"})


def _middle_and_spread(values: np.ndarray) -> tuple[float, float]:
    """The median; and the interquartile range as a standard deviation, or that itself where the range is 0."""
    low, median, high = np.percentile(values, [25, 50, 75])
    # More than half the rows may share one value, such as airports without a route.
    return float(median), float((high - low) / _IQR_OF_NORMAL or values.std())


def _skewness(values: np.ndarray) -> float:
    centred = values - values.mean()
    spread = values.std()
    return float((centred**3).mean() / spread**3) if spread > 0 else 0.0


def _without(rows: np.ndarray, count: int) -> np.ndarray:
    """Which of so many rows are not among these."""
    gap = np.ones(count, dtype=bool)
    gap[rows] = False
    return gap
