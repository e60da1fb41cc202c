"""Moran's I of values on a graph of nearest places: its sum, its moments by chance, and its self-information."""

import math

import numpy as np
from jaxtyping import Float64, Integer


def moran_sum(values: Float64[np.ndarray, " n"], links: Integer[np.ndarray, "n k"]) -> float:
    """Return the sum over all links of the product of both deviations from the mean: Moran's I before scaling.

    Args:
        values: One number per place, shape (n,).
        links: Row numbers of the linked places of each place, shape (n, k).

    Source:
        Moran (1950), Biometrika 37:17.
    """
    centered = values - values.mean()
    return float(centered @ centered[links].sum(axis=1))


def moran_moments(values: Float64[np.ndarray, " n"], links: Integer[np.ndarray, "n k"]) -> tuple[float, float]:
    """Return mean and standard deviation of `moran_sum` over all permutations of the values, exactly.

    Args:
        values: One number per place, shape (n,), n at least 4, not all equal.
        links: Shape (n, k).

    Source:
        Cliff & Ord (1981), Spatial Processes, section 2.3.2, scaled from Moran's I to the sum.
    """
    n, weight = len(values), float(links.size)
    centered = values - values.mean()
    square = float((centered**2).sum())
    kurtosis = n * float((centered**4).sum()) / square**2
    mutual = float((links[links] == np.arange(n)[:, None, None]).any(axis=2).sum())
    s1 = weight + mutual
    s2 = float(((links.shape[1] + np.bincount(links.ravel(), minlength=n)) ** 2).sum())
    mean = -1.0 / (n - 1)
    even = n * ((n**2 - 3 * n + 3) * s1 - n * s2 + 3 * weight**2)
    peaked = kurtosis * ((n**2 - n) * s1 - 2 * n * s2 + 6 * weight**2)
    variance = (even - peaked) / ((n - 1) * (n - 2) * (n - 3) * weight**2) - mean**2
    scale = weight * square / n
    return mean * scale, math.sqrt(max(variance, 0.0)) * scale


def surprisal(value: float, mean: float, deviation: float) -> float:
    """Return minus the logarithm of the two-sided tail probability of a normal value, in nats.

    The result is 0 at the mean, without an upper limit, and 0 if the deviation is 0.
    """
    from scipy.special import log_ndtr

    if deviation <= 0:
        return 0.0
    return max(0.0, -math.log(2.0) - float(log_ndtr(-abs(value - mean) / deviation)))
