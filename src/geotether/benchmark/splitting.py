"""Splits into training and judged rows: by blocks, continents, the task's own split, or at random."""

import logging
import math
import re
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer

from geotether.geodesy.blocks import block_id, within_km_of
from geotether.geodesy.distance import EARTH_RADIUS_KM
from geotether.probes.spatial_cv import block_folds
from geotether.tasks.task import Task

logger = logging.getLogger(__name__)

KINDS = ("own", "random", "continents", "blocks-2", "blocks-10", "blocks-20", "blocks-40")
PARTS = ("test", "validation")
# Five folds: the five usual seeds judge every place once.
NUM_PARTS = 5
BUFFER_KM = 50.0
# Sizes of inner folds and of the blocks that intervals are drawn over, where the split itself has no blocks.
USUAL_BLOCK_KM = 1000.0
FEWEST_JUDGED = 20
# With fewer blocks, bootstrap intervals are too narrow by an unknown amount, and none is given.
FEWEST_BLOCKS = 15


@dataclass(frozen=True, eq=False)
class Parting:
    """Candidate training rows and judged rows of one split.

    Args:
        train: Row numbers, shape (n,).
        judged: Row numbers, shape (m,); no row is in both.
        fold: The held-out continent, where one seed has several folds; else empty.
    """

    train: Integer[np.ndarray, " n"]
    judged: Integer[np.ndarray, " m"]
    fold: str = ""


def block_side_km(split: str) -> float | None:
    """Return the side of a split's blocks, or None without blocks; 10 degrees are 1112 km everywhere on Earth.

    Raises:
        ValueError: If there is no such split.

    Example:
        >>> round(block_side_km("blocks-10")), block_side_km("blocks-50km")
        (1112, 50.0)
    """
    found = re.fullmatch(r"blocks-(\d+(?:\.\d+)?)(km)?", split)
    if found is None:
        if split not in KINDS:
            raise ValueError(
                f"splits are {', '.join(KINDS)} (or blocks-N for another N in degrees, blocks-Nkm); got {split!r}."
            )
        return None
    side = float(found[1]) if found[2] else math.radians(float(found[1])) * EARTH_RADIUS_KM
    if not 1 <= side <= 10_010:
        raise ValueError(f"the blocks of split {split!r} must have a side of 1 km to 90 degrees.")
    return side


def fitting_blocks(lonlat: Float[np.ndarray, "n 2"], fewest: int = FEWEST_BLOCKS) -> str:
    """Name the split of the largest blocks of which `fewest` have places, "" if the places are too few or too close."""
    for side in (1000, 500, 250, 100, 50, 25, 10, 5, 2, 1):
        if len(np.unique(block_id(lonlat, float(side)))) >= fewest:
            return f"blocks-{side}km"
    return ""


def part_rows(task: Task, split: str, on: str, seed: int, buffer_km: float | int = BUFFER_KM) -> list[Parting]:
    """Split the rows of a task.

    * "blocks-N", "blocks-Nkm": equal-area blocks of N degrees or km are assigned to five folds; seed s holds out fold
      s mod 5 of assignment s // 5, so that five seeds judge every place once. Training rows within the buffer of a
      judged row are dropped.
    * "continents": one parting per continent, which is held out completely, with the same buffer.
    * "own": the task's own split column, "train" against "test", the same for every seed, with the buffer of its
      publisher.
    * "random": drawn for every seed, with as many judged rows as the own split has (else a fifth), without buffer.

    With "validation", rows that the same seed would test on are not used.

    Args:
        task: The task.
        split: One of the above.
        on: "test" or "validation".
        seed: Seed of the draw or assignment.
        buffer_km: Least distance between training and judged rows of blocks and continents, 0 or more.

    Returns:
        The partings of this seed: one, or one per continent.

    Raises:
        ValueError: If the split or part is unknown, the task lacks what the split needs, or nothing can be judged.
    """
    side = block_side_km(split)
    if on not in PARTS:
        raise ValueError(f"on is one of {', '.join(PARTS)}; got {on!r}.")
    if not buffer_km >= 0:
        raise ValueError(f"buffer_km must be 0 or more, got {buffer_km}.")
    if side is not None:
        partings = [_held_out_blocks(task, split, side, on, seed)]
    elif split == "continents":
        partings = _held_out_continents(task, on)
    elif split == "own":
        return [_checked(task, split, on, Parting(task.rows("train"), task.rows(on)))]
    else:
        return [_checked(task, split, on, random_parting(task, on, seed))]
    return [_checked(task, split, on, keep_apart(task, parting, float(buffer_km))) for parting in partings]


def keep_apart(task: Task, parting: Parting, buffer_km: float) -> Parting:
    """Drop the training rows within the buffer of a judged row."""
    if buffer_km == 0:
        return parting
    near = within_km_of(task.lonlat[parting.train], task.lonlat[parting.judged], buffer_km)
    return Parting(parting.train[~near], parting.judged, parting.fold)


def random_parting(task: Task, on: str, seed: int) -> Parting:
    """Draw judged rows among all labelled rows that may be used."""
    if task.split is None:
        rows = np.flatnonzero(task.valid)
        count = max(len(rows) // 5, 1)
    else:
        parts = ("train", "validation", "test") if on == "test" else ("train", "validation")
        rows = np.flatnonzero(np.isin(task.split, parts) & task.valid)
        count = len(task.rows(on)) or len(rows) // 5
    order = np.random.default_rng([seed, 2]).permutation(rows)
    return Parting(order[count:], order[:count])


def _held_out_blocks(task: Task, split: str, side_km: float, on: str, seed: int) -> Parting:
    rows = np.flatnonzero(task.valid)
    folds = block_folds(task.lonlat[rows], NUM_PARTS, side_km, seed // NUM_PARTS)
    found = int(folds.max()) + 1
    if found < NUM_PARTS:
        fitting = fitting_blocks(task.lonlat[rows])
        raise ValueError(
            f"task {task.name!r} fills {found} {'block' if found == 1 else 'blocks'} of split {split!r}, too few for "
            f"{NUM_PARTS} folds; {f'use smaller blocks, such as {fitting}' if fitting else 'it has too few places'}."
        )
    tested = folds == seed % NUM_PARTS
    if on == "test":
        return Parting(rows[~tested], rows[tested])
    judged = folds == (seed + 1) % NUM_PARTS
    return Parting(rows[~tested & ~judged], rows[judged])


def _held_out_continents(task: Task, on: str) -> list[Parting]:
    if task.continent is None:
        raise ValueError(
            f"task {task.name!r} has no continents of its places: give it a `continent` column for the "
            "split 'continents'."
        )
    if on != "test":
        raise ValueError("the split 'continents' has no validation part; choose on 'own' or 'blocks-10'.")
    continent = np.array(["" if name is None else str(name) for name in task.continent.tolist()], dtype=object)
    rows = np.flatnonzero(task.valid & (continent != ""))
    names, counts = np.unique(continent[rows], return_counts=True)
    large = names[counts >= FEWEST_JUDGED]
    if len(large) < 2:
        raise ValueError(
            f"task {task.name!r} has {len(large)} continents of {FEWEST_JUDGED} rows or more; 2 are needed."
        )
    for name, count in zip(names, counts, strict=True):
        if count < FEWEST_JUDGED:
            logger.warning("task %r: continent %s has %d rows and is not held out alone.", task.name, name, count)
    return [Parting(rows[continent[rows] != name], rows[continent[rows] == name], str(name)) for name in large]


def _checked(task: Task, split: str, on: str, parting: Parting) -> Parting:
    if len(parting.judged) < 2 or len(parting.train) < 2:
        where = f", {parting.fold} held out" if parting.fold else ""
        raise ValueError(
            f"task {task.name!r}, split {split!r}{where}: {len(parting.train)} rows to train on and "
            f"{len(parting.judged)} to judge on ({on}); at least 2 of each are needed. Training rows near judged ones "
            "are dropped: smaller blocks or a smaller buffer (--buffer-km) leave more."
        )
    return parting
