"""Judge encoders: every task, probe, split, label count and seed becomes one tidy row."""

import difflib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer, Shaped

from geotether.benchmark.encoding import Encoder, encode
from geotether.benchmark.ladder import LADDER, rungs
from geotether.benchmark.probing import PROBES, TrainingRows
from geotether.benchmark.splitting import draw, part_rows
from geotether.probes.scores import accuracy, r2
from geotether.tasks.task import Task

logger = logging.getLogger(__name__)

Row = dict[str, str | int | float]


@dataclass(frozen=True, eq=False)
class Prediction:
    """What one probe on one encoder said about the judged rows of one task.

    Args:
        task: Name of the task.
        encoder: Name of the encoder.
        probe: Name of the probe.
        split: "block" or "random".
        labels: Number of labelled training rows.
        seed: Seed of the draw.
        chosen: The hyper-parameter chosen inside the training rows, in words.
        rows: Row numbers of the judged rows in the task, shape (m,).
        values: Predictions for them, shape (m,).
    """

    task: str
    encoder: str
    probe: str
    split: str
    labels: int
    seed: int
    chosen: str
    rows: Integer[np.ndarray, " m"]
    values: Shaped[np.ndarray, " m"]


def evaluate(
    encoders: Mapping[str, Encoder],
    tasks: Sequence[Task],
    probes: Sequence[str] = ("ridge", "logistic", "mlp"),
    splits: Sequence[str] = ("block", "random"),
    labels: Sequence[int] = LADDER,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    on: str = "test",
    block_km: float | int = 1000.0,
    num_folds: int = 50,
) -> list[Row]:
    """Score every encoder on every task.

    Tasks that share places, split and labelled rows share one encoding and one decomposition. For each seed the same
    labelled rows are drawn for all encoders, probes and tasks at those places. Strengths are chosen on inner folds of
    the labelled rows; labels of judged rows are read only to compute the score. A class that none of the labelled
    rows has cannot be predicted, and its judged rows count as wrong.

    Args:
        encoders: Name to function of lonlat (n, 2) that returns (n, d). A function with an attribute `probes` (names)
            is judged with these probes instead of `probes`.
        tasks: The tasks, with different names.
        probes: Names in `PROBES`.
        splits: "block" (the table's spatial blocks) and "random" (drawn anew for every seed).
        labels: Numbers of labelled rows. One that exceeds the training rows is skipped, with a logged warning.
        seeds: One repeat each.
        on: "test", or "validation" to choose recipes by: then test rows are not used at all.
        block_km: Side of the blocks that inner folds are made of.
        num_folds: Number of inner folds.

    Returns:
        Rows with the keys task, encoder, probe, split, labels, metric, seed, value.

    Raises:
        ValueError: If a name is unknown or used twice, no label count fits, or an encoder returns NaN or a wrong shape.
    """
    by_name = {task.name: task for task in tasks}
    rows: list[Row] = []
    for found in predict_tasks(encoders, tasks, probes, splits, labels, seeds, on, block_km, num_folds):
        task = by_name[found.task]
        score = r2 if task.kind == "regression" else accuracy
        rows.append(
            {
                "task": found.task,
                "encoder": found.encoder,
                "probe": found.probe,
                "split": found.split,
                "labels": found.labels,
                "metric": task.metric,
                "seed": found.seed,
                "value": score(task.values[found.rows], found.values),
            }
        )
    return rows


def predict_tasks(
    encoders: Mapping[str, Encoder],
    tasks: Sequence[Task],
    probes: Sequence[str] = ("ridge",),
    splits: Sequence[str] = ("block",),
    labels: Sequence[int] = LADDER,
    seeds: Sequence[int] = (0,),
    on: str = "test",
    block_km: float | int = 1000.0,
    num_folds: int = 50,
) -> Iterator[Prediction]:
    """Yield the predictions behind `evaluate`, which has the same arguments; for figures and other scores."""
    check_names("probe", probes, list(PROBES))
    for encoder in encoders.values():
        check_names("probe", getattr(encoder, "probes", ()), list(PROBES))
    if len({task.name for task in tasks}) < len(tasks):
        raise ValueError(f"tasks need different names, got {', '.join(task.name for task in tasks)}.")
    if not (encoders and tasks and splits and labels and seeds):
        raise ValueError("evaluate needs at least one encoder, task, split, label count and seed.")
    groups = group_tasks(tasks)
    plans = {(g, split): plan(group[0], split, labels, on) for g, group in enumerate(groups) for split in splits}
    for name, encoder in encoders.items():
        width: int | None = None
        last: tuple[bytes, np.ndarray] | None = None
        for g, group in enumerate(groups):
            places = group[0].lonlat.tobytes()
            if last is None or last[0] != places:
                last = (places, encode(name, encoder, group[0].lonlat))
            features = last[1]
            if width is not None and features.shape[1] != width:
                raise ValueError(f"encoder {name!r} returned {width} columns before and {features.shape[1]} now.")
            width = features.shape[1]
            for split in splits:
                for count in plans[g, split]:
                    for seed in seeds:
                        yield from judge(
                            name, features, group, getattr(encoder, "probes", probes), split, count, seed,
                            on, block_km, num_folds,
                        )  # fmt: skip


def judge(
    name: str,
    features: Float[np.ndarray, "n d"],
    group: Sequence[Task],
    probes: Sequence[str],
    split: str,
    labels: int,
    seed: int,
    on: str,
    block_km: float | int,
    num_folds: int,
) -> Iterator[Prediction]:
    """Fit and predict one draw of labelled rows: all probes, all tasks of the group."""
    first = group[0]
    drawn = draw(first, split, part_rows(first, split, on, seed), labels, seed, block_km, num_folds)
    train = TrainingRows(features[drawn.train], first.lonlat[drawn.train], drawn.folds, seed)
    targets = [task.targets(drawn.train) for task in group]
    judged, places = features[drawn.judged], first.lonlat[drawn.judged]
    for probe in probes:
        for task, answer in zip(group, PROBES[probe](train, targets, judged, places), strict=True):
            if answer is not None:
                yield Prediction(
                    task.name, name, probe, split, labels, seed, answer.chosen, drawn.judged, answer.values
                )


def group_tasks(tasks: Sequence[Task]) -> list[list[Task]]:
    """Put tasks with equal places, split and labelled rows together."""
    groups: dict[tuple[bytes, ...], list[Task]] = {}
    for task in tasks:
        split = b"" if task.split is None else "\n".join(map(str, task.split)).encode()
        groups.setdefault((task.lonlat.tobytes(), split, task.valid.tobytes()), []).append(task)
    return list(groups.values())


def plan(task: Task, split: str, labels: Sequence[int], on: str) -> list[int]:
    """The label counts that fit; those that do not are said."""
    available = len(part_rows(task, split, on, seed=0).train)
    fitting, skipped = rungs(available, tuple(labels))
    if not fitting:
        raise ValueError(
            f"task {task.name!r}, split {split!r}: {available} training rows are fewer than the smallest label count, "
            f"{min(labels)}; pass labels=({available},) or add rows."
        )
    if skipped:
        logger.warning(
            "task %r, split %r: label counts %s skipped, there are %d training rows.",
            task.name, split, ", ".join(map(str, skipped)), available,
        )  # fmt: skip
    return fitting


def check_names(what: str, names: Sequence[str], known: Sequence[str]) -> None:
    """Raise for a name that is not known, with the closest one that is."""
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise ValueError(f"unknown {what} {name!r}; there are {', '.join(known)}.{hint}")
