"""A task: places with labels of one kind, and the split that decides which rows are for training."""

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Integer, Shaped

from geotether.geodesy.coordinates import check_lonlat
from geotether.probes.target import KINDS, ProbeTarget
from geotether.suggestions import closest

logger = logging.getLogger(__name__)

TRANSFORMS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"log1p": np.log1p, "log10": np.log10}
METRICS = {"regression": "R2", "classification": "accuracy", "multilabel": "micro F1"}


@dataclass(frozen=True, eq=False)
class Task:
    """Labelled places on which encoders are compared.

    Rows whose label is missing (NaN, None or an empty string) are left out and counted in `num_missing`. Rows at one
    place with different labels are kept, counted in `num_conflicting` and reported in a logged warning.

    Args:
        name: Name in the score table.
        kind: "regression", "classification" or "multilabel".
        lonlat: Places in degrees, shape (n, 2).
        target: Raw labels, shape (n,): numbers, or classes as strings or whole numbers. Multilabel: 0 and 1, shape
            (n, c); a row with a NaN is missing.
        split: The task's own split: "train", "validation", "test" or anything else (left out), shape (n,). None: it
            has none, and other splits are used.
        unit: Unit of the raw labels, for figures.
        transform: None, "log1p" for log(1 + value), or "log10".
        time: When, datetime64, shape (n,); not used by the benchmark.
        continent: Name of each place's continent, shape (n,), for the split that leaves one out; empty where unknown.
        label_names: Names of the c labels of a multilabel task.

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
    time: np.ndarray | None = None
    continent: np.ndarray | None = None
    label_names: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Check all arguments."""
        who = f"task {self.name!r}"
        if self.kind not in KINDS:
            raise ValueError(f"{who}: kind is one of {', '.join(KINDS)}; got {self.kind!r}.")
        if self.transform is not None and (self.transform not in TRANSFORMS or self.kind != "regression"):
            raise ValueError(
                f"{who}: transform is None or, for a regression, one of {', '.join(TRANSFORMS)}; "
                f"got {self.transform!r}."
            )
        check_lonlat(self.lonlat)
        self._check_shapes(who)
        known = self.values[self.valid]
        if not len(known):
            raise ValueError(f"{who}: all {len(self.target)} labels are missing; name another label column.")
        parts = {"all": np.flatnonzero(self.valid)} if self.split is None else {"train": self.rows("train")}
        for part, rows in parts.items():
            self._check_part(who, part, self.values[rows])
        if self.num_conflicting:
            logger.warning(
                "%s: %d rows share their place with a row of another label; no location encoder can distinguish them.",
                who, self.num_conflicting,
            )  # fmt: skip

    def _check_shapes(self, who: str) -> None:
        count = len(self.lonlat)
        for what, array in (("split", self.split), ("time", self.time), ("continent", self.continent)):
            if array is not None and array.shape != (count,):
                raise ValueError(f"{who}: {count} places, but {what} has shape {array.shape}.")
        if self.kind == "multilabel":
            if self.target.ndim != 2 or len(self.target) != count or self.target.shape[1] == 0:
                raise ValueError(f"{who}: a multilabel target is (n, c) with n = {count}; got {self.target.shape}.")
            if self.label_names and len(self.label_names) != self.target.shape[1]:
                raise ValueError(f"{who}: {self.target.shape[1]} labels, but {len(self.label_names)} label_names.")
        elif self.target.shape != (count,):
            raise ValueError(f"{who}: {count} places, but target has shape {self.target.shape}.")

    def _check_part(self, who: str, part: str, values: Shaped[np.ndarray, "m *c"]) -> None:
        if len(values) < 2:
            raise ValueError(f"{who}: {len(values)} labelled rows in its part {part!r}; at least 2 are needed.")
        if (values == values[0]).all():
            what = "is constant" if self.kind == "regression" else "has one class"
            raise ValueError(
                f"{who}: the label {what} ({values[0]!s}) in the {len(values)} rows of its part {part!r}, so there is "
                "nothing to learn; name another label column or check the split."
            )

    @cached_property
    def valid(self) -> Bool[np.ndarray, " n"]:
        """Whether each label is known."""
        return is_known(self.target)

    @cached_property
    def values(self) -> Shaped[np.ndarray, "n *c"]:
        """Labels for fitting and scoring: transformed numbers (NaN where missing), classes, or rows of 0 and 1."""
        who = f"task {self.name!r}"
        found = kinds_of_value(self.target[self.valid])
        if len(found) > 1:
            raise TypeError(f"{who}: the label mixes numbers and text; make it one type.")
        if self.kind == "classification":
            blank = "" if "text" in found else 0
            kept = [v if ok else blank for v, ok in zip(self.target.tolist(), self.valid, strict=True)]
            return np.array(kept, dtype=object if "text" in found else None)
        if "text" in found:
            example = self.target[self.valid].ravel().tolist()[0]
            raise TypeError(
                f"{who}: a {self.kind} needs numbers, but the label is text such as {example!r}; "
                'use kind="classification" or convert the column.'
            )
        if self.kind == "multilabel":
            values = np.where(self.valid[:, None], self.target, np.nan).astype(np.float64)
            if not np.isin(values[self.valid], (0.0, 1.0)).all():
                raise ValueError(f"{who}: the labels of a multilabel task are 0 and 1; there are other numbers.")
            return values
        raw = np.array([float(v) if ok else np.nan for v, ok in zip(self.target, self.valid, strict=True)])
        with np.errstate(invalid="ignore", divide="ignore"):
            values = TRANSFORMS[self.transform](raw) if self.transform else raw
        check_numbers(who, raw, values, self.valid, self.transform)
        return values

    @property
    def num_missing(self) -> int:
        """Number of rows left out because their label is missing."""
        return int((~self.valid).sum())

    @cached_property
    def num_conflicting(self) -> int:
        """Number of rows that share their place with a row of another label."""
        return int(conflicting_rows(self.lonlat[self.valid], self.values[self.valid]).sum())

    @property
    def metric(self) -> str:
        """Metric of the task: "R2", "accuracy" or "micro F1"."""
        return METRICS[self.kind]

    @property
    def label(self) -> str:
        """Name and unit for a figure, such as "elevation (m)"."""
        spoken = {"log1p": "log(1 + {})", "log10": "log10 {}"}
        unit = spoken[self.transform].format(self.unit or "value") if self.transform else self.unit
        return f"{self.name} ({unit})" if unit else self.name

    def rows(self, part: str) -> Integer[np.ndarray, " m"]:
        """Row numbers of a part of the split whose label is not missing."""
        if self.split is None:
            raise ValueError(f"task {self.name!r} has no split of its own; use splits=('blocks-10',) or give it one.")
        return np.flatnonzero((self.split == part) & self.valid)

    def targets(self, rows: Integer[np.ndarray, " m"]) -> ProbeTarget:
        """Labels of some rows, ready for a probe."""
        return ProbeTarget(self.kind, self.values[rows])

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
        """Make a task from one label column of a table; the other arguments are those of `Task`.

        Texts and booleans are classes, numbers a regression, unless `kind` is given; the name is that of the column.

        Raises:
            ValueError: If there is no such column (those found are listed), or as in `Task`.
        """
        require_label(labels, column)
        target = labels[column]
        kind = kind or ("regression" if target.dtype.kind in "fiu" else "classification")
        return cls(name or column, kind, lonlat, target, split, unit, transform)


def require_label(columns: Iterable[str], name: str) -> None:
    """Raise ValueError, which lists the columns of a table, if none of them has the name of a label."""
    known = sorted(columns)
    if name not in known:
        raise ValueError(f"no label column {name!r}; there are {', '.join(known) or 'none'}.{closest(name, known)}")


def is_known(target: Shaped[np.ndarray, "n *c"]) -> Bool[np.ndarray, " n"]:
    """Mark the rows whose label is not missing: not NaN, None or an empty string.

    Example:
        >>> is_known(np.array(["a", "", None], dtype=object))
        array([ True, False, False])
    """
    if target.dtype.kind == "f":
        known = ~np.isnan(target)
    elif target.dtype.kind in "OUS":
        flat = [not (v is None or v == "" or (isinstance(v, float) and math.isnan(v))) for v in target.ravel()]
        known = np.array(flat, dtype=bool).reshape(target.shape)
    else:
        known = np.ones(target.shape, dtype=bool)
    return known if known.ndim == 1 else known.all(axis=1)


def kinds_of_value(values: Shaped[np.ndarray, "m *c"]) -> set[str]:
    """Return whether known labels are "text", "number", or both."""
    if values.dtype.kind != "O":
        return {"text" if values.dtype.kind in "US" else "number"} if values.size else set()
    return {("text" if isinstance(v, str) else "number") for v in values.ravel().tolist()}


def check_numbers(
    who: str,
    raw: Float[np.ndarray, " n"],
    values: Float[np.ndarray, " n"],
    valid: Bool[np.ndarray, " n"],
    transform: str | None,
) -> None:
    """Raise for the first known label that is not finite, before or after its transform."""
    bad = np.flatnonzero(valid & ~np.isfinite(values))
    if len(bad):
        after = f" after {transform}" if transform else ""
        raise ValueError(f"{who}: the label of row {bad[0]} is {raw[bad[0]]:g}, not finite{after}.")


def conflicting_rows(lonlat: Float[np.ndarray, "n 2"], values: Shaped[np.ndarray, "n *c"]) -> Bool[np.ndarray, " n"]:
    """Mark rows that lie at exactly the place of another row with a different label; none is missing.

    Example:
        >>> conflicting_rows(np.array([[5.0, 52.0], [5.0, 52.0], [6.0, 52.0]]), np.array(["a", "b", "a"]))
        array([ True,  True, False])
    """
    _, place = np.unique(lonlat, axis=0, return_inverse=True)
    _, label = np.unique(values, axis=0 if values.ndim > 1 else None, return_inverse=True)
    place, label = place.ravel(), label.ravel()
    pairs = np.unique(np.stack([place, label], axis=1), axis=0)
    labels_at_place = np.bincount(pairs[:, 0], minlength=len(lonlat))
    return labels_at_place[place] > 1
