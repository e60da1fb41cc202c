"""Tables of scores: the tidy CSV, means with intervals, and a table to read."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from geotether.benchmark.run import Row
from geotether.probes.scores import Score, mean_interval
from geotether.sources.disk import replacing_file

COLUMNS = ("task", "encoder", "probe", "split", "labels", "metric", "seed", "value")
Key = tuple[str, str, str, str, int, str]


def write_scores(rows: Iterable[Row], path: Path) -> None:
    """Write tidy rows as CSV; the file appears whole or not at all.

    Args:
        rows: Rows of `evaluate`.
        path: The file; missing folders are made.

    Raises:
        OSError: If the disk is full or the folder cannot be written to; an existing file is unchanged.
    """
    with replacing_file(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_scores(path: Path) -> list[Row]:
    """Read what `write_scores` wrote.

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


def summarise(rows: Iterable[Row]) -> dict[Key, Score]:
    """Mean and 95 % interval over seeds.

    Args:
        rows: Tidy rows.

    Returns:
        (task, encoder, probe, split, labels, metric) to score, in the order of first appearance.
    """
    values: dict[Key, list[float]] = {}
    for row in rows:
        key = (
            str(row["task"]), str(row["encoder"]), str(row["probe"]), str(row["split"]),
            int(row["labels"]), str(row["metric"]),
        )  # fmt: skip
        values.setdefault(key, []).append(float(row["value"]))
    return {key: Score(*mean_interval(found), len(found)) for key, found in values.items()}


def score_grid(
    rows: Sequence[Row], probe: str, split: str, labels: int
) -> tuple[list[str], list[str], dict[tuple[str, str], Score]]:
    """Encoders by tasks at one probe, split and label count; encoders judged by a probe of their own are kept.

    Args:
        rows: Tidy rows.
        probe: The probe; one table never mixes linear and neural probes.
        split: "block" or "random".
        labels: Number of labelled rows.

    Returns:
        Encoders, tasks ("name, metric"), and the scores by (encoder, task).

    Raises:
        ValueError: If no row fits; the message lists what there is.
    """
    general = {"ridge", "logistic", "mlp", "neighbors"}
    grid: dict[tuple[str, str], Score] = {}
    for (task, encoder, its_probe, its_split, its_labels, metric), score in summarise(rows).items():
        if its_split == split and its_labels == labels and (its_probe == probe or its_probe not in general):
            grid[encoder, f"{task}, {metric}"] = score
    if not grid:
        have = sorted({(str(r["probe"]), str(r["split"]), int(r["labels"])) for r in rows})
        raise ValueError(f"no scores for probe {probe!r}, split {split!r}, {labels} labels; there are {have}.")
    return list(dict.fromkeys(e for e, _ in grid)), list(dict.fromkeys(t for _, t in grid)), grid


def best_of(grid: dict[tuple[str, str], Score], encoders: Sequence[str], task: str) -> str:
    """The encoder with the highest mean on a task; the first of equals."""
    return max((e for e in encoders if (e, task) in grid), key=lambda encoder: grid[encoder, task].mean)


def markdown_table(rows: Sequence[Row], probe: str = "ridge", split: str = "block", labels: int = 2700) -> str:
    """A Markdown table of encoders by tasks, mean ± half of the 95 % interval, the best in bold.

    Args:
        rows: Tidy rows.
        probe: The probe.
        split: "block" or "random".
        labels: Number of labelled rows.

    Returns:
        Markdown, ending without a newline.

    Raises:
        ValueError: If no row fits.
    """
    encoders, tasks, grid = score_grid(rows, probe, split, labels)
    best = {task: best_of(grid, encoders, task) for task in tasks}
    lines = ["| encoder | " + " | ".join(tasks) + " |", "|---" + "|---:" * len(tasks) + "|"]
    for encoder in encoders:
        cells = [str(grid[encoder, task]) if (encoder, task) in grid else "" for task in tasks]
        cells = [f"**{c}**" if best[t] == encoder else c for c, t in zip(cells, tasks, strict=True)]
        lines.append(f"| {encoder} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
