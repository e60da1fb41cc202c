"""The plan of an evaluation: tasks that share places, their splits, label counts, and draws of labelled rows."""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Integer

from geotether.benchmark.outcome import interval_blocks
from geotether.benchmark.splitting import (
    FEWEST_BLOCKS,
    USUAL_BLOCK_KM,
    Parting,
    block_side_km,
    fitting_blocks,
    part_rows,
)
from geotether.probes.spatial_cv import block_folds, random_folds
from geotether.suggestions import closest
from geotether.tasks.task import Task

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Problem:
    """One split and seed of a group of tasks.

    Args:
        split: Name of the split.
        seed: The seed.
        partings: One, or one per continent.
        labels: The label counts that fit the training rows.
        one_class: Names of the tasks whose judged rows all have one class, over all seeds; their accuracy is undefined.
    """

    split: str
    seed: int
    partings: list[Parting]
    labels: list[int]
    one_class: frozenset[str] = frozenset()


@dataclass(frozen=True, eq=False)
class Plan:
    """Tasks that share places, with one problem per split and seed, and what must be said beside their scores."""

    group: list[Task]
    problems: list[Problem]
    notes: list[str]


def plan_tasks(
    tasks: Sequence[Task], splits: Sequence[str], labels: Sequence[int], seeds: Sequence[int], on: str, buffer_km: float
) -> list[Plan]:
    """Plan tasks, grouped by equal places, split and labelled rows; arguments as for `evaluate`.

    Raises:
        ValueError: If two tasks have the same name, an argument is empty, or as in `plan_group`.
    """
    if len({task.name for task in tasks}) < len(tasks):
        raise ValueError(f"tasks need different names, got {', '.join(task.name for task in tasks)}.")
    if not (tasks and splits and labels and seeds):
        raise ValueError("evaluate needs at least one encoder, task, split, label count and seed.")
    return [plan_group(group, splits, labels, seeds, on, buffer_km) for group in group_tasks(tasks)]


def plan_group(
    group: Sequence[Task], splits: Sequence[str], labels: Sequence[int], seeds: Sequence[int], on: str, buffer_km: float
) -> Plan:
    """Split the rows of a group of tasks for every split and seed, once for all encoders.

    Label counts above the number of training rows of a seed are skipped with a logged warning; where none fits, all
    training rows are used. The plan's notes tell what makes scores unusual: judged rows with a class that no training
    row has, judged parts of one class, and too few blocks for intervals.

    Raises:
        ValueError: If a task lacks what a split needs, or has too few rows for it.
    """
    first, problems, notes = group[0], [], []
    for split in splits:
        partings = {seed: part_rows(first, split, on, seed, buffer_km) for seed in seeds}
        available = min(len(parting.train) for found in partings.values() for parting in found)
        fitting, skipped = rungs(available, tuple(labels))
        fitting = fitting or [available]
        if skipped:
            logger.warning(
                "task %r, split %r: label counts %s skipped, there are %d training rows%s.",
                first.name, split, ", ".join(map(str, skipped)), available,
                ", all of which are taken" if fitting == [available] else "",
            )  # fmt: skip
        every = [one for found in partings.values() for one in found]
        for task in group:
            notes += [f"Task {task.name!r}, split {split!r}: {note}" for note in class_notes(task, every)]
        lonlat = first.lonlat[np.concatenate([one.judged for one in every])]
        if (blocks := len(np.unique(interval_blocks(lonlat, split)))) < FEWEST_BLOCKS:
            smaller = fitting_blocks(lonlat)
            advice = f"Smaller blocks, such as split {smaller}, give intervals." if smaller else "Add more places."
            notes.append(
                f"Split {split!r} of {', '.join(task.name for task in group)}: no interval can be given, because the "
                f"judged places fill {blocks} {'block' if blocks == 1 else 'blocks'} of "
                f"{block_side_km(split) or USUAL_BLOCK_KM:,.0f} km and {FEWEST_BLOCKS} are needed. {advice}"
            )
        undefined = frozenset(task.name for task in group if len(judged_classes(task, every)) == 1)
        problems += [Problem(split, seed, partings[seed], fitting, undefined) for seed in seeds]
    return Plan(list(group), problems, notes)


def training_rows(plans: Sequence[Plan]) -> int:
    """Return the smallest number of training rows of any task, split, seed and fold."""
    return min(len(part.train) for plan in plans for problem in plan.problems for part in problem.partings)


def judged_classes(task: Task, partings: Sequence[Parting]) -> list:
    """Return the classes of the judged rows of some partings; none for other kinds of tasks."""
    if task.kind != "classification":
        return []
    return np.unique(task.values[np.concatenate([one.judged for one in partings])]).tolist()


def class_notes(task: Task, partings: Sequence[Parting]) -> list[str]:
    """Say how many judged rows have a class that no training row has, and which judged parts have one class."""
    if task.kind != "classification":
        return []
    notes = []
    numbers = np.unique(task.values, return_inverse=True)[1]  # comparing texts would take longer than a probe
    unseen = max((~np.isin(numbers[one.judged], numbers[one.train]) for one in partings), key=np.mean)
    if unseen.any():
        notes.append(
            f"up to {int(unseen.sum())} of {len(unseen)} judged rows have a class that no training row has; they count "
            "as wrong."
        )
    alone = [found[0] for one in partings if len(found := judged_classes(task, [one])) == 1]
    classes = judged_classes(task, partings)
    if len(classes) == 1:
        rows = len(np.unique(np.concatenate([one.judged for one in partings])))
        notes.append(
            f"all {rows} judged rows have one class, {classes[0]!r:.60}, so no encoder can be told from another and "
            "accuracy is left undefined; use another split, or more places of the other classes."
        )
    elif alone:
        names = ", ".join(f"{name!r:.60}" for name in dict.fromkeys(alone))
        notes.append(
            f"{len(alone)} of {len(partings)} judged parts have one class ({names}), so predicting it always is right "
            "there; compare with the baseline 'mean'."
        )
    return notes


def group_tasks(tasks: Sequence[Task]) -> list[list[Task]]:
    """Group tasks with equal places, split, continents and labelled rows."""
    groups: dict[tuple[bytes, ...], list[Task]] = {}
    for task in tasks:
        texts = [b"" if t is None else "\n".join(map(str, t)).encode() for t in (task.split, task.continent)]
        groups.setdefault((task.lonlat.tobytes(), *texts, task.valid.tobytes()), []).append(task)
    return list(groups.values())


def check_names(what: str, names: Sequence[str], known: Sequence[str]) -> None:
    """Raise for an unknown name, with the known names and the closest one."""
    for name in names:
        if name not in known:
            hint = closest(name, known)
            raise ValueError(f"unknown {what} {name!r}; there are {', '.join(known)}.{hint}")


@dataclass(frozen=True, eq=False)
class Draw:
    """Row numbers with labels, shape (n,), and the inner fold of each, to choose hyper-parameters by."""

    train: Integer[np.ndarray, " n"]
    folds: Integer[np.ndarray, " n"]


def draw(task: Task, split: str, parting: Parting, labels: int, seed: int, num_folds: int) -> Draw:
    """Draw the labelled rows and assign them to inner folds of the same kind as the split.

    Inner folds are spatial blocks (as large as those of the split) where the split is spatial, so that hyper-parameters
    are chosen for prediction at a distance. For the random split they are random rows: its scores are as good as that
    protocol allows.
    """
    train = draw_rows(parting.train, labels, fold_seed(seed, parting.fold))
    folds = random_folds(len(train), num_folds, seed)
    if split != "random":
        blocks = block_folds(task.lonlat[train], num_folds, block_side_km(split) or USUAL_BLOCK_KM, seed)
        folds = blocks if blocks.max() > 0 else folds  # all labels in one block: hold out rows
    return Draw(train, folds)


def fold_seed(seed: int, fold: str) -> int:
    """Return a seed of its own for every held-out continent."""
    if not fold:
        return seed
    return int.from_bytes(hashlib.sha256(f"{seed} {fold}".encode()).digest()[:4], "big")


# The label ladder: 100,000 times 0.3 to the power 5 ... 0, whose ends are used in the literature on location tying.
LADDER = (243, 810, 2700, 9000, 30_000, 100_000)


def draw_rows(candidates: Integer[np.ndarray, " n"], labels: int, seed: int) -> Integer[np.ndarray, " m"]:
    """Draw labelled rows. A longer draw with the same seed contains every shorter one, and all encoders get the same.

    Args:
        candidates: Row numbers of the training part, shape (n,).
        labels: Number of rows to draw, 1 to n.
        seed: Seed of the draw.

    Example:
        >>> set(draw_rows(np.arange(9), 2, seed=0)) <= set(draw_rows(np.arange(9), 5, seed=0))
        True
    """
    if not 1 <= labels <= len(candidates):
        raise ValueError(f"cannot draw {labels} labelled rows from {len(candidates)} training rows.")
    return candidates[np.random.default_rng([seed, 1]).permutation(len(candidates))[:labels]]


def rungs(available: int, wanted: tuple[int, ...] = LADDER) -> tuple[list[int], list[int]]:
    """Split label counts into those that fit the training rows and those that do not.

    Example:
        >>> rungs(1000)
        ([243, 810], [2700, 9000, 30000, 100000])
    """
    return [n for n in wanted if n <= available], [n for n in wanted if n > available]
