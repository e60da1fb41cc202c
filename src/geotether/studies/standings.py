"""Who stands where: ranks over tasks, and verdicts on every pair, as tidy rows."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from geotether.benchmark import score_table
from geotether.benchmark.bootstrap import score
from geotether.benchmark.outcome import Outcome, Row
from geotether.benchmark.score_table import collect, outcome_grid
from geotether.benchmark.verdict import Difference, difference, in_words, mean_difference, ranks

MEAN = "mean of tasks"


@dataclass(frozen=True)
class Verdict:
    """One pair of encoders on one task, or on the mean of all.

    Args:
        task: Name of the task, or "mean of tasks".
        name: One encoder.
        other: The other.
        found: Score of the one minus that of the other.
    """

    task: str
    name: str
    other: str
    found: Difference

    @property
    def words(self) -> str:
        """What may be said."""
        return in_words(self.name, self.other, self.found)


def verdicts(
    outcomes: Sequence[Outcome], probe: str, split: str, labels: int, encoders: Sequence[str] | None = None
) -> list[Verdict]:
    """Compare every pair of encoders on every task, and on the mean of the tasks that both answer.

    Args:
        outcomes: From `evaluate`.
        probe: The probe; baselines that bring their own are compared with it too.
        split: Name of the split.
        labels: Number of labelled rows.
        encoders: Compare only pairs with one of these. None: all pairs.

    Returns:
        Verdicts, the mean of tasks first for each pair.

    Raises:
        ValueError: If nothing fits, or encoders were not judged on the same rows.
    """
    grid = outcome_grid(outcomes, probe, split, labels)
    names, tasks = (list(dict.fromkeys(key[i] for key in grid)) for i in (0, 1))
    found = []
    for name, other in itertools.combinations(names, 2):
        if encoders is not None and name not in encoders and other not in encoders:
            continue
        both = [task for task in tasks if (name, task) in grid and (other, task) in grid]
        if len(both) > 1:
            pairs = [(grid[name, task], grid[other, task]) for task in both]
            found.append(Verdict(MEAN, name, other, mean_difference(pairs)))
        found += [Verdict(task, name, other, difference(grid[name, task], grid[other, task])) for task in both]
    return found


def mean_ranks(
    outcomes: Sequence[Outcome], probe: str, split: str, labels: int
) -> dict[str, tuple[float, float, float]]:
    """Mean rank of the encoders that answer all tasks, with its interval, best first.

    Args:
        outcomes: From `evaluate`.
        probe: The probe.
        split: Name of the split.
        labels: Number of labelled rows.

    Returns:
        Encoder to (mean rank, low, high).
    """
    grid = outcome_grid(outcomes, probe, split, labels)
    names, tasks = (list(dict.fromkeys(key[i] for key in grid)) for i in (0, 1))
    return ranks({name: [grid[name, t] for t in tasks] for name in names if all((name, t) in grid for t in tasks)})


def summary_rows(outcomes: Sequence[Outcome]) -> list[Row]:
    """One row a score: its mean, interval, seeds and blocks."""
    rows: list[Row] = []
    for (task, encoder, probe, split, labels), own in collect(outcomes).items():
        said = score(own)
        rows.append(
            {
                "task": task, "encoder": encoder, "probe": probe, "split": split, "labels": labels,
                "metric": own[0].metric, "mean": said.mean, "low": said.low, "high": said.high,
                "seeds": said.seeds, "blocks": said.blocks,
            }
        )  # fmt: skip
    return rows


def verdict_rows(found: Sequence[Verdict], probe: str, split: str, labels: int) -> list[Row]:
    """One row a verdict."""
    return [
        {
            "task": one.task, "encoder": one.name, "other": one.other, "probe": probe, "split": split,
            "labels": labels, "difference": one.found.mean, "low": one.found.low, "high": one.found.high,
            "verdict": one.words,
        }
        for one in found
    ]  # fmt: skip


def write_rows(rows: Sequence[Row], path: Path) -> None:
    """Write rows that have the same keys, at least one, as CSV; the file appears whole or not at all."""
    score_table.write_rows(rows, path, list(rows[0]))
