"""The labels that a probe is fitted on, and what all probes share."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float, Float64, Integer, Shaped

P = TypeVar("P", bound="TargetProbe")
KINDS = ("regression", "classification", "multilabel")


@dataclass(frozen=True, eq=False)
class ProbeTarget:
    """The labels of the rows that a probe is fitted on; test labels never become a `ProbeTarget`.

    Args:
        kind: "regression" (real numbers), "classification" (any values that can be compared for equality) or
            "multilabel" (any number of c labels at once).
        values: Shape (n,), one label per row, none missing; multilabel (n, c) of 0 and 1.

    Raises:
        ValueError: If the kind is unknown, the values are empty, or not one finite number (or one class) per row.

    Example:
        >>> ProbeTarget("classification", np.array(["sea", "land", "sea"])).classes.tolist()
        ['land', 'sea']
    """

    kind: str
    values: np.ndarray

    def __post_init__(self) -> None:
        """Check kind and values once."""
        if self.kind not in KINDS:
            raise ValueError(f"a target's kind is one of {', '.join(KINDS)}; got {self.kind!r}.")
        wanted = 2 if self.kind == "multilabel" else 1
        if self.values.ndim != wanted or self.values.size == 0:
            shape = (
                "0 and 1 for every label, shape (n, c)" if wanted == 2 else "one value per row, shape (n,) with n > 0"
            )
            raise ValueError(f"a target needs {shape}; got shape {self.values.shape}.")
        if self.kind == "regression" and not np.isfinite(self.values.astype(np.float64)).all():
            row = int(np.flatnonzero(~np.isfinite(self.values.astype(np.float64)))[0])
            raise ValueError(f"a regression target must be finite; row {row} is {self.values[row]}. Drop such rows.")

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.values)

    @cached_property
    def classes(self) -> Shaped[np.ndarray, " c"]:
        """The classes of these rows, sorted; others cannot be predicted."""
        return np.unique(self.values)

    @cached_property
    def codes(self) -> Integer[np.ndarray, " n"]:
        """The position of every row's class in `classes`."""
        return np.searchsorted(self.classes, self.values)

    @cached_property
    def columns(self) -> Float64[np.ndarray, "n t"]:
        """The numbers that least squares fits: the values, or one column of 0 and 1 per class or label."""
        if self.kind != "classification":
            return self.values.astype(np.float64).reshape(len(self), -1)
        onehot = np.zeros((len(self), len(self.classes)))
        onehot[np.arange(len(self)), self.codes] = 1.0
        return onehot

    def rows(self, index: Shaped[np.ndarray, " m"]) -> "ProbeTarget":
        """Return the rows given by position or mask."""
        return ProbeTarget(self.kind, self.values[index])

    def from_columns(self, columns: Float[np.ndarray, "m t"]) -> Shaped[np.ndarray, "m *c"]:
        """Convert fitted columns to values: the number, the class with the largest column, or labels above 0.5."""
        if self.kind == "multilabel":
            return (columns > 0.5).astype(np.float64)
        return columns[:, 0] if self.kind == "regression" else self.classes[columns.argmax(axis=1)]


def as_target(target: ProbeTarget | Sequence | np.ndarray, kind: str) -> ProbeTarget:
    """Wrap plain labels (n,) or (n, c) as a `ProbeTarget` of the given kind; one of another kind is refused."""
    if isinstance(target, ProbeTarget):
        if target.kind != kind:
            raise ValueError(f"this probe is set to {kind!r}, but the target is of kind {target.kind!r}.")
        return target
    return ProbeTarget(kind, np.asarray(target))


class TargetProbe(ABC):
    """Base of the probes of frozen features: one way to fit and to predict, whatever the kind of target.

    A probe implements `_fit`, which gets a checked target, and `columns`.

    Attributes:
        kind: "regression", "classification" or "multilabel".
        target_: The labels it was fitted on.
    """

    kind: str
    target_: ProbeTarget

    def fit(
        self: P,
        features: Any,
        target: ProbeTarget | Shaped[np.ndarray, "_ *c"],
        folds: Integer[np.ndarray, " _"] | None = None,
    ) -> P:
        """Fit on training rows.

        Args:
            features: Features of the training rows, shape (n, d). Some probes also take what several fits share: a
                `RidgeDecomposition` (`LogisticProbe`) or a `Neighborhood` (`NeighborProbe`).
            target: Their labels, shape (n,), or (n, c) for several labels at once.
            folds: The inner fold of each row, by which hyper-parameters are chosen or training is stopped; rows of one
                fold are held out together. None: rows on their own.

        Returns:
            The fitted probe.

        Raises:
            ValueError: If lengths differ, labels do not fit the kind, or an option is out of range.
        """
        self.target_ = as_target(target, self.kind)
        if len(self.target_) != len(features):
            raise ValueError(f"{len(features)} rows of features, but {len(self.target_)} labels.")
        if folds is not None and len(folds) != len(features):
            raise ValueError(f"{len(features)} rows of features, but folds has {len(folds)}.")
        self._fit(features, folds)
        return self

    @abstractmethod
    def _fit(self, features: Any, folds: Integer[np.ndarray, " n"] | None) -> None:
        """Fit to `target_`."""

    @abstractmethod
    def columns(self, features: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "m t"]:
        """Return the fitted columns of `ProbeTarget.columns`: the number, or one score per class or label."""

    def predict(self, features: Float[np.ndarray, "m d"]) -> Shaped[np.ndarray, "m *c"]:
        """Predict a number, a class or labels for each row."""
        return self.target_.from_columns(self.columns(features))
