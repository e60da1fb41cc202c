"""Encoders compared on the same rows: paired differences with intervals, ranks over tasks, and verdicts in words."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from geotether.benchmark.bootstrap import block_interval, count_blocks, interval, mean_value, replicates, score
from geotether.benchmark.outcome import Outcome, Row
from geotether.benchmark.score_table import collect, outcome_grid
from geotether.benchmark.splitting import FEWEST_BLOCKS
from geotether.probes.scores import Score

MEAN = "mean of tasks"


def difference(ours: Sequence[Outcome], theirs: Sequence[Outcome]) -> Score:
    """Return the paired difference of two encoders on one task, split and label count.

    Args:
        ours: All seeds and folds of one encoder.
        theirs: The same seeds and folds of the other, on the same judged rows; the probe may differ.

    Returns:
        The mean over seeds and folds, with its 95 % interval by bootstrap over blocks.

    Raises:
        ValueError: If seeds, folds or judged blocks are not the same.

    Source:
        Efron & Tibshirani (1993), section 8.6; both encoders get the same draws of blocks.
    """
    return mean_difference([(ours, theirs)])


def in_order_of(ours: Sequence[Outcome], theirs: Sequence[Outcome]) -> list[Outcome]:
    """Return the others in the same order, or raise if they were not judged on the same rows."""
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


def mean_difference(pairs: Sequence[tuple[Sequence[Outcome], Sequence[Outcome]]]) -> Score:
    """Return the mean of several differences, one pair of outcomes per task; equal blocks are drawn together.

    Tasks without a defined score are left out. The number of blocks is that of the task with fewest. The interval never
    exceeds what the intervals of both scores allow: R2 has no lower limit, and a few draws can be far below all others.
    """
    found = [(paired(ours, theirs), count_blocks(ours)) for ours, theirs in pairs]
    found = [one for one in found if not math.isnan(one[0][0])] or found
    mean, blocks = float(np.mean([one[0] for one, _ in found])), min(count for _, count in found)
    low, high = block_interval(np.mean([one[1] for one, _ in found], axis=0), mean, blocks)
    if not math.isnan(low):
        least, most = np.mean([one[2] for one, _ in found], axis=0).tolist()
        low, high = max(low, min(mean, least)), min(high, max(mean, most))
    return Score(mean, low, high, len({one.seed for one in pairs[0][0]}), blocks)


def paired(
    ours: Sequence[Outcome], theirs: Sequence[Outcome]
) -> tuple[float, Float64[np.ndarray, " r"], tuple[float, float]]:
    """Return the mean difference, its replicates from equal draws, and the range that both intervals allow."""
    theirs = in_order_of(ours, theirs)
    mean = mean_value([a.value - b.value for a, b in zip(ours, theirs, strict=True)])
    both = [(replicates(one), mean_value([outcome.value for outcome in one])) for one in (ours, theirs)]
    (low, high), (other_low, other_high) = (interval(*one) for one in both)
    return mean, both[0][0] - both[1][0], (low - other_high, high - other_low)


def in_words(name: str, other: str, found: Score) -> str:
    """State a difference (`name` minus `other`) in words, as far as its interval allows; a point is 0.01 of the score.

    Example:
        >>> in_words("A", "B", Score(0.027, 0.021, 0.034))
        'A is better than B by 2.1 to 3.4 points'
        >>> in_words("A", "B", Score(0.001, -0.005, 0.012))
        'A and B cannot be told apart (-0.5 to +1.2 points)'
    """
    low, high = 100 * found.low, 100 * found.high
    if math.isnan(found.mean):
        return f"{name} and {other} cannot be compared: no draw has a defined score"
    if math.isnan(low):
        few = f"{found.blocks} of the {FEWEST_BLOCKS} blocks that an interval needs"
        return f"{name} and {other} cannot be told apart ({100 * found.mean:+.1f} points; {few})"
    if found.clear:
        better, worse = (name, other) if found.low > 0 else (other, name)
        least, most = sorted((abs(low), abs(high)))
        size = f"{least:.1f} to {most:.1f}" if least >= 0.05 else f"up to {most:.1f}"
        return f"{better} is better than {worse} by {size} points"
    return f"{name} and {other} cannot be told apart ({low:+.1f} to {high:+.1f} points)"


@dataclass(frozen=True)
class Verdict:
    """A pair of encoders compared on one task, or on the "mean of tasks"; `found` is `name` minus `other`."""

    task: str
    name: str
    other: str
    found: Score

    @property
    def words(self) -> str:
        """The verdict in words."""
        return in_words(self.name, self.other, self.found)


def verdicts(
    outcomes: Sequence[Outcome], probe: str, split: str, labels: int, encoders: Sequence[str] | None = None
) -> list[Verdict]:
    """Compare every pair of encoders on every task, and on the mean of the tasks that both have, which comes first.

    Args:
        outcomes: From `evaluate`.
        probe: The probe; baselines that have their own are compared with it too.
        split: Name of the split.
        labels: Number of labelled rows.
        encoders: Compare only pairs with one of these. None: all pairs.

    Raises:
        ValueError: If nothing fits, or encoders were not judged on the same rows.
    """
    grid = outcome_grid(outcomes, probe, split, labels)
    names, tasks = (list(dict.fromkeys(key[i] for key in grid)) for i in (0, 1))
    found = []
    for name, other in itertools.combinations(names, 2):
        if encoders is not None and name not in encoders and other not in encoders:
            continue
        both = [task for task in tasks if (name, task) in grid and (other, task) in grid]
        if len(both) > 1:
            pairs = [(grid[name, task], grid[other, task]) for task in both]
            found.append(Verdict(MEAN, name, other, mean_difference(pairs)))
        found += [Verdict(task, name, other, difference(grid[name, task], grid[other, task])) for task in both]
    return found


def mean_ranks(
    outcomes: Sequence[Outcome], probe: str, split: str, labels: int
) -> dict[str, tuple[float, float, float]]:
    """Return the mean rank over tasks of the encoders that have all tasks; 1 is best, ties share a rank.

    Returns:
        Encoder to (mean rank by mean scores, low, high), best first; the interval is from bootstrap replicates.
    """
    from scipy.stats import rankdata

    grid = outcome_grid(outcomes, probe, split, labels)
    names, tasks = (list(dict.fromkeys(key[i] for key in grid)) for i in (0, 1))
    names = [name for name in names if all((name, task) in grid for task in tasks)]
    means = np.array([[mean_value([one.value for one in grid[name, task]]) for task in tasks] for name in names])
    drawn = np.stack([np.stack([replicates(grid[name, task]) for task in tasks]) for name in names])  # (e, t, r)
    point, spread = (rankdata(-np.nan_to_num(one, nan=-np.inf), axis=0).mean(axis=1) for one in (means, drawn))
    found = {name: (float(point[i]), *interval(spread[i], float(point[i]))) for i, name in enumerate(names)}
    return dict(sorted(found.items(), key=lambda item: item[1][0]))


def summary_rows(outcomes: Sequence[Outcome]) -> list[Row]:
    """Return one row per score: its mean, interval, seeds and blocks."""
    rows: list[Row] = []
    for (task, encoder, probe, split, labels), own in collect(outcomes).items():
        said = score(own)
        rows.append(
            {
                "task": task, "encoder": encoder, "probe": probe, "split": split, "labels": labels,
                "metric": own[0].metric, "mean": said.mean, "low": said.low, "high": said.high,
                "seeds": said.seeds, "blocks": said.blocks,
            }
        )  # fmt: skip
    return rows


def verdict_rows(found: Sequence[Verdict], probe: str, split: str, labels: int) -> list[Row]:
    """Return one row per verdict."""
    return [
        {
            "task": one.task, "encoder": one.name, "other": one.other, "probe": probe, "split": split,
            "labels": labels, "difference": one.found.mean, "low": one.found.low, "high": one.found.high,
            "verdict": one.words,
        }
        for one in found
    ]  # fmt: skip
