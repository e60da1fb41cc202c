"""The paired table: samples that several sensors saw, with what is known of them."""

import copy
import difflib
import hashlib
import json
from collections.abc import Iterable
from dataclasses import InitVar, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from geotether.geodesy.coordinates import check_lonlat, wrap_longitude
from geotether.tables.origin import Origin
from geotether.tables.paired_target import Target
from geotether.tables.row_columns import SPLITS, row_ids, row_split, row_times
from geotether.tables.sensor import Sensor, parts_of, set_fields


@dataclass(frozen=True, eq=False)
class PairedTable:
    """Samples seen by one or more sensors, row by row.

    Everything is checked once, here. Arrays are not to be written to, since `content_hash` is computed once.

    Args:
        name: Of the data, such as "worldcereal".
        sensors: Modality to what its sensor saw; equally many rows, some of which may lack a modality.
        targets: Name to what is known of the rows.
        id: One text a row, all different, shape (n,); by default "0" to "n-1".
        lonlat: Longitude and latitude in degrees, WGS 84, shape (n, 2), or None.
        time: datetime64 (kept in milliseconds, UTC), shape (n,), or None.
        split: "train", "validation" (or "val"), "test" or "buffer" a row, or None where the table was not split.
        group: Texts: rows of one group stay together in folds, such as a block or a plot; or None.
        origin: Licence and source; not part of `content_hash`.
        is_part: Whether these are rows of a larger table: then a modality may be present, and a target known, in none
            of them.

    Raises:
        TypeError: If coordinates or times do not hold what they should.
        ValueError: If there is no modality or row, lengths differ, ids repeat, a place is not (longitude, latitude), a
            split is unknown, or a modality or target is there in no row.

    Example:
        >>> radar = Sensor("vector", np.array([[-9.6], [-8.1], [-7.7]]))
        >>> optical = Sensor("vector", np.array([[0.31, 0.4], [np.nan, np.nan], [0.2, 0.1]]))
        >>> crop = Target("classes", np.array([0, 1, -1]), ("maize", "wheat"))
        >>> table = PairedTable("fields", {"s1": radar, "s2": optical}, {"crop": crop})
        >>> len(table), table.sensor("s2").present.tolist(), table.target("crop").known.tolist()
        (3, [True, False, True], [True, True, False])
    """

    name: str
    sensors: dict[str, Sensor]
    targets: dict[str, Target] = field(default_factory=dict)
    id: np.ndarray = field(default_factory=lambda: np.empty(0, dtype="<U1"))
    lonlat: np.ndarray | None = None
    time: np.ndarray | None = None
    split: np.ndarray | None = None
    group: np.ndarray | None = None
    origin: Origin = field(default_factory=Origin)
    is_part: InitVar[bool] = False

    def __post_init__(self, is_part: bool) -> None:
        """Check and convert every column."""
        if not self.name:
            raise ValueError("A paired table needs a name, such as name='worldcereal'.")
        try:
            if not self.sensors:
                raise ValueError("it has no modality; it needs at least one.")
            self._check_lengths()
            set_fields(self, sensors=dict(self.sensors), targets=dict(self.targets), id=row_ids(self.id, len(self)))
            if self.lonlat is not None:
                lonlat = np.asarray(self.lonlat, dtype=np.float64)
                check_lonlat(lonlat)
                set_fields(self, lonlat=np.stack([wrap_longitude(lonlat[:, 0]), lonlat[:, 1]], axis=1))
            if self.time is not None:
                set_fields(self, time=row_times(self.time))
            if self.split is not None:
                set_fields(self, split=row_split(self.split, {"val": "validation"}))
            if self.group is not None:
                set_fields(self, group=np.asarray(self.group).astype(str))
            if not is_part:
                self._check_used()
        except (TypeError, ValueError) as error:
            raise type(error)(f"Paired table {self.name!r}: {error}") from error

    def __len__(self) -> int:
        """Count the rows."""
        return len(next(iter(self.sensors.values())))

    def __repr__(self) -> str:
        """Say what the table holds in one line."""
        held = [f"{name} {sensor.shape}" for name, sensor in self.sensors.items()]
        return f"PairedTable({', '.join([repr(self.name), f'{len(self)} rows', *held, *self.targets])})"

    def sensor(self, name: str) -> Sensor:
        """Take the observations of one modality.

        Raises:
            ValueError: If the table has no such modality.
        """
        if name not in self.sensors:
            raise ValueError(_unknown(self.name, "modality", name, self.sensors))
        return self.sensors[name]

    def target(self, name: str) -> Target:
        """Take one target.

        Raises:
            ValueError: If the table has no such target.
        """
        if name not in self.targets:
            raise ValueError(_unknown(self.name, "target", name, self.targets))
        return self.targets[name]

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of all columns in hexadecimal; the table's name and origin are not part of it."""
        digest = hashlib.sha256()
        columns: dict[str, Any] = {"id": self.id, "lonlat": self.lonlat, "time": self.time}
        columns |= {"split": self.split, "group": self.group}
        for name, sensor in sorted(self.sensors.items()):
            digest.update(json.dumps([name, sensor.kind, sensor.bands]).encode())
            columns |= {f"present:{name}": sensor.present, f"values:{name}": sensor.values}
        for name, target in sorted(self.targets.items()):
            digest.update(json.dumps([name, target.kind, target.names]).encode())
            columns[f"target:{name}"] = target.values
        for name, values in columns.items():
            if values is not None:
                _hash_column(digest, name, values)
        return digest.hexdigest()

    def rows(self, which: np.ndarray | slice) -> "PairedTable":
        """Take some of the rows.

        Args:
            which: A mask of shape (n,), row numbers, or a slice.

        Returns:
            A table with these rows in this order, under the same name. Ids stay with their rows. A modality may be
            present, or a target known, in none of them.

        Raises:
            TypeError: If `which` is none of these.
            IndexError: If a row number or the length of a mask does not fit.
            ValueError: If no row is left.
        """
        if not isinstance(which, slice):
            which = np.asarray(which)
            if which.dtype.kind not in "biu" or which.ndim != 1:
                raise TypeError(
                    f"Rows are chosen by a mask, row numbers or a slice, got {which.dtype} of shape {which.shape}."
                )
            if which.dtype.kind == "b" and len(which) != len(self):
                raise IndexError(f"A mask for paired table {self.name!r} needs {len(self)} values, got {len(which)}.")
        numbers = np.arange(len(self))[which]
        if len(numbers) == 0:
            raise ValueError(f"Paired table {self.name!r}: none of {len(self)} rows is left.")
        taken = copy.copy(self)
        taken.__dict__.pop("content_hash", None)
        columns = {name: getattr(self, name) for name in ("id", "lonlat", "time", "split", "group")}
        return set_fields(
            taken,
            sensors={name: sensor.rows(numbers) for name, sensor in self.sensors.items()},
            targets={name: target.rows(numbers) for name, target in self.targets.items()},
            **{name: None if values is None else values[numbers] for name, values in columns.items()},
        )

    def part(self, split: str) -> "PairedTable":
        """Take the rows of one part; of a table that was not split, "train" is all rows.

        Raises:
            ValueError: If there is no such part, or it has no rows.
        """
        return self if split == "train" and self.split is None else self.rows(self.numbers(split))

    def numbers(self, split: str) -> np.ndarray:
        """Give the row numbers of one part; of a table that was not split, "train" is all rows.

        Raises:
            ValueError: If there is no such part, or it has no rows.
        """
        if split == "train" and self.split is None:
            return np.arange(len(self))
        wanted = {"val": "validation"}.get(split, split)
        if wanted not in SPLITS:
            raise ValueError(_unknown(self.name, "part", split, SPLITS))
        if self.split is None or not (self.split == wanted).any():
            found = "it was not split" if self.split is None else f"its split names {', '.join(np.unique(self.split))}"
            raise ValueError(f"Paired table {self.name!r} has no rows for {split}; {found}.")
        return np.flatnonzero(self.split == wanted)

    def _check_lengths(self) -> None:
        first, count = next(iter(self.sensors)), len(self)
        columns: dict[str, Any] = {f"modality {name!r}": sensor for name, sensor in self.sensors.items()}
        columns |= {f"target {name!r}": target for name, target in self.targets.items()}
        columns |= {name: getattr(self, name) for name in ("lonlat", "time", "split", "group")}
        columns["id"] = self.id if len(self.id) else None
        for name, values in columns.items():
            if values is not None and len(values) != count:
                raise ValueError(f"modality {first!r} has {count} rows and {name} has {len(values)}.")
            if isinstance(values, np.ndarray) and name != "lonlat" and values.ndim != 1:
                raise ValueError(f"{name} needs one value a row, got shape {values.shape}.")

    def _check_used(self) -> None:
        for name, sensor in self.sensors.items():
            if not sensor.present.any():
                raise ValueError(f"modality {name!r} is present in none of {len(self)} rows; leave it out.")
        for name, target in self.targets.items():
            if not target.known.any():
                raise ValueError(f"target {name!r} is unknown in all {len(self)} rows; leave it out.")


def _hash_column(digest: Any, name: str, values: np.ndarray) -> None:
    if values.dtype.kind == "U":  # the width of a text column says nothing; the texts do
        digest.update(
            json.dumps([name, "text", len(values)]).encode() + np.char.str_len(values).astype("<i8").tobytes()
        )
        digest.update("".join(values.tolist()).encode("utf-8", "surrogatepass"))
        return
    digest.update(json.dumps([name, values.dtype.newbyteorder("<").str, values.shape]).encode())
    for _, part in parts_of(values):
        digest.update(np.ascontiguousarray(part.astype(values.dtype.newbyteorder("<"), copy=False)).tobytes())


def _unknown(table: str, what: str, name: str, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"Paired table {table!r} has no {what} {name!r}; it has {', '.join(names) or 'none'}.{hint}"
