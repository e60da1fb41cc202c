"""Two encoders on the same rows: the paired difference, its interval, and what may be said of it in plain words."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from geotether.benchmark.bootstrap import count_blocks, interval, replicates
from geotether.benchmark.outcome import Outcome


@dataclass(frozen=True)
class Difference:
    """Score of one encoder minus that of another on the same judged rows.

    Args:
        mean: Mean over seeds and folds.
        low, high: Ends of the 95 % interval by bootstrap over blocks, paired.
        blocks: Number of blocks.
    """

    mean: float
    low: float
    high: float
    blocks: int

    @property
    def clear(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0

    def __str__(self) -> str:
        """Write as +0.021 [0.004, 0.038]."""
        return f"{self.mean:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def difference(ours: Sequence[Outcome], theirs: Sequence[Outcome]) -> Difference:
    """Compare two encoders on one task, split and label count.

    Args:
        ours: All seeds and folds of one encoder.
        theirs: The same seeds and folds of the other, on the same judged rows; the probe may differ.

    Returns:
        The paired difference.

    Raises:
        ValueError: If seeds, folds or judged blocks are not the same.

    Source:
        Efron & Tibshirani (1993), section 8.6; both encoders are seen through the same draws of blocks.
    """
    mean, drawn = paired(ours, theirs)
    return Difference(mean, *interval(drawn, mean), count_blocks(ours))


def in_order_of(ours: Sequence[Outcome], theirs: Sequence[Outcome]) -> list[Outcome]:
    """The others in the same order; an error if they were not judged on the same rows."""
    by_draw = {(one.seed, one.fold): one for one in theirs}
    found = [by_draw.get((one.seed, one.fold)) for one in ours]
    for one, other in zip(ours, found, strict=True):
        same = other is not None and one.metric == other.metric and np.array_equal(one.blocks, other.blocks)
        if not same or len(by_draw) != len(ours):
            raise ValueError(
                f"{one.encoder} and {theirs[0].encoder} were not judged on the same rows of {one.task} ({one.split}, "
                f"{one.labels} labels): compare encoders that were evaluated together."
            )
    return [one for one in found if one is not None]


def mean_difference(pairs: Sequence[tuple[Sequence[Outcome], Sequence[Outcome]]]) -> Difference:
    """The mean of several differences, such as one a task; tasks with the same blocks share their draws of blocks.

    Args:
        pairs: For each task the outcomes of one encoder and of the other.

    Returns:
        Mean and interval; blocks are those of the task that has most.
    """
    found = [paired(ours, theirs) for ours, theirs in pairs]
    mean = float(np.mean([one for one, _ in found]))
    drawn = np.mean([one for _, one in found], axis=0)
    return Difference(mean, *interval(drawn, mean), max(count_blocks(ours) for ours, _ in pairs))


def paired(ours: Sequence[Outcome], theirs: Sequence[Outcome]) -> tuple[float, Float64[np.ndarray, " r"]]:
    """The mean difference and its bootstrap replicates, both encoders seen through the same draws."""
    theirs = in_order_of(ours, theirs)
    mean = float(np.nanmean([a.value - b.value for a, b in zip(ours, theirs, strict=True)]))
    return mean, replicates(ours) - replicates(theirs)


def in_words(name: str, other: str, found: Difference) -> str:
    """Say a difference as plainly as its interval allows; a point is 0.01 of the score.

    Args:
        name: The encoder that the difference is counted for.
        other: The other one.
        found: Score of `name` minus score of `other`.

    Returns:
        One clause without a full stop.

    Example:
        >>> in_words("A", "B", Difference(0.027, 0.021, 0.034, 40))
        'A is better than B by 2.1 to 3.4 points'
        >>> in_words("A", "B", Difference(0.001, -0.005, 0.012, 40))
        'A and B cannot be told apart (-0.5 to +1.2 points)'
    """
    low, high = 100 * found.low, 100 * found.high
    if math.isnan(low):
        return f"{name} and {other} cannot be compared: no draw has a defined score"
    if found.clear:
        better, worse = (name, other) if found.low > 0 else (other, name)
        least, most = sorted((abs(low), abs(high)))
        size = f"{least:.1f} to {most:.1f}" if least >= 0.05 else f"up to {most:.1f}"  # zero is left out, if barely
        return f"{better} is better than {worse} by {size} points"
    return f"{name} and {other} cannot be told apart ({low:+.1f} to {high:+.1f} points)"


def ranks(outcomes: Mapping[str, Sequence[Sequence[Outcome]]]) -> dict[str, tuple[float, float, float]]:
    """Mean rank of encoders over tasks with its interval; 1 is best, equals share a rank.

    Args:
        outcomes: For each encoder, for each task (in the same order) its outcomes.

    Returns:
        Encoder to (mean rank by mean scores, low, high), best first. The interval is of the bootstrap replicates.
    """
    from scipy.stats import rankdata

    names = list(outcomes)
    means = np.array([[np.nanmean([o.value for o in task]) for task in outcomes[name]] for name in names])
    drawn = np.stack([np.stack([replicates(task) for task in outcomes[name]]) for name in names])  # (e, t, r)
    point = rankdata(-np.nan_to_num(means, nan=-np.inf), axis=0).mean(axis=1)
    spread = rankdata(-np.nan_to_num(drawn, nan=-np.inf), axis=0).mean(axis=1)
    found = {name: (float(point[i]), *interval(spread[i], float(point[i]))) for i, name in enumerate(names)}
    return dict(sorted(found.items(), key=lambda item: item[1][0]))
