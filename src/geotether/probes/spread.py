"""Alignment of positive pairs, and uniformity of rows on the unit sphere."""

import numpy as np
from jaxtyping import Float, Float64

CHUNK_ROWS = 1024


def alignment(left: Float[np.ndarray, "n d"], right: Float[np.ndarray, "n d"]) -> float:
    """Return the mean squared distance of positive pairs on the unit sphere.

    Args:
        left: One side of the pairs, shape (n, d); normalised here.
        right: The other side, in the same order.

    Returns:
        0 if all pairs agree; 2 on average for unrelated pairs in many dimensions; at most 4.

    Raises:
        ValueError: If there are no pairs or a row is all zeros.

    Source:
        Wang & Isola (2020), ICML, arXiv:2005.10242, section 4.1, with alpha = 2.

    Example:
        >>> round(alignment(np.array([[3.0, 0.0]]), np.array([[0.0, 5.0]])), 6)
        2.0
    """
    if not len(left):
        raise ValueError("alignment needs at least one pair, got none.")
    return float(((unit_rows(left) - unit_rows(right)) ** 2).sum(axis=1).mean())


def uniformity(features: Float[np.ndarray, "n d"]) -> float:
    """Return the log of the mean of exp(-2 |x - y|^2) over all pairs of rows on the unit sphere.

    Args:
        features: Rows, shape (n, d), n at least 2; normalised here.

    Returns:
        0 if all rows have the same direction; about -4 for a uniform spread in many dimensions.

    Raises:
        ValueError: If there are fewer than two rows or one is all zeros.

    Source:
        Wang & Isola (2020), ICML, arXiv:2005.10242, section 4.1.

    Example:
        >>> round(uniformity(np.array([[1.0, 0.0], [-1.0, 0.0]])), 6)
        -8.0
    """
    if len(features) < 2:
        raise ValueError(f"uniformity needs at least two rows, got {len(features)}.")
    rows, total = unit_rows(features), 0.0
    for start in range(0, len(rows), CHUNK_ROWS):
        chunk = rows[start : start + CHUNK_ROWS]
        potential = np.exp(-4.0 * (1.0 - np.clip(chunk @ rows.T, -1.0, 1.0)))
        total += potential.sum() - np.diagonal(potential, offset=start).sum()
    return float(np.log(total / (len(rows) * (len(rows) - 1))))


def unit_rows(features: Float[np.ndarray, "n d"]) -> Float64[np.ndarray, "n d"]:
    """Scale rows to length 1, in float64; a row of zeros, which has no direction, is refused."""
    rows = features.astype(np.float64)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    if (length == 0).any():
        raise ValueError(f"row {int(length.argmin())} of the features is all zeros, so it has no direction.")
    return rows / length
