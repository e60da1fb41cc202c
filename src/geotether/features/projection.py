"""Principal directions of features, and a product whose rows do not depend on one another."""

import numpy as np
from jaxtyping import Float, Float32, Float64

from geotether.moments import principal_axes

_BLOCK = 64


def principal_directions(matrix: Float[np.ndarray, "n d"], dim: int) -> Float64[np.ndarray, "k d"]:
    """Find the directions in which the rows of a matrix differ most.

    Args:
        matrix: Centred, shape (n, d).
        dim: How many directions, at most d.

    Returns:
        Shape (dim, d), orthonormal, the widest spread first; each with its largest entry positive.

    Raises:
        ValueError: If there are fewer than `dim` columns or rows.

    Example:
        >>> principal_directions(np.array([[3.0, 0.0], [-3.0, 0.1], [0.0, -0.1]]), 1).round(2)
        array([[ 1.  , -0.02]])
    """
    if dim > min(matrix.shape):
        raise ValueError(
            f"dim={dim} needs as many features and rows to fit, got {matrix.shape[1]} features of {len(matrix)} rows; "
            "lower dim."
        )
    wide = matrix.astype(np.float64)
    return np.ascontiguousarray(principal_axes(wide.T @ wide, dim)[1].T)


def project(matrix: Float[np.ndarray, "n d"], directions: Float[np.ndarray, "k d"]) -> Float32[np.ndarray, "n k"]:
    """Multiply rows by directions such that a row's result is the same bit for bit in whatever company it comes.

    A matrix product may add up in another order where there are fewer rows, so it gets blocks of one size, filled up
    with zeros.

    Args:
        matrix: Shape (n, d).
        directions: Shape (k, d).

    Returns:
        Shape (n, k).
    """
    result = np.empty((len(matrix), len(directions)), dtype=np.float32)
    block = np.zeros((_BLOCK, matrix.shape[1]))
    right = np.ascontiguousarray(directions.T, dtype=np.float64)
    for start in range(0, len(matrix), _BLOCK):
        rows = matrix[start : start + _BLOCK]
        block[: len(rows)], block[len(rows) :] = rows, 0
        result[start : start + len(rows)] = (block @ right)[: len(rows)]
    return result
