"""How right predictions are, and a mean of repeats with its interval."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped


@dataclass(frozen=True)
class Score:
    """A mean over repeats with its 95 % interval.

    Args:
        mean: Mean of the repeats.
        low, high: Ends of the interval; NaN where there is none.
        seeds: Number of repeats.
        blocks: Number of spatial blocks that the judged rows lie in.
    """

    mean: float
    low: float
    high: float
    seeds: int
    blocks: int

    def __str__(self) -> str:
        """Write as 0.710 [0.690, 0.730]."""
        if math.isnan(self.low):
            return f"{self.mean:.3f}"
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def r2(true: Float[np.ndarray, " n"], predicted: Float[np.ndarray, " n"]) -> float:
    """Share of the variance explained: 1 is perfect, 0 is as good as the mean of these rows, below 0 is worse.

    Args:
        true: True values, shape (n,), not all equal.
        predicted: Predicted values, shape (n,).

    Returns:
        1 - sum of squared errors / sum of squares about the mean of `true`.

    Raises:
        ValueError: If all true values are equal, so that the score is not defined.

    Example:
        >>> r2(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 4.0]))
        0.5
    """
    spread = float(((true - true.mean()) ** 2).sum())
    if spread == 0.0:
        raise ValueError(f"R2 is not defined: all {len(true)} true values are {true[0]:g}.")
    return 1.0 - float(((true - predicted) ** 2).sum()) / spread


def accuracy(true: Shaped[np.ndarray, " n"], predicted: Shaped[np.ndarray, " n"]) -> float:
    """Share of rows whose class is right. A class never seen in training counts as wrong wherever it is true.

    Example:
        >>> accuracy(np.array(["a", "b"]), np.array(["a", "a"]))
        0.5
    """
    return float(np.mean(true == predicted))
