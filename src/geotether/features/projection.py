"""Principal directions of features, and projections in which rows do not depend on each other."""

import numpy as np
from jaxtyping import Float, Float32, Float64

from geotether.moments import principal_axes

_BLOCK = 64


def principal_directions(matrix: Float[np.ndarray, "n d"], dim: int) -> Float64[np.ndarray, "k d"]:
    """Find the directions in which the centred rows of a matrix differ most, shape (dim, d), largest variance first.

    They are orthonormal, and the largest entry of each is positive. ValueError if there are fewer than `dim` columns or
    rows.

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
    """Multiply rows by directions so that a row's result does not depend on the other rows, bit for bit.

    A matrix product of fewer rows may sum in another order, so it is computed in blocks of one size, padded with zeros.
    """
    result = np.empty((len(matrix), len(directions)), dtype=np.float32)
    block = np.zeros((_BLOCK, matrix.shape[1]))
    right = np.ascontiguousarray(directions.T, dtype=np.float64)
    for start in range(0, len(matrix), _BLOCK):
        rows = matrix[start : start + _BLOCK]
        block[: len(rows)], block[len(rows) :] = rows, 0
        result[start : start + len(rows)] = (block @ right)[: len(rows)]
    return result
