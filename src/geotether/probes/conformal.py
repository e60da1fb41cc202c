"""Conformal prediction by blocks: intervals for numbers from residuals at places of held-out blocks."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64, Integer, Shaped

# With fewer rows, the spread of residuals is taken to be the same everywhere.
FEWEST_FOR_SPREAD = 300


def block_quantile(
    scores: Float[np.ndarray, " n"], blocks: Shaped[np.ndarray, " _"], level: float | np.floating
) -> float:
    """Return a number that at least a share `level` of the scores of a new block is expected not to exceed.

    Each of the b blocks has weight 1 / (b + 1), divided among its rows, and the remaining 1 / (b + 1) is at infinity.
    If blocks are exchangeable, a random row of a new block has a score of at most this number with a probability of
    `level` or more, however strongly rows of one block depend on each other.

    Args:
        scores: One per row, shape (n,).
        blocks: Number of each row's block, shape (n,).
        level: From 0 to 1.

    Returns:
        One of the scores, or infinity if there are too few blocks for the level.

    Source:
        Lee, Barber & Willett (2023), "Distribution-free inference with hierarchical data", arXiv:2306.06342,
        section 3.1.

    Example:
        >>> block_quantile(np.array([1.0, 2.0, 3.0, 4.0]), np.array([0, 1, 2, 3]), 0.6)
        3.0
        >>> block_quantile(np.array([1.0, 2.0]), np.array([0, 1]), 0.9)
        inf
    """
    _, index, sizes = np.unique(blocks, return_inverse=True, return_counts=True)
    weights = 1.0 / (sizes[index] * (len(sizes) + 1))
    order = np.argsort(scores, kind="stable")
    reached = np.searchsorted(np.cumsum(weights[order]), level - 1e-12)
    return float(scores[order[reached]]) if reached < len(scores) else float("inf")


def fewest_blocks(level: float) -> int:
    """Return the number of blocks from which on intervals of a level are finite.

    Example:
        >>> fewest_blocks(0.9)
        19
    """
    return int(np.ceil(2 / (1 - level) - 1 - 1e-9))


@dataclass(eq=False)
class BlockIntervals:
    """Prediction intervals from residuals at places whose block was held out of the fit.

    An interval is the prediction plus the lower and upper quantile over blocks of the residuals, each divided by the
    residual's expected size, times the expected size at the new place. The size is learned by boosting from a few
    columns that are known everywhere, such as the distance to the labels and the prediction: intervals are wide where
    errors were large. Whatever these columns say, the quantiles keep the stated coverage. Each fold's residuals are
    divided by sizes learned from the other folds.

    The model that predicts new places may be fitted on all rows: its errors are at most those of the held-out fits, on
    average.

    Attributes:
        scores_: Residuals divided by their expected size, shape (n,), after `fit`.

    Source:
        Lei et al. (2018), JASA 113:1094, section 5.2 (normalised residuals); Vovk (2015), Ann. Math. Artif. Intell.
        74:9 (cross-conformal prediction); `block_quantile` for the quantiles.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> blocks = np.arange(2000) // 2
        >>> intervals = BlockIntervals().fit(rng.normal(size=2000), np.zeros((2000, 1)), blocks, blocks % 5)
        >>> intervals.ends(np.array([10.0]), np.zeros((1, 1)), 0.9).round().tolist()
        [[8.0, 12.0]]
    """

    scores_: np.ndarray = field(init=False)
    blocks_: np.ndarray = field(init=False)
    folds_: np.ndarray = field(init=False)

    def fit(
        self,
        residuals: Float[np.ndarray, " n"],
        columns: Float[np.ndarray, "_ k"],
        blocks: Shaped[np.ndarray, " _"],
        folds: Integer[np.ndarray, " _"],
    ) -> "BlockIntervals":
        """Learn the sizes of residuals and their distribution.

        Args:
            residuals: True minus predicted numbers; each row was predicted without its fold.
            columns: What sizes are learned from, finite, shape (n, k).
            blocks: Number of each row's block.
            folds: Fold of each row; whole blocks.

        Raises:
            ValueError: If lengths differ, or a value is not finite.
        """
        count = len(residuals)
        if not (len(columns) == len(blocks) == len(folds) == count > 0):
            raise ValueError(f"{count} residuals need as many columns, blocks and folds.")
        if not (np.isfinite(residuals).all() and np.isfinite(columns).all()):
            raise ValueError("residuals and columns must be finite.")
        self.blocks_, self.folds_ = np.asarray(blocks), np.asarray(folds)
        sizes = np.ones(count)
        self._size: Any = None
        if count >= FEWEST_FOR_SPREAD and residuals.any():
            # A small constant keeps the logarithm of tiny residuals from deciding.
            logarithms = np.log(np.abs(residuals) + 0.05 * np.abs(residuals).mean())
            for fold in np.unique(folds):
                held = folds == fold
                if (~held).any():
                    sizes[held] = np.exp(_grow(columns[~held], logarithms[~held]).predict(columns[held]))
            self._size = _grow(columns, logarithms)
        self.scores_ = residuals / sizes
        return self

    def ends(
        self, predicted: Float[np.ndarray, " m"], columns: Float[np.ndarray, "m k"], level: float
    ) -> Float64[np.ndarray, "m 2"]:
        """Return the lower and upper end of the interval of each row.

        Args:
            predicted: Predictions.
            columns: As for `fit`.
            level: Stated coverage, such as 0.9; each end is exceeded by half of the rest.
        """
        sizes = self.sizes(columns)
        low, high = _ends(self.scores_, self.blocks_, level)
        return np.stack([predicted + low * sizes, predicted + high * sizes], axis=1)

    def sizes(self, columns: Float[np.ndarray, "m k"]) -> Float64[np.ndarray, " m"]:
        """Return the expected size of the residual of each row, up to a constant factor."""
        if self._size is None or not len(columns):
            return np.ones(len(columns))
        return np.exp(self._size.predict(columns))

    def covered(self, level: float) -> Bool[np.ndarray, " n"]:
        """Tell which of the fitted rows lie in intervals of a level that are made without the row's fold."""
        inside = np.empty(len(self.scores_), dtype=bool)
        for fold in np.unique(self.folds_):
            held = self.folds_ == fold
            low, high = _ends(self.scores_[~held], self.blocks_[~held], level)
            inside[held] = (self.scores_[held] >= low) & (self.scores_[held] <= high)
        return inside


def _ends(scores: Float[np.ndarray, " n"], blocks: Shaped[np.ndarray, " _"], level: float) -> tuple[float, float]:
    side = (1 + level) / 2
    return -block_quantile(-scores, blocks, side), block_quantile(scores, blocks, side)


def _grow(columns: Float[np.ndarray, "n k"], logarithms: Float[np.ndarray, " n"]) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    trees = HistGradientBoostingRegressor(
        max_iter=60, learning_rate=0.06, max_leaf_nodes=8, min_samples_leaf=60, early_stopping=False, random_state=0
    )
    return trees.fit(columns, logarithms)
