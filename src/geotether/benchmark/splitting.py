"""Which rows are learned from and which are judged on, for one split, label count and seed."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Integer

from geotether.benchmark.ladder import draw_rows
from geotether.probes.spatial_cv import block_folds, random_folds
from geotether.tasks.task import Task

SPLITS = ("block", "random")
PARTS = ("test", "validation")


@dataclass(frozen=True, eq=False)
class Parting:
    """Candidate training rows and judged rows of one split, before labels are counted.

    Args:
        train: Row numbers, shape (n,).
        judged: Row numbers, shape (m,); no row is in both.
    """

    train: Integer[np.ndarray, " n"]
    judged: Integer[np.ndarray, " m"]


def part_rows(task: Task, split: str, on: str, seed: int) -> Parting:
    """Part the rows of a task.

    "block" uses the table's split column: "train" rows against "test" (or "validation") rows, the same for every
    seed. "random" draws judged rows anew for every seed, as many as the block split has (a fifth of all rows without
    one). Judged on "validation", rows marked "test" are used for nothing at all, in either split.

    Args:
        task: The task.
        split: "block" or "random".
        on: "test" or "validation".
        seed: Seed of the random split.

    Returns:
        The parting.

    Raises:
        ValueError: If the split or part is unknown, the task has no split for "block", or nothing can be judged.
    """
    if split not in SPLITS:
        raise ValueError(f"splits are {', '.join(SPLITS)}; got {split!r}.")
    if on not in PARTS:
        raise ValueError(f"on is one of {', '.join(PARTS)}; got {on!r}.")
    parting = Parting(task.rows("train"), task.rows(on)) if split == "block" else random_parting(task, on, seed)
    if len(parting.judged) < 2 or len(parting.train) < 2:
        raise ValueError(
            f"task {task.name!r}, split {split!r}: {len(parting.train)} rows to train on and {len(parting.judged)} "
            f"to judge on ({on}); at least 2 of each are needed."
        )
    return parting


def random_parting(task: Task, on: str, seed: int) -> Parting:
    """Draw judged rows among all labelled rows that may be seen."""
    if task.split is None:
        rows = np.flatnonzero(task.valid)
        count = max(len(rows) // 5, 1)
    else:
        parts = ("train", "validation", "test") if on == "test" else ("train", "validation")
        rows = np.flatnonzero(np.isin(task.split, parts) & task.valid)
        count = len(task.rows(on)) or len(rows) // 5
    order = np.random.default_rng([seed, 2]).permutation(rows)
    return Parting(order[count:], order[:count])


@dataclass(frozen=True, eq=False)
class Draw:
    """One problem: labelled rows, their inner folds, and the rows to judge.

    Args:
        train: Row numbers with labels, shape (n,).
        folds: Inner fold of each of them, from which strengths are chosen.
        judged: Row numbers to predict.
    """

    train: Integer[np.ndarray, " n"]
    folds: Integer[np.ndarray, " n"]
    judged: Integer[np.ndarray, " m"]


def draw(
    task: Task, split: str, parting: Parting, labels: int, seed: int, block_km: float | int, num_folds: int
) -> Draw:
    """Draw the labelled rows and deal them into inner folds of the same nature as the split.

    Inner folds are spatial blocks for the block split, so that strengths are chosen for prediction at a distance, and
    single rows for the random split, so that its numbers are as good as that protocol allows.
    """
    train = draw_rows(parting.train, labels, seed)
    folds = random_folds(len(train), num_folds, seed)
    if split == "block":
        blocks = block_folds(task.lonlat[train], num_folds, block_km, seed)
        folds = blocks if blocks.max() > 0 else folds  # all labels in one block: only rows are left to hold out
    return Draw(train, folds, parting.judged)
