"""Folds for cross-validation of whole groups."""

from typing import Any

import numpy as np
from jaxtyping import Int64


def assign_folds(group: Any, n: int, folds: int, seed: int) -> Int64[np.ndarray, " n"]:
    """Give each row a fold, the rows of a group the same one, and folds about equally many rows.

    Groups are taken from the largest to the smallest, equal ones in an order drawn at random, and each goes to the
    fold that has the fewest rows so far.

    Args:
        group: One value a row, shape (n,); None: each row is its own group, as in `random_folds`.
        n: Number of rows.
        folds: Number of folds, 2 or more.
        seed: Decides ties.

    Returns:
        Numbers from 0 to folds - 1, shape (n,).

    Raises:
        ValueError: If lengths differ, or there are fewer groups than folds.

    Example:
        >>> folds = assign_folds(["a", "a", "a", "b", "b", "c"], n=6, folds=2, seed=0)
        >>> folds.tolist()
        [0, 0, 0, 1, 1, 1]
    """
    if folds < 2:
        raise ValueError(f"folds must be 2 or more, got {folds}.")
    groups = np.arange(n) if group is None else np.asarray(group)
    if groups.shape != (n,):
        raise ValueError(f"group needs one value for each of {n} rows, got shape {groups.shape}.")
    names, of_row, counts = np.unique(groups, return_inverse=True, return_counts=True)
    if len(names) < folds:
        raise ValueError(f"{len(names)} groups cannot fill {folds} folds; use fewer folds or smaller groups.")
    shuffled = np.random.default_rng(seed).permutation(len(names))
    order = shuffled[np.argsort(-counts[shuffled], kind="stable")]
    fold_of_group, rows = np.empty(len(names), dtype=np.int64), np.zeros(folds, dtype=np.int64)
    for one in order:
        smallest = int(rows.argmin())
        fold_of_group[one] = smallest
        rows[smallest] += counts[one]
    return fold_of_group[of_row]


def random_folds(n: int, folds: int, seed: int) -> Int64[np.ndarray, " n"]:
    """Give each row a fold at random, for comparison: neighbours of a training row tell what a test row is.

    Args:
        n: Number of rows.
        folds: Number of folds, 2 or more.
        seed: Decides which rows go where.

    Returns:
        Numbers from 0 to folds - 1, shape (n,); folds differ by one row at most.

    Raises:
        ValueError: If there are fewer rows than folds.
    """
    return assign_folds(None, n, folds, seed)
