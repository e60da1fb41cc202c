"""Calibrated probabilities of classes, and sets of classes that contain the true one as often as stated."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Float64, Integer, Shaped

from geotether.probes.conformal import block_quantile


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

    The probability of a class is (1 - e) softmax(t scores) + e frequency, where the inverse temperature t and the
    share e of the classes' frequencies maximise the likelihood of the held-out rows. The frequencies give a class that
    a held-out fit did not know a probability above zero. The set of a level consists of the most probable class and
    all whose probability reaches a threshold, the quantile over blocks of the probability of the true class.

    Attributes:
        inverse_temperature_, share_: t and e, after `fit`.
        held_out_: Probabilities of the fitted rows by t and e of the other folds, shape (n, c).

    Source:
        Guo et al. (2017), ICML, arXiv:1706.04599 (temperature); Sadinle, Lei & Wasserman (2019), JASA 114:223 (sets
        of least size); `block_quantile` for the threshold.
    """

    inverse_temperature_: float = field(default=1.0, init=False)
    share_: float = field(default=0.0, init=False)
    held_out_: np.ndarray = field(init=False)

    def fit(
        self,
        scores: Float[np.ndarray, "n c"],
        codes: Integer[np.ndarray, " n"],
        blocks: Shaped[np.ndarray, " _"],
        folds: Integer[np.ndarray, " _"],
    ) -> "CalibratedClasses":
        """Calibrate.

        Args:
            scores: From `class_scores`; minus infinity for a class that the fit without the row's fold did not know.
            codes: Column of the true class of each row.
            blocks: Number of each row's block.
            folds: Fold of each row; whole blocks.

        Raises:
            ValueError: If lengths differ, or a row has no finite score.
        """
        count = len(scores)
        if not (len(codes) == len(blocks) == len(folds) == count > 0):
            raise ValueError(f"{count} rows of scores need as many codes, blocks and folds.")
        if not np.isfinite(scores.max(axis=1)).all():
            raise ValueError("every row needs a finite score of some class.")
        self.codes_, self.blocks_, self.folds_ = codes, np.asarray(blocks), np.asarray(folds)
        self.frequency_ = np.bincount(codes, minlength=scores.shape[1]) / count
        self.held_out_ = np.empty(scores.shape)
        for fold in np.unique(folds):
            held = folds == fold
            fitted = ~held if (~held).any() else held
            parameters = _most_likely(scores[fitted], codes[fitted], self.frequency_)
            self.held_out_[held] = _mixture(scores[held], self.frequency_, *parameters)
        self.inverse_temperature_, self.share_ = _most_likely(scores, codes, self.frequency_)
        self.true_ = self.held_out_[np.arange(count), codes]
        return self

    def probabilities(self, scores: Float[np.ndarray, "m c"]) -> Float64[np.ndarray, "m c"]:
        """Return the probability of each class."""
        return _mixture(scores, self.frequency_, self.inverse_temperature_, self.share_)

    def threshold(self, level: float) -> float:
        """Return the least probability of a class in the set of a level; 0 if every class is in every set."""
        return max(-block_quantile(-self.true_, self.blocks_, level), 0.0)

    def covered(self, level: float) -> Bool[np.ndarray, " n"]:
        """Tell which fitted rows have their true class in the set that is made without the row's fold."""
        inside = np.empty(len(self.true_), dtype=bool)
        for fold in np.unique(self.folds_):
            held = self.folds_ == fold
            threshold = -block_quantile(-self.true_[~held], self.blocks_[~held], level)
            inside[held] = self.true_[held] >= threshold
        return inside | (self.held_out_.argmax(axis=1) == self.codes_)


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
    scores: Float[np.ndarray, "m c"], frequency: Float[np.ndarray, " c"], inverse_temperature: float, share: float
) -> Float64[np.ndarray, "m c"]:
    with np.errstate(invalid="ignore"):
        logits = np.where(np.isfinite(scores), inverse_temperature * scores, -np.inf)
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (1 - share) * weights / weights.sum(axis=1, keepdims=True) + share * frequency


def _most_likely(
    scores: Float[np.ndarray, "n c"], codes: Integer[np.ndarray, " n"], frequency: Float[np.ndarray, " c"]
) -> tuple[float, float]:
    """Return inverse temperature and share of the highest likelihood."""
    from scipy.optimize import minimize

    def parameters(free: Float64[np.ndarray, "2"]) -> tuple[float, float]:
        return float(np.exp(np.clip(free[0], -5, 5))), float(1 / (1 + np.exp(-np.clip(free[1], -9, 9))))

    def loss(free: Float64[np.ndarray, "2"]) -> float:
        found = _mixture(scores, frequency, *parameters(free))[np.arange(len(codes)), codes]
        return -float(np.log(np.maximum(found, 1e-12)).mean())

    return parameters(minimize(loss, np.array([0.0, -3.0]), method="Nelder-Mead", options={"maxfev": 80}).x)
