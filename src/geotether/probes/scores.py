"""How right predictions are, and how sure one may be of the mean of a few repeats."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped


@dataclass(frozen=True)
class Score:
    """A mean over repeats with its 95 % interval.

    Args:
        mean: Mean of the repeats.
        half_width: Half the width of the interval; NaN for a single repeat, of which nothing can be said.
        count: Number of repeats.
    """

    mean: float
    half_width: float
    count: int

    def __str__(self) -> str:
        """Write as 0.71 ± 0.02."""
        return f"{self.mean:.3f}" if math.isnan(self.half_width) else f"{self.mean:.3f} ± {self.half_width:.3f}"


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


def mean_interval(values: Sequence[float] | Float[np.ndarray, " n"]) -> tuple[float, float]:
    """Mean of repeats and half the width of its 95 % interval by Student's t.

    Repeats that share their test rows and part of their training rows are not independent; the interval tells how
    much the draw of the labels matters, not how much another part of the Earth would.

    Args:
        values: One value a repeat, at least one.

    Returns:
        (mean, half_width); the half width is NaN for a single value.

    Raises:
        ValueError: If there are no values.

    Example:
        >>> mean, half_width = mean_interval([1.0, 2.0, 3.0])
        >>> round(mean, 3), round(half_width, 3)
        (2.0, 2.484)
    """
    from scipy.stats import t

    if not len(values):
        raise ValueError("mean_interval needs at least one value, got none.")
    count, mean = len(values), float(np.mean(values))
    if count == 1:
        return mean, math.nan
    return mean, float(t.ppf(0.975, count - 1) * np.std(values, ddof=1) / math.sqrt(count))
