"""One problem of the benchmark: labelled rows, the inner folds they are tuned on, the rows to judge."""

import hashlib
from dataclasses import dataclass

import numpy as np
from jaxtyping import Integer

from geotether.benchmark.ladder import draw_rows
from geotether.benchmark.splitting import USUAL_BLOCK_KM, Parting, block_side_km
from geotether.probes.spatial_cv import block_folds, random_folds
from geotether.tasks.task import Task


@dataclass(frozen=True, eq=False)
class Draw:
    """One problem: labelled rows, their inner folds, and the rows to judge.

    Args:
        train: Row numbers with labels, shape (n,).
        folds: Inner fold of each of them, from which strengths are chosen.
        judged: Row numbers to predict.
        fold: What is held out, where a seed has several answers.
    """

    train: Integer[np.ndarray, " n"]
    folds: Integer[np.ndarray, " n"]
    judged: Integer[np.ndarray, " m"]
    fold: str = ""


def draw(task: Task, split: str, parting: Parting, labels: int, seed: int, num_folds: int) -> Draw:
    """Draw the labelled rows and deal them into inner folds of the same nature as the split.

    Inner folds are spatial blocks (as large as those of the split) wherever the split is spatial, so that strengths
    are chosen for prediction at a distance. For the random split they are single rows: its numbers are shown as good
    as that protocol allows.

    Args:
        task: The task.
        split: As in `part_rows`.
        parting: Of that split and seed.
        labels: How many labelled rows to draw.
        seed: Seed of the draw.
        num_folds: Number of inner folds.
    """
    train = draw_rows(parting.train, labels, fold_seed(seed, parting.fold))
    folds = random_folds(len(train), num_folds, seed)
    if split != "random":
        blocks = block_folds(task.lonlat[train], num_folds, block_side_km(split) or USUAL_BLOCK_KM, seed)
        folds = blocks if blocks.max() > 0 else folds  # all labels in one block: only rows are left to hold out
    return Draw(train, folds, parting.judged, parting.fold)


def fold_seed(seed: int, fold: str) -> int:
    """A seed for every continent, so that held-out Asia and held-out Africa are not judged by the same draw."""
    if not fold:
        return seed
    return int.from_bytes(hashlib.sha256(f"{seed} {fold}".encode()).digest()[:4], "big")
