"""Targets as numbers to learn: what a network answers with, and how that is said in the target's own terms."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from geotether.tables.paired_target import Target


@dataclass(frozen=True)
class AnswerKind:
    """What a trained model answers.

    Attributes:
        target: Name of the target.
        kind: "classes", "labels" or "numbers".
        names: Of the classes or labels; of numbers one name.
        mean: Of the training rows, for numbers; else 0.
        scale: Their standard deviation, for numbers; else 1.
    """

    target: str
    kind: str
    names: tuple[str, ...]
    mean: float = 0.0
    scale: float = 1.0

    @property
    def num_outputs(self) -> int:
        """Numbers that the network gives a row."""
        return len(self.names)

    def plain(self) -> dict[str, Any]:
        """Give plain values for a model folder."""
        return {**asdict(self), "names": list(self.names)}

    def encode(self, target: Target, known: np.ndarray | None = None) -> np.ndarray:
        """Give a target as the loss wants it: numbers standardised, what is unknown as -1 or NaN.

        Args:
            target: Of rows.
            known: Numbers of the rows whose target may be looked at; None: all that have one.

        Returns:
            int64 (n,) of classes, float32 (n, k) of labels or (n,) of numbers.

        Raises:
            ValueError: If the target is of another kind or has other names: label sets differ between parts.
        """
        if target.kind != self.kind or (self.kind != "numbers" and target.names != self.names):
            raise ValueError(
                f"{self.target!r} is {target.kind} of {_listed(target.names)}, but the model was trained on "
                f"{self.kind} of {_listed(self.names)}; give rows with the same names in the same order."
            )
        if self.kind == "classes":
            encoded = target.values.astype(np.int64)
        else:
            values = target.values if self.kind == "labels" else (target.values - self.mean) / self.scale
            encoded = values.astype(np.float32)
        if known is not None:
            encoded[np.setdiff1d(np.arange(len(encoded)), known)] = -1 if self.kind == "classes" else np.nan
        return encoded


def answer_kind(name: str, target: Target, training_rows: np.ndarray) -> AnswerKind:
    """See what is to be learned, from the known training rows.

    Args:
        name: Of the target.
        target: Of the whole table.
        training_rows: Numbers of the rows that may be learned from.

    Raises:
        ValueError: If no training row is known, or all have the same class, labels or number.
    """
    known = training_rows[target.known[training_rows]]
    if not len(known):
        raise ValueError(
            f"No training row has the target {name!r} ({int(target.known.sum())} rows of other splits have it): there "
            "is nothing to learn. Choose another target, or ties without labels (ties.label=0)."
        )
    values = target.values[known]
    if len(np.unique(values, axis=0)) < 2:
        raise ValueError(f"All {len(known)} training rows have the same {name!r} ({values[0]}): nothing to learn.")
    if target.kind != "numbers":
        return AnswerKind(name, target.kind, target.names)
    return AnswerKind(name, target.kind, target.names, float(values.mean()), float(values.std()))


def answer_from(plain: Mapping[str, Any]) -> AnswerKind:
    """Read back what `AnswerKind.plain` gave."""
    return AnswerKind(**{**plain, "names": tuple(plain["names"])})


def _listed(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:4])}{' and others' if len(names) > 4 else ''} ({len(names)})"
