"""Intervals by bootstrap over spatial blocks: how scores vary between samples of the Earth's regions."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Float64, Int64

from geotether.benchmark.outcome import Outcome, score_of_sums
from geotether.benchmark.splitting import FEWEST_BLOCKS
from geotether.probes.scores import Score

REPEATS = 1000
LEVEL = 95


def replicates(outcomes: Sequence[Outcome]) -> Float64[np.ndarray, " r"]:
    """Return bootstrap replicates of the mean score of one encoder on one task, probe, split and label count.

    Blocks are drawn with replacement within each group of blocks that are first judged together, and a block that
    several seeds judge is drawn once for all of them. Where all seeds judge the same places ("own", "random",
    "continents"), seeds are drawn too, so that the interval includes the variation between draws of labels. The draws
    depend on the blocks and seeds only: encoders judged on the same rows get the same draws, so differences of
    replicates are paired.

    Args:
        outcomes: All seeds and folds of one encoder, task, probe, split and label count, in order.

    Returns:
        Shape (1000,); NaN where the score of a draw is not defined.

    Source:
        Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapter 8 (resampling of blocks of dependent data).
    """
    drawn = draw_blocks(tuple(one.blocks.tobytes() for one in outcomes))
    names = np.unique(np.concatenate([one.blocks for one in outcomes]))
    scores = np.empty((REPEATS, len(outcomes)))
    for i, one in enumerate(outcomes):
        weights = drawn[:, np.searchsorted(names, one.blocks)]
        scores[:, i] = score_of_sums(one.metric, weights @ one.sums)
    weight = draw_seeds(tuple(one.seed for one in outcomes), fixed=outcomes[0].split.startswith("blocks-"))
    weight = np.where(np.isnan(scores), 0.0, weight)
    with np.errstate(invalid="ignore"):
        return np.nansum(scores * weight, axis=1) / weight.sum(axis=1)


@lru_cache(maxsize=256)
def draw_blocks(judged: tuple[bytes, ...]) -> Float64[np.ndarray, "r b"]:
    """Return how often each block is drawn in each replicate.

    Args:
        judged: The blocks of each outcome (int64, as bytes).

    Returns:
        Counts, shape (1000, b), blocks in ascending order.
    """
    parts: list[Int64[np.ndarray, " _"]] = [np.frombuffer(one, dtype=np.int64) for one in judged]
    names = np.unique(np.concatenate(parts))
    group = np.full(len(names), -1)
    for i, part in enumerate(parts):
        index = np.searchsorted(names, part)
        group[index[group[index] < 0]] = i
    rng = np.random.default_rng(0)
    counts = np.zeros((REPEATS, len(names)))
    for one in np.unique(group):
        members = np.flatnonzero(group == one)
        counts[:, members] = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), size=REPEATS)
    counts.setflags(write=False)
    return counts


@lru_cache(maxsize=256)
def draw_seeds(seeds: tuple[int, ...], fixed: bool) -> Float64[np.ndarray, "r o"]:
    """Return the weight of each outcome in each replicate, from seeds drawn with replacement (once each if fixed)."""
    names, index = np.unique(seeds, return_inverse=True)
    counts = np.ones((REPEATS, len(names)))
    if not fixed:
        counts[:] = np.random.default_rng(1).multinomial(len(names), np.full(len(names), 1 / len(names)), size=REPEATS)
    weight = counts[:, index]
    weight.setflags(write=False)
    return weight


def interval(values: Float64[np.ndarray, " r"], point: float) -> tuple[float, float]:
    """Return the 95 % interval from replicates, corrected for bias.

    R2 of few blocks is skewed, and most replicates may be below the score; the percentiles are shifted by the distance
    between the score and the median.

    Args:
        values: Replicates; NaN where undefined.
        point: The score that they are replicates of.

    Returns:
        Both ends; NaN if no replicate is defined.

    Source:
        Efron & Tibshirani (1993), section 14.3, without acceleration.

    Example:
        >>> [round(end, 6) for end in interval(np.linspace(0, 1, 1001), 0.5)]
        [0.025, 0.975]
    """
    from scipy.special import ndtr, ndtri

    known = values[~np.isnan(values)]
    if not len(known):
        return float("nan"), float("nan")
    # Ties (up to rounding) count half. All replicates on one side would have no finite quantile.
    tie = 1e-9 * np.ptp(known) + 1e-12
    below = ((known < point - tie).sum() + 0.5 * (np.abs(known - point) <= tie).sum()) / len(known)
    shift = 2 * ndtri(np.clip(below, 1 / (len(known) + 1), len(known) / (len(known) + 1)))
    edge = ndtri(0.5 + LEVEL / 200)
    low, high = np.percentile(known, 100 * ndtr([shift - edge, shift + edge]))
    return float(low), float(high)


def score(outcomes: Sequence[Outcome]) -> Score:
    """Return the mean over seeds and folds (NaN where none is defined) with its interval, if it has blocks enough."""
    mean, blocks = mean_value([one.value for one in outcomes]), count_blocks(outcomes)
    return Score(mean, *block_interval(replicates(outcomes), mean, blocks), len({one.seed for one in outcomes}), blocks)


def block_interval(values: Float64[np.ndarray, " r"], point: float, blocks: int) -> tuple[float, float]:
    """Return the interval, or NaN where there are fewer than `FEWEST_BLOCKS` blocks to draw."""
    return interval(values, point) if blocks >= FEWEST_BLOCKS else (float("nan"), float("nan"))


def mean_value(values: Sequence[float]) -> float:
    """Return the mean of the values that are not NaN; NaN if there is none."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def count_blocks(outcomes: Sequence[Outcome]) -> int:
    """Return the number of different judged blocks."""
    return len(np.unique(np.concatenate([one.blocks for one in outcomes])))
