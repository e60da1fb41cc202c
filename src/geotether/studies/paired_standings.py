"""Standings of methods on paired sensors: means with intervals, and paired differences."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PairedOutcome:
    """One score.

    Attributes:
        method: Name of the method.
        source: The sensor it was predicted from, or all of them joined by "+".
        how: "direct" (the method's own head), "linear probe" or "fine-tuned".
        labels: Share of the training labels that were looked at.
        repeat: Fold or seed.
        measure: Such as "accuracy".
        value: The score.
        rows: Test rows it was measured on: "all" or "overlapping".
    """

    method: str
    source: str
    how: str
    labels: float
    repeat: int
    measure: str
    value: float
    rows: str = "all"


@dataclass(frozen=True)
class Interval:
    """A mean over repeats and its 95 % interval.

    Attributes:
        mean: Over repeats.
        low, high: Ends; Student's t with the repeats as units. NaN for a single repeat.
        count: Number of repeats.
    """

    mean: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        """Write as "0.512 [0.480, 0.544]"."""
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def interval(values: Sequence[float]) -> Interval:
    """Average repeats.

    Args:
        values: One a repeat; NaN are left out.

    Raises:
        ValueError: If there is none.

    Source:
        Student (1908), Biometrika 6:1. Folds share training rows, so that their spread is somewhat too small
        (Bengio & Grandvalet 2004, JMLR 5:1089): read an interval that barely leaves out zero as undecided.

    Example:
        >>> str(interval([0.4, 0.5, 0.6]))
        '0.500 [0.252, 0.748]'
    """
    from scipy.stats import t

    kept = np.array([value for value in values if np.isfinite(value)])
    if not len(kept):
        raise ValueError("There is no finite score to average.")
    if len(kept) == 1:
        return Interval(float(kept[0]), float("nan"), float("nan"), 1)
    half = float(t.ppf(0.975, len(kept) - 1) * kept.std(ddof=1) / len(kept) ** 0.5)
    return Interval(float(kept.mean()), float(kept.mean() - half), float(kept.mean() + half), len(kept))


def standing(outcomes: Iterable[PairedOutcome], **which: object) -> Interval | None:
    """Average the outcomes whose fields are as given; None if there is none."""
    values = [one.value for one in outcomes if all(getattr(one, key) == value for key, value in which.items())]
    return interval(values) if values else None


def paired_difference(
    outcomes: Iterable[PairedOutcome], ours: Mapping[str, object], theirs: Mapping[str, object], **both: object
) -> Interval | None:
    """Average the differences of two standings over the repeats that both have.

    Args:
        outcomes: All of them.
        ours: Fields of the one, such as method and source.
        theirs: Fields of the other.
        **both: Fields that both have.

    Returns:
        Ours minus theirs; None if they share no repeat.
    """
    outcomes = list(outcomes)

    def values(which: Mapping[str, object]) -> dict[int, float]:
        return {
            one.repeat: one.value
            for one in outcomes
            if all(getattr(one, key) == value for key, value in {**both, **which}.items())
        }

    mine, other = values(ours), values(theirs)
    shared = sorted(mine.keys() & other.keys())
    return interval([mine[repeat] - other[repeat] for repeat in shared]) if shared else None
