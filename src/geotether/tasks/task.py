"""A task: places with labels, one kind of answer, and the split that decides what may be learned from."""

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Integer, Shaped

from geotether.geodesy.coordinates import check_lonlat
from geotether.probes.target import KINDS, Target

TRANSFORMS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"log1p": np.log1p}
METRICS = {"regression": "R2", "classification": "accuracy"}


@dataclass(frozen=True, eq=False)
class Task:
    """One question asked of every encoder.

    Rows whose label is missing (NaN, None or an empty string) are left out and counted in `num_missing`.

    Args:
        name: Name in the score table.
        kind: "regression" or "classification".
        lonlat: Places in degrees, shape (n, 2).
        target: Raw labels, shape (n,): numbers, or classes as strings or whole numbers.
        split: "train", "validation", "test" or anything else (left out), shape (n,). None: there is only a random
            split to judge by.
        unit: Unit of the raw labels, for figures.
        transform: None, or "log1p" for log(1 + value).

    Raises:
        ValueError: If lengths disagree, coordinates are wrong, the kind or transform is unknown, labels are all
            missing, constant, infinite or have one class, or a part has too few rows.
        TypeError: If labels mix numbers and strings, or a regression label is not a number.

    Example:
        >>> lonlat = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [3.0, 0.0]])
        >>> split = np.array(["train", "train", "train", "test"])
        >>> task = Task("height", "regression", lonlat, np.array([1.0, 5.0, np.nan, 3.0]), split)
        >>> task.num_missing, task.rows("train").tolist()
        (1, [0, 1])
    """

    name: str
    kind: str
    lonlat: np.ndarray
    target: np.ndarray
    split: np.ndarray | None = None
    unit: str = ""
    transform: str | None = None

    def __post_init__(self) -> None:
        """Check once, at the door."""
        who = f"task {self.name!r}"
        if self.kind not in KINDS:
            raise ValueError(f"{who}: kind is one of {', '.join(KINDS)}; got {self.kind!r}.")
        if self.transform is not None and (self.transform not in TRANSFORMS or self.kind != "regression"):
            raise ValueError(
                f"{who}: transform is None or, for a regression, one of {', '.join(TRANSFORMS)}; "
                f"got {self.transform!r}."
            )
        check_lonlat(self.lonlat)
        for what, array in (("target", self.target), ("split", self.split)):
            if array is not None and array.shape != (len(self.lonlat),):
                raise ValueError(f"{who}: {len(self.lonlat)} places, but {what} has shape {array.shape}.")
        known = self.values[self.valid]
        if not len(known):
            raise ValueError(f"{who}: all {len(self.target)} labels are missing; name another label column.")
        parts = {"all": np.flatnonzero(self.valid)} if self.split is None else {"train": self.rows("train")}
        for part, rows in parts.items():
            self._check_part(who, part, self.values[rows])

    def _check_part(self, who: str, part: str, values: Shaped[np.ndarray, " m"]) -> None:
        if len(values) < 2:
            raise ValueError(f"{who}: {len(values)} labelled rows in its part {part!r}; at least 2 are needed.")
        if (values == values[0]).all():
            what = "has one class" if self.kind == "classification" else "is constant"
            raise ValueError(
                f"{who}: the label {what} ({values[0]!s}) in the {len(values)} rows of its part {part!r}, so there is "
                "nothing to learn; name another label column or check the split."
            )

    @cached_property
    def valid(self) -> Bool[np.ndarray, " n"]:
        """True where the label is not missing."""
        if self.target.dtype.kind == "f":
            return ~np.isnan(self.target)
        if self.target.dtype.kind in "OUS":
            return np.array(
                [not (v is None or v == "" or (isinstance(v, float) and math.isnan(v))) for v in self.target]
            )
        return np.ones(len(self.target), dtype=bool)

    @cached_property
    def values(self) -> Shaped[np.ndarray, " n"]:
        """Labels as they are fitted and scored: transformed numbers (NaN where missing) or classes."""
        found = {("text" if isinstance(v, str) else "number") for v in self.target[self.valid].tolist()}
        if len(found) > 1:
            raise TypeError(f"task {self.name!r}: the label mixes numbers and text; make it one type.")
        if self.kind == "classification":
            blank = "" if "text" in found else 0
            kept = [v if ok else blank for v, ok in zip(self.target.tolist(), self.valid, strict=True)]
            return np.array(kept)
        if "text" in found:
            example = next(v for v in self.target[self.valid].tolist())
            raise TypeError(
                f"task {self.name!r}: a regression needs numbers, but the label is text such as {example!r}; "
                'use kind="classification" or convert the column.'
            )
        raw = np.array([float(v) if ok else np.nan for v, ok in zip(self.target, self.valid, strict=True)])
        with np.errstate(invalid="ignore", divide="ignore"):
            values = TRANSFORMS[self.transform](raw) if self.transform else raw
        bad = np.flatnonzero(self.valid & ~np.isfinite(values))
        if len(bad):
            after = f" after {self.transform}" if self.transform else ""
            raise ValueError(f"task {self.name!r}: the label of row {bad[0]} is {raw[bad[0]]:g}, not finite{after}.")
        return values

    @property
    def num_missing(self) -> int:
        """Rows left out because their label is missing."""
        return int((~self.valid).sum())

    @property
    def metric(self) -> str:
        """What the task is scored by: "R2" or "accuracy"."""
        return METRICS[self.kind]

    @property
    def label(self) -> str:
        """Name and unit for a figure, such as "elevation (m)"."""
        unit = f"log(1 + {self.unit or 'value'})" if self.transform == "log1p" else self.unit
        return f"{self.name} ({unit})" if unit else self.name

    def rows(self, part: str) -> Integer[np.ndarray, " m"]:
        """Row numbers of a part of the split whose label is not missing."""
        if self.split is None:
            raise ValueError(f"task {self.name!r} has no split; use splits=('random',) or give it one.")
        return np.flatnonzero((self.split == part) & self.valid)

    def targets(self, rows: Integer[np.ndarray, " m"]) -> Target:
        """Labels of some rows, ready for a probe."""
        return Target(self.kind, self.values[rows])

    @classmethod
    def from_labels(
        cls,
        labels: Mapping[str, np.ndarray],
        column: str,
        lonlat: Float[np.ndarray, "n 2"],
        split: Shaped[np.ndarray, " _"] | None = None,
        kind: str | None = None,
        name: str | None = None,
        unit: str = "",
        transform: str | None = None,
    ) -> "Task":
        """Make a task of one label column of a table.

        Args:
            labels: The table's label columns.
            column: Which of them.
            lonlat: The table's places.
            split: The table's split.
            kind: None: text and bool are classes, numbers a regression.
            name: None: the column's name.
            unit: As in `Task`.
            transform: As in `Task`.

        Returns:
            The task.

        Raises:
            ValueError: If there is no such column (the message lists those there are), or as in `Task`.
        """
        if column not in labels:
            close = difflib.get_close_matches(column, list(labels), n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise ValueError(f"no label column {column!r}; there are {', '.join(sorted(labels)) or 'none'}.{hint}")
        target = labels[column]
        kind = kind or ("regression" if target.dtype.kind in "fiu" else "classification")
        return cls(name or column, kind, lonlat, target, split, unit, transform)
