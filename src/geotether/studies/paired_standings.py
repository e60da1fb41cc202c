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
        unit: Repeats of the same unit (a fold, trained with several seeds) are averaged before any interval; None: the
            repeat is a unit of its own.
    """

    method: str
    source: str
    how: str
    labels: float
    repeat: int
    measure: str
    value: float
    rows: str = "all"
    unit: int | None = None


@dataclass(frozen=True)
class Interval:
    """A mean over units and its 95 % interval.

    Attributes:
        mean: Over units.
        low, high: Ends; Student's t over units. NaN for a single one.
        count: Number of units.
    """

    mean: float
    low: float
    high: float
    count: int

    @property
    def clear(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0

    def __str__(self) -> str:
        """Write as "0.512 [0.480, 0.544]"."""
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def interval(values: Sequence[float], shared: float = 0.0) -> Interval:
    """Average units.

    Args:
        values: One a unit; NaN are left out.
        shared: Rows a unit tests over rows it trains on, where units share training rows as folds do: the variance of
            the mean is then (1/J + shared) s^2, and not s^2/J.

    Raises:
        ValueError: If there is none.

    Source:
        Student (1908), Biometrika 6:1; `shared`: Nadeau & Bengio (2003), Machine Learning 52:239, section 4. Without it
        folds have intervals that are too narrow, by how much nobody knows (Bengio & Grandvalet 2004, JMLR 5:1089).

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
    half = float(t.ppf(0.975, len(kept) - 1) * kept.std(ddof=1) * (1 / len(kept) + shared) ** 0.5)
    return Interval(float(kept.mean()), float(kept.mean() - half), float(kept.mean() + half), len(kept))


def standing(outcomes: Iterable[PairedOutcome], **which: object) -> Interval | None:
    """Average the outcomes whose fields are as given, those of a unit first; None if there is none."""
    values = unit_means({one: one.value for one in outcomes if _has(one, which)})
    return interval(values) if values else None


def paired_difference(
    outcomes: Iterable[PairedOutcome],
    ours: Mapping[str, object],
    theirs: Mapping[str, object],
    shared: float = 0.0,
    **both: object,
) -> Interval | None:
    """Average the differences of two standings over the repeats that both have, those of a unit first.

    Args:
        outcomes: All of them.
        ours: Fields of the one, such as method and source.
        theirs: Fields of the other.
        shared: See `interval`.
        **both: Fields that both have.

    Returns:
        Ours minus theirs; None if they share no repeat.
    """
    outcomes = list(outcomes)
    mine = {one.repeat: one for one in outcomes if _has(one, {**both, **ours})}
    other = {one.repeat: one for one in outcomes if _has(one, {**both, **theirs})}
    differences = {mine[at]: mine[at].value - other[at].value for at in sorted(mine.keys() & other.keys())}
    return interval(unit_means(differences), shared) if differences else None


def unit_means(values: Mapping[PairedOutcome, float]) -> list[float]:
    """Average repeats of the same unit; NaN are left out, and a unit without a finite one is NaN."""
    by_unit: dict[tuple[str, int], list[float]] = {}
    for one, value in values.items():
        unit = ("repeat", one.repeat) if one.unit is None else ("unit", one.unit)
        by_unit.setdefault(unit, []).append(value)
    finite = [[value for value in part if np.isfinite(value)] for part in by_unit.values()]
    return [float(np.mean(part)) if part else float("nan") for part in finite]


def _has(outcome: PairedOutcome, fields: Mapping[str, object]) -> bool:
    return all(getattr(outcome, key) == value for key, value in fields.items())
