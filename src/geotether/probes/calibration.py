"""Calibrated probabilities of classes, and sets of classes that contain the true one as often as stated."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Float64, Integer, Shaped

from geotether.probes.conformal import block_quantile

# With fewer rows there is one threshold for all.
FEWEST_FOR_GROUPS = 300


def class_scores(kind: str, columns: Float[np.ndarray, "m c"]) -> Float64[np.ndarray, "m c"]:
    """Convert what a probe says of each class to logarithms of probabilities, up to temperature and a constant.

    Args:
        kind: "logarithms" (logits, log-probabilities) or "shares" (least squares on 0 and 1, or votes).
        columns: One column per class.
    """
    if kind == "logarithms":
        return columns.astype(np.float64)
    return np.log(np.clip(columns, 1e-3, None)).astype(np.float64)


@dataclass(eq=False)
class CalibratedClasses:
    """Probabilities calibrated, and sets of classes made, with the scores at places of held-out blocks.

    The probability of a class is (1 - e) softmax(t scores) + e frequency. The logarithm of t and the log-odds of e are
    linear in a few columns that are known everywhere, such as the distance to the labels, and maximise the likelihood
    of the held-out rows: probabilities are less certain where fits were wrong more often. The frequencies give a class
    that a held-out fit did not know a probability above zero.

    The set of a level consists of the most probable class and all whose probability reaches a threshold, the quantile
    over blocks of the probability of the true class; a quantile of its own for each third of the rows by the mean of
    the standardised columns, so that sets cover far from the labels as often as near them.

    Attributes:
        held_out_: Probabilities of the fitted rows by t and e of the other folds, shape (n, c), after `fit`.

    Source:
        Guo et al. (2017), ICML, arXiv:1706.04599 (temperature); Sadinle, Lei & Wasserman (2019), JASA 114:223 (sets
        of least size); Vovk (2012), ACML (a quantile per group); `block_quantile` for the threshold.
    """

    held_out_: np.ndarray = field(init=False)

    def fit(
        self,
        scores: Float[np.ndarray, "n c"],
        codes: Integer[np.ndarray, " n"],
        columns: Float[np.ndarray, "n k"],
        blocks: Shaped[np.ndarray, " _"],
        folds: Integer[np.ndarray, " _"],
        fitted: Callable[[], None] = lambda: None,
    ) -> "CalibratedClasses":
        """Calibrate.

        Args:
            scores: From `class_scores`; minus infinity for a class that the fit without the row's fold did not know.
            codes: Column of the true class of each row.
            columns: What certainty depends on, finite, larger where predictions are harder, shape (n, k).
            blocks: Number of each row's block.
            folds: Fold of each row; whole blocks.
            fitted: Called after the fit without each fold; an exception that it raises ends the work.

        Raises:
            ValueError: If lengths differ, or a row has no finite score.
        """
        count = len(scores)
        if not (len(codes) == len(columns) == len(blocks) == len(folds) == count > 0):
            raise ValueError(f"{count} rows of scores need as many codes, columns, blocks and folds.")
        if not (np.isfinite(scores.max(axis=1)).all() and np.isfinite(columns).all()):
            raise ValueError("every row needs a finite score of some class, and finite columns.")
        self.codes_, self.blocks_, self.folds_ = codes, np.asarray(blocks), np.asarray(folds)
        self.frequency_ = np.bincount(codes, minlength=scores.shape[1]) / count
        self.mean_, self.scale_ = columns.mean(axis=0), np.maximum(columns.std(axis=0), 1e-12)
        known = self._standardised(columns)
        self.held_out_ = np.empty(scores.shape)
        for fold in np.unique(folds):
            held = folds == fold
            used = ~held if (~held).any() else held
            found = _most_likely(scores[used], codes[used], known[used], self.frequency_)
            self.held_out_[held] = _mixture(scores[held], known[held], self.frequency_, found)
            fitted()
        self.parameters_ = _most_likely(scores, codes, known, self.frequency_)
        self.true_ = self.held_out_[np.arange(count), codes]
        hardness = known.mean(axis=1)
        few = count < FEWEST_FOR_GROUPS or np.ptp(hardness) == 0
        self.edges_ = np.empty(0) if few else np.quantile(hardness, (1 / 3, 2 / 3))
        self.groups_ = np.searchsorted(self.edges_, hardness)
        return self

    def probabilities(
        self, scores: Float[np.ndarray, "m c"], columns: Float[np.ndarray, "m k"]
    ) -> Float64[np.ndarray, "m c"]:
        """Return the probability of each class."""
        return _mixture(scores, self._standardised(columns), self.frequency_, self.parameters_)

    def thresholds(self, columns: Float[np.ndarray, "m k"], level: float) -> Float64[np.ndarray, " m"]:
        """Return the least probability of a class in each row's set of a level; 0 where all classes are in it."""
        group = np.searchsorted(self.edges_, self._standardised(columns).mean(axis=1))
        return self._thresholds(np.ones(len(self.true_), dtype=bool), level)[group]

    def covered(self, level: float) -> Bool[np.ndarray, " n"]:
        """Tell which fitted rows have their true class in the set that is made without the row's fold."""
        inside = np.empty(len(self.true_), dtype=bool)
        for fold in np.unique(self.folds_):
            held = self.folds_ == fold
            inside[held] = self.true_[held] >= self._thresholds(~held, level)[self.groups_[held]]
        return inside | (self.held_out_.argmax(axis=1) == self.codes_)

    def _standardised(self, columns: Float[np.ndarray, "m k"]) -> Float64[np.ndarray, "m k"]:
        return (columns - self.mean_) / self.scale_

    def _thresholds(self, used: Bool[np.ndarray, " n"], level: float) -> Float64[np.ndarray, " g"]:
        groups = [used & (self.groups_ == group) for group in range(len(self.edges_) + 1)]
        found = [-block_quantile(-self.true_[rows], self.blocks_[rows], level) for rows in groups]
        return np.maximum(found, 0.0)


def entropy(probabilities: Float[np.ndarray, "m c"]) -> Float64[np.ndarray, " m"]:
    """Return the entropy of each row as a share of that of equal probabilities, from 0 (certain) to 1.

    Example:
        >>> entropy(np.array([[0.5, 0.5], [1.0, 0.0]])).tolist()
        [1.0, 0.0]
    """
    safe = np.where(probabilities > 0, probabilities, 1.0)
    found = -(safe * np.log(safe)).sum(axis=1) / np.log(max(probabilities.shape[1], 2))
    return np.asarray(found + 0.0)


def _mixture(
    scores: Float[np.ndarray, "m c"],
    columns: Float[np.ndarray, "m k"],
    frequency: Float[np.ndarray, " c"],
    parameters: Float64[np.ndarray, " p"],
) -> Float64[np.ndarray, "m c"]:
    """Return probabilities; the parameters are those of log t and of the log-odds of e, a constant first."""
    known = np.column_stack([np.ones(len(columns)), columns])
    half = known.shape[1]
    inverse_temperature = np.exp(np.clip(known @ parameters[:half], -4, 4))[:, None]
    share = 1 / (1 + np.exp(-np.clip(known @ parameters[half:], -9, 9)))[:, None]
    logits = np.where(np.isfinite(scores), scores, 0.0) * inverse_temperature
    logits[~np.isfinite(scores)] = -np.inf
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (1 - share) * weights / weights.sum(axis=1, keepdims=True) + share * frequency


def _most_likely(
    scores: Float[np.ndarray, "n c"],
    codes: Integer[np.ndarray, " n"],
    columns: Float[np.ndarray, "n k"],
    frequency: Float[np.ndarray, " c"],
) -> Float64[np.ndarray, " p"]:
    """Return the parameters of `_mixture` with the highest likelihood, with a small penalty on the slopes."""
    from scipy.optimize import minimize

    half = columns.shape[1] + 1
    start = np.zeros(2 * half)
    start[half] = -3.0
    slopes = np.ones(2 * half)
    slopes[[0, half]] = 0.0

    def loss(parameters: Float64[np.ndarray, " p"]) -> float:
        found = _mixture(scores, columns, frequency, parameters)[np.arange(len(codes)), codes]
        return float((slopes * parameters**2).sum() / len(codes) - np.log(np.maximum(found, 1e-12)).mean())

    return np.asarray(minimize(loss, start, method="L-BFGS-B", options={"maxiter": 30}).x)
