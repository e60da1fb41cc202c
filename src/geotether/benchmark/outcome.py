"""The result of one probe on one encoder, as sums over spatial blocks from which scores and intervals follow."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float64, Int64, Integer, Shaped

from geotether.benchmark.splitting import USUAL_BLOCK_KM, block_side_km
from geotether.geodesy.blocks import block_id

Row = dict[str, str | int | float]
# Columns of `sums` by metric.
SUMS = {
    "R2": ("rows", "value", "squared value", "squared error"),
    "accuracy": ("rows", "right"),
    "micro F1": ("true positive", "false positive", "false negative"),
}


@dataclass(frozen=True, eq=False)
class Outcome:
    """The result of one draw of labelled rows.

    Args:
        task: Name of the task.
        encoder: Name of the encoder.
        probe: Name of the probe.
        split: Name of the split.
        labels: Number of labelled training rows.
        seed: Seed of the draw.
        fold: The continent that was held out, where a seed has several folds; else empty.
        metric: "R2", "accuracy" or "micro F1".
        value: The score of all judged rows; NaN where undefined.
        chosen: The hyper-parameter chosen inside the training rows, in words.
        blocks: Spatial blocks of the judged rows, ascending, shape (b,).
        sums: The sums of each block, named in `SUMS`, shape (b, s).
    """

    task: str
    encoder: str
    probe: str
    split: str
    labels: int
    seed: int
    fold: str
    metric: str
    value: float
    chosen: str
    blocks: Int64[np.ndarray, " b"]
    sums: Float64[np.ndarray, "b s"]

    def undefined(self) -> "Outcome":
        """Return the outcome without a score, where every encoder would have the same."""
        return replace(self, value=float("nan"), sums=np.zeros_like(self.sums))

    def row(self) -> Row:
        """Return the tidy row of a score table."""
        return {name: getattr(self, name) for name in COLUMNS}


def with_scores(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Return the outcomes whose score is defined, which figures can show."""
    return [one for one in outcomes if not np.isnan(one.value)]


COLUMNS = ("task", "encoder", "probe", "split", "labels", "metric", "seed", "fold", "value", "chosen")


def interval_blocks(lonlat: Float[np.ndarray, "m 2"], split: str) -> Int64[np.ndarray, " m"]:
    """Return the blocks for the intervals of a split: its own, or blocks of 1000 km where it has none."""
    return block_id(lonlat, block_side_km(split) or USUAL_BLOCK_KM).astype(np.int64)


def block_sums(
    metric: str,
    true: Shaped[np.ndarray, "m *c"],
    predicted: Shaped[np.ndarray, "m *c"],
    blocks: Integer[np.ndarray, " m"],
) -> tuple[Int64[np.ndarray, " b"], Float64[np.ndarray, "b s"]]:
    """Sum the terms of a metric (`SUMS`) per block; values have shape (m,), or (m, c) for "micro F1".

    Returns:
        Blocks in ascending order, shape (b,), and sums, shape (b, s).
    """
    names, index = np.unique(blocks, return_inverse=True)
    if metric == "R2":
        centred = true - true.mean()  # R2 does not change, and squares lose no digits
        parts = [np.ones(len(true)), centred, centred**2, (true - predicted) ** 2]
    elif metric == "accuracy":
        parts = [np.ones(len(true)), (true == predicted).astype(np.float64)]
    else:
        parts = [(true * predicted).sum(1), ((1 - true) * predicted).sum(1), (true * (1 - predicted)).sum(1)]
    sums = np.stack([np.bincount(index, weights=part, minlength=len(names)) for part in parts], axis=1)
    return names.astype(np.int64), sums


def score_of_sums(metric: str, sums: Float64[np.ndarray, "*r s"]) -> Float64[np.ndarray, "*r"]:
    """Return the score of sums over blocks; NaN where undefined: no rows, equal true values, no label at all.

    Example:
        >>> score_of_sums("accuracy", np.array([[4.0, 3.0], [0.0, 0.0]])).tolist()
        [0.75, nan]
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        if metric == "R2":
            rows, total, squares, errors = np.moveaxis(sums, -1, 0)
            spread = squares - total**2 / rows
            # Rounding leaves about 1e-16 of the squares where all values are equal.
            return np.asarray(1.0 - errors / np.where(spread > 1e-12 * squares, spread, np.nan))
        if metric == "accuracy":
            return np.asarray(sums[..., 1] / np.where(sums[..., 0] > 0, sums[..., 0], np.nan))
        positive, wrong, missed = np.moveaxis(sums, -1, 0)
        total = 2 * positive + wrong + missed
        return np.asarray(2 * positive / np.where(total > 0, total, np.nan))
