"""How one column becomes numbers: one class a kind, fitted to a column, kept as plain values."""

import zlib
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float64

from geotether.features.column_kinds import UnsuitedError
from geotether.features.column_values import DAYS_OF_YEAR, days_hours_years, levels_of, numbers_of, truths_of
from geotether.geodesy.dates import times_of

# A gap is told of by a feature of its own where more of the fitted rows than this have one.
MISSING_SHARE = 0.001
# Beyond this skewness (Fisher-Pearson), numbers that are never negative become logarithms.
SKEWED = 2.0
_IQR_OF_NORMAL = 1.3489795003921634  # of a standard normal distribution, so that the scale is a standard deviation
Read = tuple[Bool[np.ndarray, " n"], Bool[np.ndarray, " n"]]


@dataclass(frozen=True)
class NumberEncoding:
    """(x - median) / (IQR / 1.35), clipped, after log(1 + x) where `log`; a gap is the median."""

    kind: ClassVar[str] = "numeric"
    name: str
    log: bool
    median: float
    scale: float
    clip: float
    flag: bool

    @classmethod
    def fit(cls, name: str, column: pa.ChunkedArray, log: bool | None, clip: float, flag: bool) -> "NumberEncoding":
        """Learn the scale; `log` None decides by the skewness."""
        values, bad = numbers_of(column)
        _mostly_readable(name, bad, values, "numbers")
        given = values[np.isfinite(values)]
        if len(given) == 0:
            raise UnsuitedError("it has no values")
        if log and given.min() < 0:
            raise ValueError(f"Column {name!r} has values below 0 (down to {given.min():g}); it cannot be in log.")
        if log is None:
            log = bool(
                given.min() >= 0 and _skewness(given) > SKEWED > 0 and _skewness(np.log1p(given)) < _skewness(given)
            )
        given = np.log1p(given) if log else given
        low, median, high = np.percentile(given, [25, 50, 75])
        # More than half the rows may share one value, such as airports without a route.
        scale = (high - low) / _IQR_OF_NORMAL or given.std()
        if not scale > 0:
            raise UnsuitedError("constant")
        missing = 1 - len(given) / len(values)
        return cls(name, log, float(median), float(scale), clip, flag and missing > MISSING_SHARE)

    def names(self) -> list[str]:
        """Name the features."""
        return [f"log {self.name}" if self.log else self.name] + [f"{self.name} missing"] * self.flag

    def encode(self, column: pa.ChunkedArray) -> Float64[np.ndarray, "n k"]:
        """Compute them."""
        values, _ = numbers_of(column)
        gap = ~np.isfinite(values)
        if self.log:  # a value below 0 among new rows counts as 0
            values = np.log1p(np.where(gap, 0, values).clip(min=0))
        scaled = ((np.where(gap, self.median, values) - self.median) / self.scale).clip(-self.clip, self.clip)
        return _columns([np.where(gap, 0.0, scaled), *[gap] * self.flag])

    def read(self, column: pa.ChunkedArray) -> Read:
        """Tell gaps and values that cannot be read."""
        values, bad = numbers_of(column)
        return ~np.isfinite(values), bad


@dataclass(frozen=True)
class BooleanEncoding:
    """1 or 0; a gap is the share of ones."""

    kind: ClassVar[str] = "boolean"
    name: str
    share: float
    flag: bool

    @classmethod
    def fit(cls, name: str, column: pa.ChunkedArray, flag: bool) -> "BooleanEncoding":
        """Learn the share."""
        values, bad = truths_of(column)
        _mostly_readable(name, bad, values, "truths (true, false, yes, no, 1, 0)")
        given = values[~np.isnan(values)]
        if len(given) == 0:
            raise UnsuitedError("it has no values")
        flag = flag and 1 - len(given) / len(values) > MISSING_SHARE
        if given.min() == given.max() and not flag:
            raise UnsuitedError("constant")
        return cls(name, float(given.mean()), flag)

    def names(self) -> list[str]:
        """Name the features."""
        return [self.name] + [f"{self.name} missing"] * self.flag

    def encode(self, column: pa.ChunkedArray) -> Float64[np.ndarray, "n k"]:
        """Compute them."""
        values, _ = truths_of(column)
        gap = np.isnan(values)
        return _columns([np.where(gap, self.share, values), *[gap] * self.flag])

    def read(self, column: pa.ChunkedArray) -> Read:
        """Tell gaps and values that cannot be read."""
        values, bad = truths_of(column)
        return np.isnan(values), bad


@dataclass(frozen=True)
class LevelEncoding:
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

    def names(self) -> list[str]:
        """Name the features."""
        rest = [f"{self.name}=#{bucket}" for bucket in range(self.buckets)] + [f"{self.name}=other"] * self.other
        return [f"{self.name}={level}" for level in self.levels] + rest + [f"{self.name} missing"] * self.flag

    def encode(self, column: pa.ChunkedArray) -> Float64[np.ndarray, "n k"]:
        """Compute them."""
        row, level = levels_of(column)
        place = {value: number for number, value in enumerate(self.levels)}
        matrix = np.zeros((len(column), len(self.names())))
        known = np.array([place.get(value, -1) for value in level.tolist()], dtype=np.int64)
        matrix[row[known >= 0], known[known >= 0]] = 1
        for at, value in zip(row[known < 0].tolist(), level[known < 0].tolist(), strict=True):
            if self.buckets:
                matrix[at, len(self.levels) + zlib.crc32(value.encode()) % self.buckets] = 1
            elif self.other:
                matrix[at, len(self.levels)] = 1
        if self.flag:
            matrix[:, -1] = 1
            matrix[row, -1] = 0
        return matrix

    def read(self, column: pa.ChunkedArray) -> Read:
        """Tell gaps and values that cannot be read."""
        gap = np.ones(len(column), dtype=bool)
        gap[levels_of(column)[0]] = False
        return gap, np.zeros(len(column), dtype=bool)


@dataclass(frozen=True)
class DateEncoding:
    """Day of the year as a point on a circle, the year scaled, the hour on a circle; those of them that vary."""

    kind: ClassVar[str] = "date"
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
        times, bad = times_of(column)
        _mostly_readable(name, bad, times, "dates")
        given = times[~np.isnat(times)]
        if len(given) == 0:
            raise UnsuitedError("it has no values")
        day, hour, year = days_hours_years(given)
        low, median, high = np.percentile(year, [25, 50, 75])
        spread = ((high - low) / _IQR_OF_NORMAL or year.std()) if np.ptp(np.floor(year)) else 0.0
        has_days, has_hours = bool(np.ptp(np.floor(day)) > 0), bool(np.ptp(hour) > 0)
        if not (spread or has_days or has_hours):
            raise UnsuitedError("constant")
        missing = 1 - len(given) / len(times)
        return cls(name, float(median), float(spread), has_days, has_hours, clip, flag and missing > MISSING_SHARE)

    def names(self) -> list[str]:
        """Name the features."""
        days, hours = ["sin day of year", "cos day of year"] * self.has_days, ["sin hour", "cos hour"] * self.has_hours
        return [
            f"{self.name} {part}" for part in [*days, *["year"] * bool(self.spread), *hours, *["missing"] * self.flag]
        ]

    def encode(self, column: pa.ChunkedArray) -> Float64[np.ndarray, "n k"]:
        """Compute them."""
        times, _ = times_of(column)
        gap = np.isnat(times)
        day, hour, year = days_hours_years(np.where(gap, np.datetime64("2000-01-01", "ms"), times))
        found = []
        if self.has_days:
            found += [np.sin(2 * np.pi * day / DAYS_OF_YEAR), np.cos(2 * np.pi * day / DAYS_OF_YEAR)]
        if self.spread:
            found.append(((year - self.year) / self.spread).clip(-self.clip, self.clip))
        if self.has_hours:
            found += [np.sin(2 * np.pi * hour / 24), np.cos(2 * np.pi * hour / 24)]
        return _columns([*[np.where(gap, 0.0, values) for values in found], *[gap] * self.flag])

    def read(self, column: pa.ChunkedArray) -> Read:
        """Tell gaps and values that cannot be read."""
        times, bad = times_of(column)
        return np.isnat(times), bad


Encoding = NumberEncoding | BooleanEncoding | LevelEncoding | DateEncoding
_CLASSES: dict[str, Any] = {c.kind: c for c in (NumberEncoding, BooleanEncoding, LevelEncoding, DateEncoding)}


def plain_encoding(encoding: Encoding) -> dict[str, Any]:
    """Give an encoding as plain values."""
    return {"kind": encoding.kind} | asdict(encoding)


def encoding_of_plain(values: dict[str, Any]) -> Encoding:
    """Take back what `plain_encoding` gave."""
    return _CLASSES[values["kind"]](**{name: value for name, value in values.items() if name != "kind"})


def _mostly_readable(name: str, bad: np.ndarray, values: np.ndarray, wanted: str) -> None:
    """Single values that cannot be read cost their rows; where most are, the declaration is wrong."""
    if bad.sum() * 2 > (~np.isnan(values) | bad).sum():
        raise ValueError(f"Column {name!r} must hold {wanted}, but {bad.sum()} of {len(bad)} values are none.")


def _skewness(values: np.ndarray) -> float:
    centred = values - values.mean()
    spread = values.std()
    return float((centred**3).mean() / spread**3) if spread > 0 else 0.0


def _columns(parts: list[np.ndarray]) -> np.ndarray:
    return np.stack([np.asarray(part, dtype=np.float64) for part in parts], axis=1)
