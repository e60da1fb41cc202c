"""What a probe is asked to predict: one column of labels, made ready for least squares or softmax."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Float64, Integer, Shaped

KINDS = ("regression", "classification", "multilabel")


@dataclass(frozen=True, eq=False)
class Target:
    """The labels of the rows that a probe is fitted on; test labels never become a `Target`.

    Args:
        kind: "regression" (real numbers), "classification" (any values that can be compared for equality) or
            "multilabel" (any number of c labels at once).
        values: Shape (n,), one label a row, none missing; multilabel (n, c) of 0 and 1.

    Raises:
        ValueError: If the kind is unknown, the values are not one finite number (or one class) a row, or empty.

    Example:
        >>> Target("classification", np.array(["sea", "land", "sea"])).classes.tolist()
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
            shape = "0 and 1 for every label, shape (n, c)" if wanted == 2 else "one value a row, shape (n,) with n > 0"
            raise ValueError(f"a target needs {shape}; got shape {self.values.shape}.")
        if self.kind == "regression" and not np.isfinite(self.values.astype(np.float64)).all():
            row = int(np.flatnonzero(~np.isfinite(self.values.astype(np.float64)))[0])
            raise ValueError(f"a regression target must be finite; row {row} is {self.values[row]}. Drop such rows.")

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.values)

    @cached_property
    def classes(self) -> Shaped[np.ndarray, " c"]:
        """The classes seen in these rows, sorted. A class that is not here can never be predicted."""
        return np.unique(self.values)

    @cached_property
    def codes(self) -> Integer[np.ndarray, " n"]:
        """The position of every row's class in `classes`."""
        return np.searchsorted(self.classes, self.values)

    @cached_property
    def columns(self) -> Float64[np.ndarray, "n t"]:
        """The numbers that least squares fits: the values themselves, or one column of 0 and 1 a class or label."""
        if self.kind != "classification":
            return self.values.astype(np.float64).reshape(len(self), -1)
        onehot = np.zeros((len(self), len(self.classes)))
        onehot[np.arange(len(self)), self.codes] = 1.0
        return onehot

    def rows(self, index: Shaped[np.ndarray, " m"]) -> "Target":
        """Take the rows given by position or mask."""
        return Target(self.kind, self.values[index])

    def from_columns(self, columns: Float[np.ndarray, "m t"]) -> Shaped[np.ndarray, "m *c"]:
        """Turn fitted columns back into values: the number, the class with the largest column, or labels above half."""
        if self.kind == "multilabel":
            return (columns > 0.5).astype(np.float64)
        return columns[:, 0] if self.kind == "regression" else self.classes[columns.argmax(axis=1)]


def as_target(target: Target | Sequence | np.ndarray, kind: str) -> Target:
    """Wrap plain labels as a `Target` of the given kind; a `Target` passes through if its kind agrees.

    Args:
        target: Labels, shape (n,), or a `Target`.
        kind: "regression", "classification" or "multilabel".

    Returns:
        The target.

    Raises:
        ValueError: If a `Target` of another kind is given, or the labels are not fit for the kind.
    """
    if isinstance(target, Target):
        if target.kind != kind:
            raise ValueError(f"this probe is set to {kind!r}, but the target is of kind {target.kind!r}.")
        return target
    return Target(kind, np.asarray(target))
