"""What will be judged: tasks that share places together, their partings, and the label counts that fit."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from geotether.benchmark.ladder import rungs
from geotether.benchmark.splitting import Parting, part_rows
from geotether.suggestions import closest
from geotether.tasks.task import Task

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Problem:
    """One split and seed of a group of tasks.

    Args:
        split: Name of the split.
        seed: The seed.
        partings: One, or one a continent.
        labels: The label counts that fit.
    """

    split: str
    seed: int
    partings: list[Parting]
    labels: list[int]


@dataclass(frozen=True, eq=False)
class Plan:
    """Tasks that share places, and all that they will be asked.

    Args:
        group: The tasks.
        problems: One a split and seed.
    """

    group: list[Task]
    problems: list[Problem]


def plan_tasks(
    tasks: Sequence[Task], splits: Sequence[str], labels: Sequence[int], seeds: Sequence[int], on: str, buffer_km: float
) -> list[Plan]:
    """Plan tasks, those with equal places, split and labelled rows together; arguments as for `evaluate`.

    Raises:
        ValueError: If two tasks have one name, nothing is asked, or as in `problems_of`.
    """
    if len({task.name for task in tasks}) < len(tasks):
        raise ValueError(f"tasks need different names, got {', '.join(task.name for task in tasks)}.")
    if not (tasks and splits and labels and seeds):
        raise ValueError("evaluate needs at least one encoder, task, split, label count and seed.")
    return [Plan(group, problems_of(group, splits, labels, seeds, on, buffer_km)) for group in group_tasks(tasks)]


def problems_of(
    group: Sequence[Task], splits: Sequence[str], labels: Sequence[int], seeds: Sequence[int], on: str, buffer_km: float
) -> list[Problem]:
    """Part the rows of a group of tasks for every split and seed, once for all encoders.

    Label counts that do not fit the training rows of every seed are skipped, with a logged warning; where none fits,
    all training rows are taken. How many judged rows have a class that no training row has is said too.

    Raises:
        ValueError: If a task lacks what a split needs, or has too few rows for it.
    """
    first, problems = group[0], []
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
        for task in group:
            warn_of_unseen(task, split, [one for found in partings.values() for one in found])
        problems += [Problem(split, seed, partings[seed], fitting) for seed in seeds]
    return problems


def warn_of_unseen(task: Task, split: str, partings: Sequence[Parting]) -> None:
    """Say how many judged rows cannot be right because their class is in no training row."""
    if task.kind != "classification":
        return
    unseen = [~np.isin(task.values[one.judged], task.values[one.train]) for one in partings]
    most = max(unseen, key=lambda rows: rows.mean())
    if most.any():
        logger.warning(
            "task %r, split %r: up to %d of %d judged rows have a class that no training row has; they count as wrong.",
            task.name, split, int(most.sum()), len(most),
        )  # fmt: skip


def group_tasks(tasks: Sequence[Task]) -> list[list[Task]]:
    """Put tasks with equal places, split, continents and labelled rows together."""
    groups: dict[tuple[bytes, ...], list[Task]] = {}
    for task in tasks:
        texts = [b"" if t is None else "\n".join(map(str, t)).encode() for t in (task.split, task.continent)]
        groups.setdefault((task.lonlat.tobytes(), *texts, task.valid.tobytes()), []).append(task)
    return list(groups.values())


def check_names(what: str, names: Sequence[str], known: Sequence[str]) -> None:
    """Raise for a name that is not known, with the closest one that is."""
    for name in names:
        if name not in known:
            hint = closest(name, known)
            raise ValueError(f"unknown {what} {name!r}; there are {', '.join(known)}.{hint}")
