"""What the scores say, in plain words that claim no more than the paired intervals allow."""

from collections.abc import Mapping, Sequence

import numpy as np

from geotether.benchmark.bootstrap import score
from geotether.benchmark.outcome import Outcome
from geotether.benchmark.verdict import difference, in_words

OutcomeGrid = Mapping[tuple[str, str], Sequence[Outcome]]


def split_in_words(split: str) -> str:
    """A split as a reader would say it.

    Example:
        >>> split_in_words("blocks-10")
        'unseen blocks of 10 degrees'
    """
    if split.startswith("blocks-"):
        return f"unseen blocks of {split.removeprefix('blocks-')} degrees"
    return {"own": "the task's own split", "random": "a random split", "continents": "unseen continents"}[split]


def plain_words(grid: OutcomeGrid, baselines: Sequence[str], split: str, labels: int) -> list[str]:
    """Say for every task how the best encoder stands to the best baseline.

    Args:
        grid: Outcomes by (encoder, "task, metric") of one probe, split and label count.
        baselines: Those encoders that are baselines; without any, or with nothing else, only the best is named.
        split: Name of the split.
        labels: Number of labelled rows.

    Returns:
        Sentences, the general one first.
    """
    encoders, tasks = (list(dict.fromkeys(key[i] for key in grid)) for i in (0, 1))
    judged = [e for e in encoders if e not in baselines]
    sentences, wins = [], 0
    for task in tasks:
        name, metric = task.rsplit(", ", 1)
        ours = best(grid, judged, task)
        theirs = best(grid, [e for e in encoders if e in baselines], task)
        if ours is None or theirs is None:
            one = ours or theirs
            if one is not None:
                sentences.append(f"{name}: the best is {one} with {metric} {score(grid[one, task])}.")
            continue
        found = difference(grid[ours, task], grid[theirs, task])
        wins += found.low > 0
        sentences.append(
            f"{name}: {ours} reaches {metric} {score(grid[ours, task])}; the best baseline, {theirs}, "
            f"{score(grid[theirs, task])}: {in_words(ours, theirs, found)}."
        )
    if judged and any(e in baselines for e in encoders):
        subject = judged[0] if len(judged) == 1 else "the best of the encoders"
        of = "the task" if len(tasks) == 1 else f"{wins} of {len(tasks)} tasks"
        clear = f"{subject} is clearly better than every baseline on {of}"
        if len(tasks) == 1 and not wins:
            clear = f"{subject} is not clearly better than every baseline"
        sentences.insert(0, f"With {labels:,} labels, judged on {split_in_words(split)}, {clear}.")
    return sentences


def best(grid: OutcomeGrid, encoders: Sequence[str], task: str) -> str | None:
    """The encoder with the highest mean on a task, or None."""
    there = [encoder for encoder in encoders if (encoder, task) in grid]
    return max(there, key=lambda e: np.nan_to_num(score(grid[e, task]).mean, nan=-np.inf), default=None)
