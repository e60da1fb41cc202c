"""Mean, standard deviation and principal axes of rows: the one place where features are standardised and projected."""

from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Float64, Shaped

# Columns whose standard deviation is this small relative to their mean vary by rounding only.
CONSTANT = 1e-7
# Rows read at once, so that a memory map is not loaded as a whole.
CHUNK_ROWS = 65_536
_BLOCK = 64


def mean_and_scale(
    values: Shaped[Any, "n *row"],
    axis: int = 1,
    constant: float = 1.0,
    skip_missing: bool = False,
    chunk_rows: int = CHUNK_ROWS,
) -> tuple[Float64[np.ndarray, " d"], Float64[np.ndarray, " d"]]:
    """Return what columns are standardised with: (values - mean) / scale.

    Sums are taken in float64 and in two passes: subtracting squares of large means would lose all digits.

    Args:
        values: Numbers of any kind, shape (n, d), or (n, ...) with columns along `axis`; may be a memory map or
            `MappedRows`.
        axis: The axis of the columns; all other axes are averaged over.
        constant: Scale of a column that does not vary: 1 centres it; infinity makes it zero for every row.
        skip_missing: Whether values that are not finite are left out. A column without any value has mean 0.
        chunk_rows: Rows to read at once.

    Returns:
        Mean and scale, each of shape (d,); not finite where a value is not, unless those are skipped.

    Raises:
        ValueError: If there are no rows.

    Example:
        >>> mean_and_scale(np.array([[1.0, 5.0], [3.0, 5.0]]))
        (array([2., 5.]), array([1., 1.]))
    """
    if len(values) == 0:
        raise ValueError(f"Mean and scale need at least one row, got shape {values.shape}.")
    others = tuple(i for i in range(values.ndim) if i != axis)
    along = [-1 if i == axis else 1 for i in range(values.ndim)]
    count = np.zeros(values.shape[axis])

    def chunk_total(part: np.ndarray, mean: Float64[np.ndarray, " d"] | None) -> Float64[np.ndarray, " d"]:
        """Return the sum of each column, or of its squared deviations from a mean; count finite values on the way."""
        if mean is None:
            terms = part.astype(np.float64, copy=False)
        else:
            terms = np.subtract(part, mean.reshape(along), dtype=np.float64)
            np.square(terms, out=terms)
        if skip_missing:
            finite = np.isfinite(part)
            terms = np.where(finite, terms, 0.0)
            if mean is None:
                count[:] += finite.sum(axis=others)
        return terms.sum(axis=others)

    def total(mean: Float64[np.ndarray, " d"] | None) -> Float64[np.ndarray, " d"]:
        found = np.zeros(values.shape[axis])
        for start in range(0, len(values), chunk_rows):
            found += chunk_total(np.asarray(values[start : start + chunk_rows]), mean)
        return found

    sums = total(None)
    size = np.maximum(count, 1) if skip_missing else values.size // values.shape[axis]
    mean = sums / size
    scale = np.sqrt(total(mean) / size)
    return mean, np.where(scale <= CONSTANT * np.maximum(np.abs(mean), 1e-30), constant, scale)


def principal_axes(
    products: Float64[np.ndarray, "d d"], count: int
) -> tuple[Float64[np.ndarray, " k"], Float64[np.ndarray, "d k"]]:
    """Return the directions in which rows vary most, from the products of their columns.

    Args:
        products: X^T X of centred rows X, or their covariance; symmetric.
        count: Number of directions, at most d.

    Returns:
        Eigenvalues (k,), largest first, and orthonormal columns (d, k). The largest entry of each column is positive,
        so that the signs, which are arbitrary, are the same on every machine.

    Source:
        Jolliffe (2002), Principal Component Analysis, 2nd ed., section 2.1.

    Example:
        >>> principal_axes(np.diag([1.0, 4.0]), 1)
        (array([4.]), array([[0.],
               [1.]]))
    """
    values, axes = np.linalg.eigh(products)  # in rising order
    values, axes = values[::-1][:count], axes[:, ::-1][:, :count]
    return values, axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])


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
