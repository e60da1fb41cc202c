"""What the scores say, in plain words that claim no more than the intervals allow."""

import math
from collections.abc import Sequence

from geotether.probes.scores import Score

Grid = dict[tuple[str, str], Score]


def plain_words(
    grid: Grid, encoders: Sequence[str], tasks: Sequence[str], baselines: Sequence[str], split: str, labels: int
) -> list[str]:
    """Say for every task how the best encoder stands to the best baseline.

    Args:
        grid: Score by (encoder, task).
        encoders: All encoders of the table.
        tasks: All tasks of the table, "name, metric".
        baselines: Those encoders that are baselines; without any, or with nothing else, only the best is named.
        split: "block" or "random".
        labels: Number of labelled rows.

    Returns:
        Sentences, the general one first.
    """
    where = "in spatial blocks without a single label" if split == "block" else "on a random split"
    judged = [e for e in encoders if e not in baselines]
    sentences, wins = [], 0
    for task in tasks:
        name, metric = task.rsplit(", ", 1)
        ours = max((e for e in judged if (e, task) in grid), key=lambda e: grid[e, task].mean, default=None)
        theirs = max(
            (e for e in encoders if e in baselines and (e, task) in grid),
            key=lambda e: grid[e, task].mean,
            default=None,
        )
        one = ours or theirs
        if one is None:
            continue
        if ours is None or theirs is None:
            sentences.append(f"{name}: the best is {one} with {metric} {grid[one, task]}.")
            continue
        verdict, won = compare(grid[ours, task], grid[theirs, task])
        wins += won
        sentences.append(
            f"{name}: {ours} reaches {metric} {grid[ours, task]}; the best baseline, {theirs}, {grid[theirs, task]}: "
            f"{verdict}."
        )
    if judged and any(e in baselines for e in encoders):
        subject = judged[0] if len(judged) == 1 else "the best of the encoders"
        of = "the task" if len(tasks) == 1 else f"{wins} of {len(tasks)} tasks"
        clear = f"{subject} is clearly better than every baseline on {of}"
        if len(tasks) == 1 and not wins:
            clear = f"{subject} is not clearly better than every baseline"
        sentences.insert(0, f"With {labels:,} labels, judged {where}, {clear}.")
    return sentences


def compare(ours: Score, theirs: Score) -> tuple[str, bool]:
    """A verdict on two means, and whether it is a clear win; intervals that touch decide nothing."""
    difference = ours.mean - theirs.mean
    if math.isnan(ours.half_width) or math.isnan(theirs.half_width):
        ahead = "ahead" if difference > 0 else "behind" if difference < 0 else "level"
        return f"{ahead}, but one seed has no interval", False
    if abs(difference) <= ours.half_width + theirs.half_width:
        return "the intervals overlap, so they cannot be told apart", False
    return (f"better by {difference:.3f}", True) if difference > 0 else (f"worse by {-difference:.3f}", False)
