"""Dimension of embeddings: intrinsic dimension from neighbours, effective rank from the spectrum."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64

from geotether.probes.neighbors import nearest

CHUNK_NUMBERS = 2**22


class Dimension(NamedTuple):
    """An estimate of the intrinsic dimension.

    Attributes:
        value: The dimension; NaN with fewer than three different rows.
        used: Number of different rows used.
        duplicates: Number of rows left out because they equal another row.
    """

    value: float
    used: int
    duplicates: int


def two_nn(features: Float[np.ndarray, "n d"], discard_share: float = 0.1) -> Dimension:
    """Estimate the intrinsic dimension from the two nearest neighbours of every row.

    Where the density is constant around a row and its nearest neighbours, the ratio of the second to the first distance
    follows a Pareto distribution whose exponent is the dimension.

    Args:
        features: Rows, shape (n, d), n at least 3.
        discard_share: Share of the rows with the largest ratios to leave out, above 0 and below 1; they deviate most
            from that distribution.

    Raises:
        ValueError: If there are fewer than three rows, or the share is out of range.

    Source:
        Facco, d'Errico, Rodriguez & Laio (2017), Scientific Reports 7:12140 (a line through the origin).

    Example:
        >>> rng = np.random.default_rng(0)
        >>> plane = rng.uniform(size=(1000, 2)) @ rng.standard_normal((2, 50))
        >>> round(two_nn(plane).value)
        2
    """
    if not 0 < discard_share < 1:
        raise ValueError(f"discard_share must lie between 0 and 1, got {discard_share}.")
    rows, duplicates = different_rows(features)
    kept = int(len(rows) * (1 - discard_share))
    if len(rows) < 3 or kept < 2:
        return Dimension(float("nan"), len(rows), duplicates)
    distance = neighbor_distances(rows, 2)
    log_ratio = np.sort(np.log(distance[:, 1] / distance[:, 0]))[:kept]
    survival = -np.log1p(-np.arange(1, kept + 1) / len(rows))
    square = log_ratio @ log_ratio
    value = log_ratio @ survival / square if square > 0 else np.nan
    return Dimension(float(value), len(rows), duplicates)


def mle_dimension(features: Float[np.ndarray, "n d"], k: int = 20) -> Dimension:
    """Estimate the intrinsic dimension from the growth of distances over the k nearest neighbours.

    Args:
        features: Rows, shape (n, d), n at least 3.
        k: Number of neighbours, 2 or more; fewer with fewer different rows.

    Raises:
        ValueError: If there are fewer than three rows, or `k` is below 2.

    Source:
        Levina & Bickel (2004), NIPS 17, eq. 8; MacKay & Ghahramani (2005), comments on it: the inverse of the mean of
        inverses over the rows has the maximum likelihood.

    Example:
        >>> line = np.linspace(0, 1, 500)[:, None] ** 2 * np.ones((1, 9))
        >>> round(mle_dimension(line).value, 1)
        1.1
    """
    check_k(k)
    rows, duplicates = different_rows(features)
    if len(rows) < 3:
        return Dimension(float("nan"), len(rows), duplicates)
    local = dimension_of_distances(neighbor_distances(rows, min(k, len(rows) - 1)))
    known = local[np.isfinite(local)]
    if not len(known):
        return Dimension(float("nan"), len(rows), duplicates)
    return Dimension(float(1.0 / (1.0 / known).mean()), len(rows), duplicates)


def local_dimension(features: Float[np.ndarray, "n d"], k: int = 100) -> Float64[np.ndarray, " n"]:
    """Estimate the intrinsic dimension around every row by maximum likelihood over its k neighbours.

    Args:
        features: Rows, shape (n, d), n at least 3.
        k: Number of neighbours, 2 or more; fewer with fewer different rows.

    Returns:
        Shape (n,). Equal rows share one value. NaN where all k neighbours are at the same distance.

    Source:
        Levina & Bickel (2004), NIPS 17, eq. 8; mapped for location encoders in arXiv:2511.02101 (2025).
    """
    check_k(k)
    check_rows(features)
    rows, place = np.unique(features.astype(np.float64), axis=0, return_inverse=True)
    if len(rows) < 3:
        return np.full(len(features), np.nan)
    return dimension_of_distances(neighbor_distances(rows, min(k, len(rows) - 1)))[place.reshape(-1)]


def effective_rank(features: Float[np.ndarray, "n d"]) -> float:
    """Return the effective rank: exp of the entropy of the normalised singular values of the centred rows (n, d).

    Between 1 and min(n - 1, d); 0 if all rows are equal.

    Source:
        Roy & Vetterli (2007), EUSIPCO, definition 1.

    Example:
        >>> round(effective_rank(np.vstack([np.eye(8), -np.eye(8)])), 3)
        8.0
    """
    values = np.sqrt(variances(features))
    if not values.sum() > 0:
        return 0.0
    share = values[values > 0] / values.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


def participation_ratio(features: Float[np.ndarray, "n d"]) -> float:
    """Return the participation ratio: squared sum over sum of squares of the principal variances.

    Between 1 and min(n - 1, d), smaller than the effective rank; 0 if all rows are equal.

    Source:
        Gao et al. (2017), "A theory of multineuronal dimensionality, dynamics and measurement", bioRxiv 214262.
    """
    values = variances(features)
    return float(values.sum() ** 2 / (values**2).sum()) if values.sum() > 0 else 0.0


def variances(features: Float[np.ndarray, "n d"]) -> Float64[np.ndarray, " r"]:
    """Return principal variances times n, largest last; those of rounding size are 0."""
    check_rows(features)
    centered = features.astype(np.float64)
    centered -= centered.mean(axis=0)
    gram = centered @ centered.T if len(centered) < centered.shape[1] else centered.T @ centered
    values = np.linalg.eigvalsh(gram)
    # Rounding of the mean is relative to the size of the numbers, not of their spread.
    floor = np.finfo(np.float64).eps * max(values[-1] * len(gram), float(np.abs(features).max()) ** 2)
    return np.where(values > floor, values, 0.0)


def different_rows(features: Float[np.ndarray, "n d"]) -> tuple[Float64[np.ndarray, "m d"], int]:
    """Return the different rows and the number of duplicates."""
    check_rows(features)
    rows = np.unique(features.astype(np.float64), axis=0)
    return rows, len(features) - len(rows)


def neighbor_distances(rows: Float64[np.ndarray, "n d"], k: int) -> Float64[np.ndarray, "n k"]:
    """Return the distances from each row to its k nearest other rows, nearest first; all rows differ."""
    rows = rows - rows.mean(axis=0)  # for the accuracy of the search
    _, index = nearest(rows, rows, k + 1)
    out = np.empty((len(rows), k))
    step = max(1, CHUNK_NUMBERS // ((k + 1) * rows.shape[1]))
    for start in range(0, len(rows), step):
        some = index[start : start + step]
        # Recomputed from differences: the search loses digits of small distances between rows far from the origin.
        distance = np.linalg.norm(rows[some] - rows[start : start + step, None], axis=2)
        distance[some == np.arange(start, start + len(some))[:, None]] = np.inf
        out[start : start + step] = np.sort(distance, axis=1)[:, :k]
    return out


def dimension_of_distances(distance: Float64[np.ndarray, "n k"]) -> Float64[np.ndarray, " n"]:
    """Return the local estimate of Levina & Bickel from sorted distances; NaN where all are equal."""
    growth = np.log(distance[:, -1:] / distance).sum(axis=1)
    return np.divide(distance.shape[1] - 1, growth, out=np.full(len(distance), np.nan), where=growth > 0)


def check_rows(features: Float[np.ndarray, "n d"]) -> None:
    """Raise for fewer than three rows."""
    if len(features) < 3:
        raise ValueError(f"{len(features)} rows of features; a dimension needs at least 3.")


def check_k(k: int) -> None:
    """Raise for fewer than two neighbours."""
    if k < 2:
        raise ValueError(f"k must be 2 neighbours or more, got {k}.")
