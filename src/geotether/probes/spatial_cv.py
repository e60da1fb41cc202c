"""Cross-validation folds made of whole spatial blocks, so that held-out rows are far from training rows."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float, Integer, Shaped

from geotether.files.frames import lonlat_of
from geotether.geodesy.blocks import block_id, within_km_of


def block_folds(
    lonlat: Float[np.ndarray, "n 2"], num_folds: int, block_km: float | int, seed: int = 0
) -> Integer[np.ndarray, " n"]:
    """Assign whole equal-area blocks to folds of about equal size.

    Blocks are assigned largest first, each to the smallest fold so far; the seed orders ties.

    Args:
        lonlat: Places, degrees, shape (n, 2).
        num_folds: Number of folds, 2 or more; at most as many as there are blocks.
        block_km: Side of a block in km, above 0.
        seed: Seed of the order.

    Returns:
        The fold of each row, shape (n,), from 0. All 0 if every place is in one block.
    """
    if num_folds < 2:
        raise ValueError(f"num_folds must be 2 or more, got {num_folds}.")
    if not block_km > 0:
        raise ValueError(f"block_km must be above 0, got {block_km}.")
    _, block, sizes = np.unique(
        block_id(lonlat.astype(np.float64), float(block_km)), return_inverse=True, return_counts=True
    )
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]
    filled = np.zeros(min(num_folds, len(sizes)), dtype=np.int64)
    fold_of_block = np.empty(len(sizes), dtype=np.int64)
    for one in order:
        fold_of_block[one] = filled.argmin()
        filled[fold_of_block[one]] += sizes[one]
    # Renumbered at random: the first folds have the largest blocks, and some callers hold out only a few folds.
    return rng.permutation(len(filled))[fold_of_block[block]]


def random_folds(num_rows: int, num_folds: int, seed: int = 0) -> Integer[np.ndarray, " n"]:
    """Assign rows to folds of equal size at random (for comparison with a random split)."""
    return np.random.default_rng(seed).permutation(num_rows) % min(num_folds, num_rows)


class BlockKFold:
    """Cross-validation over spatial blocks with a buffer, a splitter of scikit-learn.

    The places are `X`, or `groups` where `X` is something else, such as embeddings: `cross_val_score(Ridge(), vectors,
    y, groups=lonlat, cv=BlockKFold())`. Both may be arrays of shape (n, 2), longitude first, or frames in which places
    are found as `Encoder.encode` finds them.

    Args:
        n_splits: Number of folds, 2 or more.
        block_km: Side of the equal-area blocks in km.
        buffer_km: Training rows closer than this to a held-out row of the fold are left out.
        seed: Seed of the assignment.

    Example:
        >>> lonlat = np.array([[0.0, 0.0], [0.1, 0.0], [90.0, 0.0], [90.1, 0.0]])
        >>> [test.tolist() for _, test in BlockKFold(n_splits=2, block_km=500).split(lonlat)]
        [[0, 1], [2, 3]]
    """

    def __init__(
        self, n_splits: int = 5, block_km: float | int = 1000.0, buffer_km: float | int = 0.0, seed: int = 0
    ) -> None:
        self.n_splits = n_splits
        self.block_km = block_km
        self.buffer_km = buffer_km
        self.seed = seed

    def get_n_splits(self, X: object = None, y: object = None, groups: object = None) -> int:
        """Return `n_splits`; scikit-learn's signature."""
        return self.n_splits

    def split(
        self, X: Any, y: object = None, groups: Any = None
    ) -> Iterator[tuple[Integer[np.ndarray, " train"], Integer[np.ndarray, " test"]]]:
        """Yield the row numbers of training and held-out rows of each fold; rows in the buffer are in neither.

        Args:
            X: Places, n rows.
            y: Not used.
            groups: Places, if `X` is not; n rows.

        Raises:
            TypeError, ValueError: If they are not places, or fill fewer blocks than `n_splits`.
        """
        lonlat = lonlat_of(X if groups is None else groups)
        folds = block_folds(lonlat, self.n_splits, self.block_km, self.seed)
        found = int(folds.max()) + 1
        if found < self.n_splits:
            raise ValueError(
                f"the places fill only {found} blocks of {self.block_km:g} km, too few for {self.n_splits} folds; "
                "use a smaller block_km or fewer n_splits."
            )
        for fold in sorted(range(found), key=lambda f: int(np.flatnonzero(folds == f)[0])):
            held: Shaped[np.ndarray, " n"] = folds == fold
            keep = ~held
            if self.buffer_km > 0:
                keep[keep] = ~within_km_of(lonlat[keep], lonlat[held], float(self.buffer_km))
            yield np.flatnonzero(keep), np.flatnonzero(held)
