"""The feature table: what was seen, where; the whole contract of a modality."""

import copy
import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from geotether.geodesy.coordinates import check_lonlat, wrap_longitude
from geotether.tables.origin import Origin
from geotether.tables.row_columns import row_ids, row_split, row_times

_BYTES_AT_ONCE = 2**26


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """Places with a feature vector each: one modality.

    Everything is checked once, here; who holds a FeatureTable need not check again. Its arrays are not to
    be written to, since `content_hash` is computed once.

    Args:
        name: Name of the modality, such as "satellite".
        lonlat: Longitude and latitude in degrees, WGS 84, float64, shape (n, 2), n at least 2.
        features: Shape (n, d), d at least 1, finite, float32; other numbers are converted. May be a memory map.
        id: One text a row, all different, shape (n,); by default "0" to "n-1".
        time: When it was seen, datetime64 (kept in milliseconds, UTC), shape (n,), or None.
        labels: By name, numbers, booleans or texts of shape (n,). Numbers may be NaN where unknown.
        split: One of `SPLITS` a row, shape (n,), or None where the table was not split.
        origin: Licence, source and how it was made; not part of `content_hash`.

    Raises:
        TypeError: If features, coordinates or labels do not hold what they should.
        ValueError: If the table has fewer than two rows or no features, a value is not finite, all rows
            have the same features, coordinates are not (longitude, latitude), lengths differ, or ids repeat.

    Example:
        >>> lonlat = np.array([[5.66, 51.97], [151.21, -33.87]])
        >>> table = FeatureTable("rain", lonlat, np.array([[0.9], [1.2]], dtype=np.float32))
        >>> len(table), table.dim, table.id.tolist()
        (2, 1, ['0', '1'])
    """

    name: str
    lonlat: np.ndarray
    features: np.ndarray
    id: np.ndarray = field(default_factory=lambda: np.empty(0, dtype="<U1"))
    time: np.ndarray | None = None
    labels: dict[str, np.ndarray] = field(default_factory=dict)
    split: np.ndarray | None = None
    origin: Origin = field(default_factory=Origin)

    def __post_init__(self) -> None:
        """Check and convert every column."""
        if not self.name:
            raise ValueError("A feature table needs a name, such as name='satellite'.")
        try:
            self._set(features=_features(self.features), lonlat=np.asarray(self.lonlat, dtype=np.float64))
            self._check_lengths()
            check_lonlat(self.lonlat)
            _check_features(self.features)
            self._set(lonlat=_wrapped(self.lonlat), id=row_ids(self.id, len(self)))
            self._set(labels={name: _label(name, values) for name, values in self.labels.items()})
            if self.time is not None:
                self._set(time=row_times(self.time))
            if self.split is not None:
                self._set(split=row_split(self.split))
        except (TypeError, ValueError) as error:
            raise type(error)(f"Table {self.name!r}: {error}") from error

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.features)

    def __repr__(self) -> str:
        """Say what the table holds in one line."""
        extra = [f"labels {', '.join(self.labels)}"] if self.labels else []
        return f"FeatureTable({', '.join([repr(self.name), f'{len(self)} rows', f'{self.dim} features', *extra])})"

    @property
    def dim(self) -> int:
        """Number of features."""
        return self.features.shape[1]

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of all columns in hexadecimal; the table's name and origin are not part of it."""
        digest = hashlib.sha256()
        columns: dict[str, Any] = {"lonlat": self.lonlat, "features": self.features, "id": self.id}
        columns |= {"time": self.time, "split": self.split}
        columns |= {f"label:{name}": self.labels[name] for name in sorted(self.labels)}
        for name, values in columns.items():
            if values is None:
                continue
            if values.dtype.kind == "U":  # the width of a text column says nothing; the texts do
                lengths = np.char.str_len(values).astype("<i8").tobytes()
                digest.update(json.dumps([name, "text", len(values)]).encode() + lengths)
                digest.update("".join(values.tolist()).encode("utf-8", "surrogatepass"))
                continue
            values = values.astype(values.dtype.newbyteorder("<"), copy=False)
            digest.update(json.dumps([name, values.dtype.str, values.shape]).encode())
            for _, part in _parts(values):
                digest.update(np.ascontiguousarray(part).tobytes())
        return digest.hexdigest()

    def rows(self, which: np.ndarray | slice) -> "FeatureTable":
        """Take some of the rows.

        Args:
            which: A mask of shape (n,), row numbers, or a slice. Of a memory-mapped table, rows go into
                another memory map, so that memory stays free; a slice copies nothing.

        Returns:
            A table with these rows in this order, under the same name. Ids stay with their rows.

        Raises:
            IndexError: If a row number or the length of a mask does not fit.
            ValueError: If fewer than two rows are left.
        """
        if isinstance(which, np.ndarray) and which.dtype.kind not in "biu":
            raise TypeError(f"Rows are chosen by a mask, row numbers or a slice, got an array of {which.dtype}.")
        taken = copy.copy(self)
        taken.__dict__.pop("content_hash", None)
        if not isinstance(which, slice) and which.dtype.kind == "b" and len(which) != len(self):
            raise IndexError(f"A mask for table {self.name!r} needs {len(self)} values, got {len(which)}.")
        numbers = np.arange(len(self))[which]
        if len(numbers) < 2:
            raise ValueError(f"Table {self.name!r}: {len(numbers)} of {len(self)} rows are left; it needs at least 2.")
        features = self.features[which] if isinstance(which, slice) else _take(self.features, numbers)
        taken._set(lonlat=self.lonlat[which], features=features, id=self.id[which])
        taken._set(labels={name: values[which] for name, values in self.labels.items()})
        taken._set(time=None if self.time is None else self.time[which])
        taken._set(split=None if self.split is None else self.split[which])
        return taken

    def training_rows(self) -> "FeatureTable":
        """Take the rows whose split is "train"; all rows where the table was not split."""
        return self if self.split is None else self._of_split("train")

    def validation_rows(self) -> "FeatureTable":
        """Take the rows whose split is "validation".

        Raises:
            ValueError: If there are fewer than two.
        """
        return self._of_split("validation")

    def _of_split(self, name: str) -> "FeatureTable":
        found = [] if self.split is None else np.unique(self.split).tolist()
        mask = np.zeros(len(self), bool) if self.split is None else self.split == name
        if mask.sum() < 2:
            raise ValueError(
                f"Table {self.name!r} has {mask.sum()} rows for {name}, at least 2 are needed; "
                + (f"its split names {', '.join(found)}." if found else "give it a split with assign_split.")
            )
        return self if mask.all() else self.rows(mask)

    def _set(self, **columns: Any) -> None:
        for name, values in columns.items():
            object.__setattr__(self, name, values)

    def _check_lengths(self) -> None:
        if len(self.features) < 2:
            count = "no rows" if len(self.features) == 0 else "only one row"
            raise ValueError(f"it has {count}; contrast needs at least two places.")
        columns = {"lonlat": self.lonlat, "id": self.id, "time": self.time, "split": self.split}
        columns |= {f"label {name!r}": values for name, values in self.labels.items()}
        for name, values in columns.items():
            if values is None or (name == "id" and len(values) == 0):
                continue
            if len(values) != len(self.features):
                raise ValueError(f"features have {len(self.features)} rows and {name} has {len(values)}.")
            if name != "lonlat" and np.ndim(values) != 1:
                raise ValueError(f"{name} needs one value a row, got shape {np.shape(values)}.")


def _parts(values: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Runs of rows of bounded size with the number of their first row, so that a memory map stays on disk."""
    step = max(1, _BYTES_AT_ONCE // max(1, values[:1].nbytes))
    for start in range(0, len(values), step):
        yield start, values[start : start + step]


def _take(features: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Rows of an array; those of a memory map go into a nameless memory map on the same disk."""
    if not isinstance(features, np.memmap):
        return features[numbers]
    source = getattr(features, "filename", None)
    with tempfile.TemporaryFile(dir=Path(source).parent if source else None) as file:
        step = max(1, _BYTES_AT_ONCE // features[:1].nbytes)
        for start in range(0, len(numbers), step):
            file.write(
                features[numbers[start : start + step]].tobytes()
            )  # not through a map: a full disk would kill the process
        file.flush()
        return np.memmap(file, features.dtype, "r", shape=(len(numbers), features.shape[1]))


def _features(features: np.ndarray) -> np.ndarray:
    features = np.asanyarray(features)
    if features.dtype.kind not in "fiub":
        raise TypeError(f"features must be numbers, got {features.dtype}.")
    if features.ndim != 2:
        raise ValueError(f"features need shape (n, d), got {features.shape}; one feature is shape (n, 1).")
    if features.shape[1] == 0:
        raise ValueError("it has no features: d must be 1 or more.")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite and is named below
        return features if features.dtype == np.float32 else features.astype(np.float32)


def _first(features: np.ndarray, bad: Callable[[np.ndarray], np.ndarray]) -> tuple[int, int] | None:
    """Row and column of the first value for which `bad` holds."""
    for start, part in _parts(features):
        wrong = bad(part)
        if wrong.any():
            row, column = divmod(int(wrong.argmax()), wrong.shape[1])
            return start + row, column
    return None


def _check_features(features: np.ndarray) -> None:
    where = _first(features, lambda part: ~np.isfinite(part))
    if where is not None:
        raise ValueError(
            f"features must be finite float32 numbers; row {where[0]}, column {where[1]} is {features[where]}. "
            "Leave such rows out or fill them in."
        )
    if _first(features, lambda part: part != features[:1]) is None:
        raise ValueError("all rows have the same features, so there is nothing to learn from them.")


def _wrapped(lonlat: np.ndarray) -> np.ndarray:
    return np.stack([wrap_longitude(lonlat[:, 0]), lonlat[:, 1]], axis=1)


def _label(name: str, values: np.ndarray) -> np.ndarray:
    values = np.asarray(values)
    if values.dtype.kind == "O":
        wrong = [row for row, value in enumerate(values) if not isinstance(value, str)]
        if wrong:
            raise TypeError(f"label {name!r} must hold numbers or texts, but row {wrong[0]} is {values[wrong[0]]!r}.")
        values = values.astype(str)
    if values.dtype.kind not in "fiubU":
        raise TypeError(f"label {name!r} must hold numbers or texts, got {values.dtype}.")
    return values
