"""The table: rows of observations of one or several modalities, with their places, times, targets and splits."""

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import InitVar, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from geotether.geodesy.coordinates import check_lonlat, wrap_longitude
from geotether.suggestions import closest
from geotether.tables.modality import Modality, parts_of, refuse_masked, set_fields, take_rows, text_array
from geotether.tables.origin import Origin
from geotether.tables.target import Target

SPLITS = ("train", "validation", "test", "buffer")
COLUMNS = ("id", "lonlat", "time", "split", "group")
POOL_BLOCKS = 2048
"""Blocks whose rows are shuffled together, in tables that are drawn by blocks."""


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of observations: the form in which data reach training.

    Everything is checked once, here. Do not write to the arrays: `content_hash` is computed once.

    A table for training with locations has one complete modality and a place in every row; make it with
    `Table.single`. A table of samples that several sensors observed has several modalities.

    Args:
        name: Name of the data, such as "satellite".
        modalities: Name to observations; equally many rows each, some of which may lack a modality.
        targets: Name to `Target`, or to an array of shape (n,) from which `Target.of_column` makes one.
        id: One text per row, all different, shape (n,); by default "0" to "n-1".
        lonlat: Longitude and latitude in degrees, WGS 84, float64, shape (n, 2), or None.
        time: datetime64 (kept in milliseconds, UTC), shape (n,), or None.
        split: One of `SPLITS` ("val" means "validation") per row, shape (n,), or None.
        group: One text per row, such as a block or plot: folds keep rows of one group together; or None.
        origin: Licence, source and how the table was made; not part of `content_hash`.
        transform: How its features were computed: the path of the transform beside its file, or the name and the
            fitted features; None if unknown. Not part of `content_hash`.
        block_rows: Number of consecutive rows in a block, if batches are drawn by blocks, as is needed to read a table
            that does not fit in memory; see `geotether.batches.batch.rows_at`. None: row by row. Not part of
            `content_hash`.
        is_part: Whether these are rows of a larger table: a modality or target may then be missing in all of them.

    Raises:
        TypeError: If a column has the wrong type.
        ValueError: If there is no modality or row, lengths differ, ids repeat, a place is not (longitude, latitude), a
            split is unknown, or a modality or target is missing in all rows.

    Example:
        >>> radar = Modality("vector", np.array([[-9.6], [-8.1], [-7.7]]))
        >>> optical = Modality("vector", np.array([[0.31, 0.4], [np.nan, np.nan], [0.2, 0.1]]))
        >>> table = Table("fields", {"s1": radar, "s2": optical}, {"crop": np.array(["rye", "", "maize"])})
        >>> len(table), table.modality("s2").present.tolist(), table.target("crop").known.tolist()
        (3, [True, False, True], [True, False, True])
    """

    name: str
    modalities: Mapping[str, Modality]
    targets: Mapping[str, Any] = field(default_factory=dict)
    id: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=object))
    lonlat: Any = None  # an array or None; not typed as optional because location training always has places
    time: np.ndarray | None = None
    split: np.ndarray | None = None
    group: np.ndarray | None = None
    origin: Origin = field(default_factory=Origin)
    transform: Any = None
    block_rows: int | None = None
    is_part: InitVar[bool] = False

    @classmethod
    def single(
        cls,
        name: str,
        lonlat: np.ndarray,
        features: np.ndarray,
        *,
        targets: Mapping[str, Any] | None = None,
        **columns: Any,
    ) -> "Table":
        """Make a table of one modality: places with a feature vector each.

        Args:
            name: Name of the table and its modality, such as "satellite".
            lonlat: Longitude and latitude in degrees, WGS 84, shape (n, 2), n at least 2.
            features: Finite numbers, kept as float32, shape (n, d); may be a memory map.
            targets: By name, a `Target` or numbers, booleans or texts of shape (n,).
            **columns: Any of `id`, `time`, `split`, `group`, `origin`, `transform` and `block_rows`, as for `Table`.

        Raises:
            TypeError: If features, coordinates or targets have the wrong type.
            ValueError: If the table has fewer than two rows or no features, a feature is not finite, all rows have
                the same features, coordinates are not (longitude, latitude), lengths differ, or ids repeat.

        Example:
            >>> lonlat = np.array([[5.66, 51.97], [151.21, -33.87]])
            >>> table = Table.single("rain", lonlat, np.array([[0.9], [1.2]]))
            >>> len(table), table.dim, table.id.tolist()
            (2, 1, ['0', '1'])
        """
        try:
            modality = Modality("vector", features, complete=True)
        except (TypeError, ValueError) as error:
            raise type(error)(f"Table {name!r}: {error}") from error
        return cls(name, {name: modality}, targets or {}, lonlat=lonlat, **columns)

    @classmethod
    def of_checked(
        cls, name: str, modalities: Mapping[str, Modality], targets: Mapping[str, Target], **columns: Any
    ) -> "Table":
        """Make a table of columns that were checked and converted before, such as memory maps, without reading them."""
        rest: dict[str, Any] = dict.fromkeys([*COLUMNS, "transform", "block_rows"]) | {"origin": Origin()}
        return set_fields(object.__new__(cls), name=name, modalities=modalities, targets=targets, **rest | columns)

    def __post_init__(self, is_part: bool) -> None:
        """Check and convert every column."""
        if not self.name:
            raise ValueError("A table needs a name, such as name='satellite'.")
        try:
            if not self.modalities:
                raise ValueError("it has no modality; it needs at least one.")
            set_fields(self, modalities=dict(self.modalities), targets=_targets(self.targets))
            for name in COLUMNS:
                refuse_masked(getattr(self, name), name)
            self._check_lengths()
            set_fields(self, id=_ids(self.id, len(self)))
            if self.lonlat is not None:
                lonlat = np.asarray(self.lonlat, dtype=np.float64)
                check_lonlat(lonlat)
                set_fields(self, lonlat=np.stack([wrap_longitude(lonlat[:, 0]), lonlat[:, 1]], axis=1))
            if self.time is not None:
                time = np.asarray(self.time)
                if time.dtype.kind != "M":
                    raise TypeError(f"time must be datetime64, got {time.dtype}; use astype('datetime64[ms]').")
                set_fields(self, time=time.astype("datetime64[ms]"))
            if self.split is not None:
                set_fields(self, split=_split(self.split))
            if self.group is not None:
                set_fields(self, group=text_array(self.group))
            if not is_part and not self.is_single:
                self._check_used()
        except (TypeError, ValueError) as error:
            raise type(error)(f"Table {self.name!r}: {error}") from error

    def __len__(self) -> int:
        """Count the rows."""
        return len(self._first)

    def __repr__(self) -> str:
        """Describe the table in one line."""
        modalities = [f"{name} {one.shape}" for name, one in self.modalities.items()]
        return f"Table({', '.join([repr(self.name), f'{len(self)} rows', *modalities, *self.targets])})"

    @property
    def sensors(self) -> Mapping[str, Modality]:
        """The modalities, by their name in earlier versions."""
        return self.modalities

    @property
    def is_single(self) -> bool:
        """Whether the table has one complete modality and places, as training with locations needs."""
        return len(self.modalities) == 1 and self._first.complete and self.lonlat is not None

    @property
    def features(self) -> Any:
        """The features of the only modality, shape (n, d), float32; a ValueError unless `is_single`.

        An array, or `MappedRows` of a table that was too large for the memory.
        """
        if not self.is_single:
            raise ValueError(
                f"Table {self.name!r} has the modalities {', '.join(self.modalities)}; this needs a table of one "
                "modality with a place and complete features in every row, as Table.single makes."
            )
        return self._first.values

    @property
    def dim(self) -> int:
        """Number of features of the only modality."""
        return self.features.shape[1]

    def modality(self, name: str) -> Modality:
        """Return the observations of one modality; an unknown name is a ValueError."""
        return self._known("modality", name, self.modalities)

    def target(self, name: str) -> Target:
        """Return one target; an unknown name is a ValueError."""
        return self._known("target", name, self.targets)

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of all columns in hexadecimal, without the table's name and origin."""
        digest = hashlib.sha256()
        columns: dict[str, Any]
        if self.is_single and self.group is None:
            columns = {"lonlat": self.lonlat, "features": self.features, "id": self.id}
            columns |= {"time": self.time, "split": self.split}
            columns |= {f"label:{name}": target.column for name, target in sorted(self.targets.items())}
        else:
            columns = {name: getattr(self, name) for name in COLUMNS}
            for name, one in sorted(self.modalities.items()):
                digest.update(json.dumps([name, one.kind, one.bands]).encode())
                columns |= {f"present:{name}": one.present, f"values:{name}": one.values}
            for name, target in sorted(self.targets.items()):
                digest.update(json.dumps([name, target.kind, target.names]).encode())
                columns[f"target:{name}"] = target.values
        for name, values in columns.items():
            if values is not None:
                _hash_column(digest, name, values)
        return digest.hexdigest()

    def rows(self, which: np.ndarray | slice) -> "Table":
        """Take some of the rows.

        Args:
            which: A mask of shape (n,), row numbers, or a slice. Rows of a memory map are copied to another memory
                map; a slice copies nothing.

        Returns:
            A table of these rows in this order, under the same name. Ids stay with their rows. A modality may be
            present, or a target known, in none of them.

        Raises:
            TypeError: If `which` is none of these.
            IndexError: If a row number or the length of a mask does not fit.
            ValueError: If no row is left; of a table with a complete modality, fewer than two.
        """
        if not isinstance(which, slice):
            which = np.asarray(which)
            if which.dtype.kind not in "biu" or which.ndim != 1:
                raise TypeError(
                    f"Rows are chosen by a mask, row numbers or a slice, got {which.dtype} of shape {which.shape}."
                )
            if which.dtype.kind == "b" and len(which) != len(self):
                raise IndexError(f"A mask for table {self.name!r} needs {len(self)} values, got {len(which)}.")
            which = np.arange(len(self))[which]
        columns = {name: getattr(self, name) for name in COLUMNS}
        columns = {name: None if values is None else take_rows(values, which) for name, values in columns.items()}
        if len(columns["id"]) < self._fewest:
            left, fewest = len(columns["id"]), self._fewest
            raise ValueError(f"Table {self.name!r}: {left} of {len(self)} rows are left; it needs at least {fewest}.")
        taken = copy.copy(self)
        taken.__dict__.pop("content_hash", None)
        return set_fields(
            taken,
            modalities={name: one.rows(which) for name, one in self.modalities.items()},
            targets={name: target.rows(which) for name, target in self.targets.items()},
            **columns,
        )

    def part(self, split: str) -> "Table":
        """Take the rows of one split, as `numbers` gives them."""
        numbers = self.numbers(split)
        return self if len(numbers) == len(self) else self.rows(numbers)

    def numbers(self, split: str) -> np.ndarray:
        """Return the row numbers of one split; in a table without a split, all rows are "train".

        Raises:
            ValueError: If the name is unknown, or the split has no row (with a complete modality, fewer than two).
        """
        if split == "train" and self.split is None:
            return np.arange(len(self))
        wanted = _ALSO.get(split, split)
        if wanted not in SPLITS:
            self._known("split", split, dict.fromkeys(SPLITS))
        found = np.arange(0) if self.split is None else np.flatnonzero(self.split == wanted)
        if len(found) < self._fewest:
            hint = "it was not split: give it a split with assign_split."
            if self.split is not None:
                hint = f"its split names {', '.join(sorted(self.split_counts))}."
            count = len(found) or "no"
            raise ValueError(
                f"Table {self.name!r} has {count} rows for {split}, at least {self._fewest} are needed; {hint}"
            )
        return found

    @property
    def split_counts(self) -> dict[str, int]:
        """Number of rows of each part of the split; without a split, all rows are "train"."""
        if self.split is None:
            return {"train": len(self)}
        counts = {name: int((self.split == name).sum()) for name in SPLITS}
        return {name: count for name, count in counts.items() if count}

    @property
    def _first(self) -> Modality:
        return next(iter(self.modalities.values()))

    @property
    def _fewest(self) -> int:
        return 2 if any(one.complete for one in self.modalities.values()) else 1

    def _known(self, what: str, name: str, known: Mapping[str, Any]) -> Any:
        if name not in known:
            listed = ", ".join(known) or "none"
            raise ValueError(f"Table {self.name!r} has no {what} {name!r}; it has {listed}.{closest(name, known)}")
        return known[name]

    def _check_lengths(self) -> None:
        first, count = next(iter(self.modalities)), len(self)
        columns: dict[str, Any] = {f"modality {name!r}": one for name, one in self.modalities.items()}
        columns |= {f"target {name!r}": target for name, target in self.targets.items()}
        columns |= {name: getattr(self, name) for name in COLUMNS}
        for name, values in columns.items():
            if values is None or (name == "id" and len(values) == 0):
                continue
            if len(values) != count:
                raise ValueError(f"modality {first!r} has {count} rows and {name} has {len(values)}.")
            if name in COLUMNS and name != "lonlat" and np.ndim(values) != 1:
                raise ValueError(f"{name} needs one value per row, got shape {np.shape(values)}.")

    def _check_used(self) -> None:
        for name, one in self.modalities.items():
            if not one.present.any():
                raise ValueError(f"modality {name!r} is present in none of {len(self)} rows; leave it out.")
        for name, target in self.targets.items():
            if not target.known.any():
                raise ValueError(f"target {name!r} is unknown in all {len(self)} rows; leave it out.")


_ALSO = {"val": "validation"}


def _targets(given: Mapping[str, Any]) -> dict[str, Target]:
    targets = {}
    for name, one in given.items():
        try:
            targets[name] = one if isinstance(one, Target) else Target.of_column(name, one)
        except (TypeError, ValueError) as error:
            raise type(error)(f"target {name!r}: {error}") from error
    return targets


def _ids(values: Any, count: int) -> np.ndarray:
    ids = text_array(values if len(values) else range(count))
    if len(values) and len(set(ids)) < count:
        first: dict[str, int] = {}
        for row, name in enumerate(ids):
            if first.setdefault(name, row) != row:
                raise ValueError(f"ids must differ, but rows {first[name]} and {row} are both {name!r}.")
    return ids


def _split(values: Any) -> np.ndarray:
    values = text_array(values)
    known = {*SPLITS, *_ALSO}
    for row, value in enumerate(values):
        if value not in known:
            raise unknown_split(value, row)
    return np.array([_ALSO.get(value, value) for value in values], dtype="<U10")


def unknown_split(value: str, row: int) -> ValueError:
    """Return the error for a value of a split that is none of `SPLITS` or "val"."""
    return ValueError(f"split must be one of {', '.join(SPLITS)}, but row {row} is {value!r}.{closest(value, SPLITS)}")


def drawn_hash(content_hash: str, block_rows: int | None) -> str:
    """Return a hash of a table's content and of how its rows are drawn, which decide the batches of a run."""
    return content_hash if block_rows is None else f"{content_hash} by blocks of {block_rows}"


def _hash_column(digest: Any, name: str, values: Any) -> None:
    if values.dtype.kind in "OU":  # texts, whatever the width of the column
        digest.update(json.dumps([name, "text", len(values)]).encode())
        for _, part in parts_of(values):
            digest.update(np.array([len(text) for text in part.tolist()], dtype="<i8").tobytes())
        for _, part in parts_of(values):
            digest.update("".join(part.tolist()).encode("utf-8", "surrogatepass"))
        return
    little = values.dtype.newbyteorder("<")
    digest.update(json.dumps([name, little.str, values.shape]).encode())
    for _, part in parts_of(values):
        digest.update(np.ascontiguousarray(part.astype(little, copy=False)).tobytes())
