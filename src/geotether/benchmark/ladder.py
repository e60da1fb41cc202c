"""The label ladder: 243, 810, 2700, ... labelled rows, and which rows they are."""

import numpy as np
from jaxtyping import Integer

# 100 000 times 0.3 to the power 5 ... 0: the two ends used in the literature on location tying, and the rungs between.
LADDER = (243, 810, 2700, 9000, 30_000, 100_000)


def draw_rows(candidates: Integer[np.ndarray, " n"], labels: int, seed: int) -> Integer[np.ndarray, " m"]:
    """Draw the labelled rows of one rung. A longer draw by the same seed contains every shorter one.

    Args:
        candidates: Row numbers of the training part, shape (n,).
        labels: How many rows to draw, at most n.
        seed: Seed of the draw; the encoder plays no part in it, so all encoders see the same rows.

    Returns:
        Row numbers, shape (labels,).

    Raises:
        ValueError: If more rows are asked for than there are.

    Example:
        >>> set(draw_rows(np.arange(9), 2, seed=0)) <= set(draw_rows(np.arange(9), 5, seed=0))
        True
    """
    if not 1 <= labels <= len(candidates):
        raise ValueError(f"cannot draw {labels} labelled rows from {len(candidates)} training rows.")
    return candidates[np.random.default_rng([seed, 1]).permutation(len(candidates))[:labels]]


def rungs(available: int, wanted: tuple[int, ...] = LADDER) -> tuple[list[int], list[int]]:
    """Part the rungs of a ladder into those that fit the training rows and those that do not.

    Example:
        >>> rungs(1000)
        ([243, 810], [2700, 9000, 30000, 100000])
    """
    return [n for n in wanted if n <= available], [n for n in wanted if n > available]
