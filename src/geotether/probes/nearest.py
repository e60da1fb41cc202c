"""Nearest rows by Euclidean distance, also among the rows of other folds only."""

import numpy as np
from jaxtyping import Float, Integer

# Up to this width a k-d tree is faster than comparing all pairs.
TREE_COLUMNS = 8
CHUNK_ROWS = 512


def nearest(
    query: Float[np.ndarray, "m k"],
    known: Float[np.ndarray, "n k"],
    count: int,
    query_folds: Integer[np.ndarray, " m"] | None = None,
    known_folds: Integer[np.ndarray, " n"] | None = None,
) -> tuple[Float[np.ndarray, "m c"], Integer[np.ndarray, "m c"]]:
    """The nearest known rows of every query row, nearest first.

    Args:
        query: Shape (m, k).
        known: Shape (n, k); single precision stays single.
        count: How many, at most n.
        query_folds: The fold of each query row, or None.
        known_folds: The fold of each known row; rows of the query's own fold are left out. Each query row needs
            `count` rows in other folds, else the missing ones come last, at infinite distance.

    Returns:
        Distances and row numbers, each (m, count).

    Example:
        >>> distance, row = nearest(np.array([[0.0]]), np.array([[3.0], [1.0]]), 2)
        >>> distance.tolist(), row.tolist()
        ([[1.0, 3.0]], [[1, 0]])
    """
    if known.shape[1] <= TREE_COLUMNS and query_folds is None:
        from scipy.spatial import cKDTree

        found, row = cKDTree(known).query(query, k=np.arange(1, count + 1))
        return np.asarray(found), np.asarray(row)
    distances, indices = np.empty((len(query), count), dtype=known.dtype), np.empty((len(query), count), dtype=np.int64)
    squares = (known**2).sum(axis=1)
    for start in range(0, len(query), CHUNK_ROWS):
        rows = slice(start, start + CHUNK_ROWS)
        squared = query[rows] @ known.T
        squared *= -2.0
        squared += squares
        squared += (query[rows] ** 2).sum(axis=1, keepdims=True)
        np.maximum(squared, 0.0, out=squared)
        if query_folds is not None and known_folds is not None:
            squared[query_folds[rows, None] == known_folds] = np.inf
        few = np.argpartition(squared, count - 1, axis=1)[:, :count]
        order = np.argsort(np.take_along_axis(squared, few, axis=1), axis=1, kind="stable")
        indices[rows] = np.take_along_axis(few, order, axis=1)
        distances[rows] = np.sqrt(np.take_along_axis(squared, indices[rows], axis=1))
    return distances, indices
