"""Tables of scores: the tidy CSV, means with intervals, and a table to read."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from geotether.benchmark.bootstrap import score
from geotether.benchmark.outcome import COLUMNS, Outcome, Row
from geotether.benchmark.probing import OWN_PROBES
from geotether.files.disk import replacing_file
from geotether.probes.scores import Score

Key = tuple[str, str, str, str, int]


def write_scores(outcomes: Iterable[Outcome], path: Path) -> None:
    """Write one tidy row an outcome as CSV; the file appears whole or not at all.

    Args:
        outcomes: From `evaluate`.
        path: The file; missing folders are made.

    Raises:
        OSError: If the disk is full or the folder cannot be written to; an existing file is unchanged.
    """
    write_rows((one.row() for one in outcomes), path, COLUMNS)


def write_rows(rows: Iterable[Row], path: Path, columns: Sequence[str]) -> None:
    """Write rows with these columns as CSV; the file appears whole or not at all.

    Raises:
        ValueError: If a row has another column.
        OSError: As for `write_scores`.
    """
    with replacing_file(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_scores(path: Path) -> list[Row]:
    """Read the rows that `write_scores` wrote; sums over blocks are not in them.

    Raises:
        ValueError: If a column is missing.
    """
    with Path(path).open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = set(COLUMNS) - set(reader.fieldnames or ())
        if missing:
            raise ValueError(f"{Path(path).name} is not a table of scores: no column {', '.join(sorted(missing))}.")
        return [
            {**row, "labels": int(row["labels"]), "seed": int(row["seed"]), "value": float(row["value"])}
            for row in reader
        ]


def collect(outcomes: Iterable[Outcome]) -> dict[Key, list[Outcome]]:
    """Put the seeds and folds together that make one score.

    Args:
        outcomes: From `evaluate`.

    Returns:
        (task, encoder, probe, split, labels) to outcomes, in the order of first appearance.
    """
    found: dict[Key, list[Outcome]] = {}
    for one in outcomes:
        found.setdefault((one.task, one.encoder, one.probe, one.split, one.labels), []).append(one)
    return found


def outcome_grid(
    outcomes: Iterable[Outcome], probe: str, split: str, labels: int
) -> dict[tuple[str, str], list[Outcome]]:
    """Outcomes of one table: those of the probe, and of baselines that bring a probe of their own.

    Args:
        outcomes: From `evaluate`.
        probe: The probe; one table never mixes linear and neural probes.
        split: Name of the split.
        labels: Number of labelled rows.

    Returns:
        (encoder, "task, metric") to outcomes.

    Raises:
        ValueError: If nothing fits; the message lists what there is.
    """
    outcomes = list(outcomes)
    grid: dict[tuple[str, str], list[Outcome]] = {}
    for one in outcomes:
        if one.split == split and one.labels == labels and (one.probe == probe or one.probe in OWN_PROBES):
            grid.setdefault((one.encoder, f"{one.task}, {one.metric}"), []).append(one)
    if not grid:
        have = sorted({(one.probe, one.split, one.labels) for one in outcomes})
        raise ValueError(f"no scores for probe {probe!r}, split {split!r}, {labels} labels; there are {have}.")
    return grid


def score_grid(
    outcomes: Iterable[Outcome], probe: str, split: str, labels: int
) -> tuple[list[str], list[str], dict[tuple[str, str], Score]]:
    """Encoders by tasks at one probe, split and label count; encoders judged by a probe of their own are kept.

    Args:
        outcomes: From `evaluate`.
        probe: The probe.
        split: Name of the split.
        labels: Number of labelled rows.

    Returns:
        Encoders, tasks ("name, metric"), and the scores by (encoder, task).

    Raises:
        ValueError: If nothing fits; the message lists what there is.
    """
    grid = {key: score(found) for key, found in outcome_grid(outcomes, probe, split, labels).items()}
    return list(dict.fromkeys(e for e, _ in grid)), list(dict.fromkeys(t for _, t in grid)), grid


def best_of(grid: dict[tuple[str, str], Score], encoders: Sequence[str], task: str) -> str:
    """The encoder with the highest mean on a task; the first of equals."""
    return max((e for e in encoders if (e, task) in grid), key=lambda encoder: grid[encoder, task].mean)


def markdown_table(outcomes: Sequence[Outcome], probe: str = "ridge", split: str = "own", labels: int = 2700) -> str:
    """A Markdown table of encoders by tasks, mean and 95 % interval, the best in bold.

    Args:
        outcomes: From `evaluate`.
        probe: The probe.
        split: Name of the split.
        labels: Number of labelled rows.

    Returns:
        Markdown, ending without a newline.

    Raises:
        ValueError: If nothing fits.
    """
    encoders, tasks, grid = score_grid(outcomes, probe, split, labels)
    best = {task: best_of(grid, encoders, task) for task in tasks}
    lines = ["| encoder | " + " | ".join(tasks) + " |", "|---" + "|---:" * len(tasks) + "|"]
    for encoder in encoders:
        cells = [str(grid[encoder, task]) if (encoder, task) in grid else "" for task in tasks]
        cells = [f"**{c}**" if best[t] == encoder else c for c, t in zip(cells, tasks, strict=True)]
        lines.append(f"| {encoder} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
