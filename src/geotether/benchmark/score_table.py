"""Tables of scores: tidy CSV files, means with intervals, Markdown, and the row format of CoordBench."""

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from geotether.benchmark.bootstrap import score
from geotether.benchmark.outcome import COLUMNS, Outcome, Row
from geotether.benchmark.probing import OWN_PROBES
from geotether.benchmark.splitting import NUM_PARTS, block_side_km
from geotether.files.disk import replacing_file
from geotether.geodesy.distance import EARTH_RADIUS_KM
from geotether.probes.scores import Score
from geotether.tasks.task import Task

Key = tuple[str, str, str, str, int]
# Names in CoordBench's results.
METHODS = {"ridge": "linear", "logistic": "logistic", "neighbors": "knn", "mlp": "mlp"}
SPLITS = {"own": "official", "random": "random"}
METRICS = {"R2": "r2", "accuracy": "accuracy", "micro F1": "f1_micro"}


def write_scores(outcomes: Iterable[Outcome], path: Path) -> None:
    """Write one tidy row per outcome as CSV, by `write_rows`."""
    write_rows((one.row() for one in outcomes), path, COLUMNS)


def write_rows(rows: Iterable[Row], path: Path, columns: Sequence[str] | None = None) -> None:
    """Write rows with the same keys as CSV; the file is complete or absent.

    `columns` is their order; by default that of the first row, of which there must be one.

    Raises:
        ValueError: If a row has another column.
        OSError: If the disk is full or the folder cannot be written to; an existing file is unchanged.
    """
    rows = list(rows)
    with replacing_file(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]) if columns is None else columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_scores(path: Path) -> list[Row]:
    """Read the rows of `write_scores`; they have no sums over blocks.

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
    """Group the seeds and folds of each score.

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
    """Return the outcomes of one table by (encoder, "task, metric"); those of baselines with an own probe too.

    Raises:
        ValueError: If there is none; the message lists those that exist.
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
    """Return encoders, tasks ("name, metric") and scores by both; arguments and errors are those of `outcome_grid`."""
    grid = {key: score(found) for key, found in outcome_grid(outcomes, probe, split, labels).items()}
    return list(dict.fromkeys(e for e, _ in grid)), list(dict.fromkeys(t for _, t in grid)), grid


def best_of(grid: dict[tuple[str, str], Score], encoders: Sequence[str], task: str) -> str | None:
    """Return the encoder with the highest mean on a task, the first of equals; None where no score is defined."""
    defined = [e for e in encoders if (e, task) in grid and not np.isnan(grid[e, task].mean)]
    return max(defined, key=lambda encoder: grid[encoder, task].mean, default=None)


def marked(grid: dict[tuple[str, str], Score], encoders: Sequence[str], task: str) -> str | None:
    """Return the encoder to print in bold: the best one, unless all have the same score to three decimals."""
    scores = {f"{grid[e, task].mean:.3f}" for e in encoders if (e, task) in grid}
    return best_of(grid, encoders, task) if len(scores) > 1 or len(encoders) == 1 else None


def markdown_table(outcomes: Sequence[Outcome], probe: str = "ridge", split: str = "own", labels: int = 2700) -> str:
    """Return a Markdown table of encoders by tasks, mean and 95 % interval, the best in bold.

    Arguments and errors are those of `outcome_grid`.
    """
    encoders, tasks, grid = score_grid(outcomes, probe, split, labels)
    best = {task: marked(grid, encoders, task) for task in tasks}
    rows = []
    for encoder in encoders:
        cells = [str(grid[encoder, task]) if (encoder, task) in grid else "" for task in tasks]
        rows.append([encoder, *(f"**{c}**" if best[t] == encoder else c for c, t in zip(cells, tasks, strict=True))])
    return markdown_rows(["encoder"], tasks, rows)


def markdown_rows(left: Sequence[str], right: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table without a newline at its end; headings `left` are aligned left, `right` aligned right.

    Example:
        >>> print(markdown_rows(["encoder"], ["height"], [["melt", "0.5"]]))
        | encoder | height |
        |---|---:|
        | melt | 0.5 |
    """
    lines = [[*left, *right], *rows]
    texts = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([texts[0], "|---" * len(left) + "|---:" * len(right) + "|", *texts[1:]])


def coordbench_rows(
    outcomes: Sequence[Outcome], tasks: Sequence[Task], widths: Mapping[str, int], labels: int | None = None
) -> list[Row]:
    """Return one row per task, probe, split and encoder in the format of CoordBench's results.

    CoordBench's runner reports the mean over folds and one standard deviation to either side, with all labels. Here
    `ci_lower` and `ci_upper` are the ends of the 95 % interval by bootstrap over blocks, and the number of labels is
    limited; it is part of the task's name, as in "elevation @2700". Blocks are of equal area, not of equal degrees:
    `cell_deg` is their side along a meridian.

    Args:
        outcomes: From `evaluate`.
        tasks: Their tasks.
        widths: Number of columns of each encoder.
        labels: The label count; None: the largest of each task and split.

    Returns:
        Rows with CoordBench's columns.

    Source:
        torchgeo-bench, `coordbench/run.py` (`CoordResult`), the taylor-geospatial/coordbench suite.
    """
    by_name = {task.name: task for task in tasks}
    found = collect(outcomes)
    most: dict[tuple[str, str], int] = {}
    for name, _, _, split, count in found:
        most[name, split] = max(count, most.get((name, split), 0))
    rows: list[Row] = []
    for (name, encoder, probe, split, count), own in found.items():
        if count != (labels or most[name, split]):
            continue
        said, task = score(own), by_name[name]
        side_km = block_side_km(split) or 0.0
        rows.append(
            {
                "dataset": name,
                "task": f"{name} @{count}",
                "task_type": task.kind,
                "method": METHODS.get(probe, probe),
                "split": SPLITS.get(split, "spatial"),
                "metric_name": METRICS[own[0].metric],
                "metric_value": said.mean,
                "ci_lower": said.low,
                "ci_upper": said.high,
                "n_folds": 1 if split == "own" else NUM_PARTS if split.startswith("blocks-") else len(own),
                "cell_deg": round(math.degrees(side_km / EARTH_RADIUS_KM), 9),
                "feature_dim": widths.get(encoder, 0),
                "n_samples": int(task.valid.sum()),
                "n_test": judged_rows(own),
                "seed": min(one.seed for one in own),
                "model_name": encoder,
                "model_target": "geotether",
            }
        )
    return rows


def judged_rows(outcomes: Sequence[Outcome]) -> int:
    """Count the judged rows of all seeds and folds; 0 for multi-label tasks, whose sums count labels."""
    if outcomes[0].metric == "micro F1":
        return 0
    return int(np.sum([one.sums[:, 0].sum() for one in outcomes]))
