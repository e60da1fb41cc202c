"""Moran's I of values on a graph of nearest places: its sum, its moments by chance, and its self-information."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Integer

MOMENTS = ("permutation", "lattice")


class Moments(NamedTuple):
    """The distribution of Moran's sum by chance.

    Attributes:
        mean: Its mean.
        deviation: Its standard deviation.
    """

    mean: float
    deviation: float


def morans_i(values: Float64[np.ndarray, " n"], links: Integer[np.ndarray, "n k"]) -> float:
    """Return Moran's I with binary weights: 1 from each place to its k linked places.

    Args:
        values: One number per place, shape (n,), not all equal.
        links: Row numbers of the linked places of each place, shape (n, k).

    Returns:
        About -1 / (n - 1) without a pattern, towards 1 where similar values are neighbours.

    Raises:
        ValueError: If all values are equal.

    Source:
        Moran (1950), Biometrika 37:17.

    Example:
        >>> ring = np.stack([np.roll(np.arange(6), 1), np.roll(np.arange(6), -1)], axis=1)
        >>> morans_i(np.array([1.0, -1.0, 1.0, -1.0, 1.0, -1.0]), ring)
        -1.0
    """
    square = float(((values - values.mean()) ** 2).sum())
    if not square > 0:
        raise ValueError("Moran's I is not defined where all values are equal.")
    return moran_sum(values, links) * len(values) / (links.size * square)


def moran_sum(values: Float64[np.ndarray, " n"], links: Integer[np.ndarray, "n k"]) -> float:
    """Return the sum over all links of the product of both deviations from the mean: Moran's I before scaling."""
    centered = values - values.mean()
    return float(centered @ centered[links].sum(axis=1))


def moran_moments(
    values: Float64[np.ndarray, " n"], links: Integer[np.ndarray, "n k"], moments: str = "permutation"
) -> Moments:
    """Return mean and standard deviation of `moran_sum` by chance.

    Args:
        values: One number per place, shape (n,), n at least 4, not all equal.
        links: Shape (n, k).
        moments: "permutation": exact, over all permutations of the values, for these links;
            "lattice": for few different values on a square lattice with four neighbours, with 1 added to the
            deviation, as in PyGBS.

    Returns:
        The moments.

    Source:
        Cliff & Ord (1981), Spatial Processes, section 2.3.2 ("permutation"); Wang et al. (2024), COSIT, "Probing the
        Information Theoretical Roots of Spatial Dependence Measures", as restated in seai-lab/PyGBS ("lattice").
    """
    return lattice_moments(values) if moments == "lattice" else permutation_moments(values, links)


def permutation_moments(values: Float64[np.ndarray, " n"], links: Integer[np.ndarray, "n k"]) -> Moments:
    """Return Cliff and Ord's moments under randomisation, scaled from Moran's I to the sum."""
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
    return Moments(mean * scale, math.sqrt(max(variance, 0.0)) * scale)


def lattice_moments(values: Float64[np.ndarray, " n"]) -> Moments:
    """Return moments from the counts of each value, on a lattice where every place has four neighbours."""
    levels, counts = np.unique(values, return_counts=True)
    n = float(counts.sum())
    centered, most = levels - float(levels @ counts) / n, int(counts.argmax())
    mean = variance = 0.0
    for a, count_a in enumerate(counts.astype(float)):
        for b, count_b in enumerate(counts.astype(float)):
            product = centered[a] * centered[b]
            if a == b:
                mean += product * (4 * count_a * (count_a - 1) / n - 1)
                if a != most:
                    spread = 8 * count_a * (count_a - 1) / n * (1 - 4 * (2 * count_a - 1) / (3 * n))
                    variance += (levels[a] - levels[most]) ** 4 * spread
                continue
            share = 4 * max(count_a, count_b) / n
            mean += product * min(count_a, count_b) * share
            if most not in (a, b):
                effect = product - 2 * centered[a] * centered[most] + centered[most] ** 2
                variance += effect**2 * min(count_a, count_b) * share * (1 - share)
    return Moments(float(mean), math.sqrt(max(variance, 0.0)) + 1.0)


def surprisal(value: float, mean: float, deviation: float) -> float:
    """Return minus the logarithm of the two-sided tail probability of a normal value.

    Args:
        value: The value.
        mean: Its expected value.
        deviation: Its standard deviation; if 0, the result is 0.

    Returns:
        Nats; 0 at the mean, without an upper limit.

    Example:
        >>> round(surprisal(1.96, 0.0, 1.0), 2)
        3.0
    """
    from scipy.special import log_ndtr

    if deviation <= 0:
        return 0.0
    return max(0.0, -math.log(2.0) - float(log_ndtr(-abs(value - mean) / deviation)))
