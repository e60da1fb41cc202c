"""Scores in the row shape of CoordBench's results, so that they can stand in its tables."""

from collections.abc import Mapping, Sequence

import numpy as np

from geotether.benchmark.bootstrap import score
from geotether.benchmark.outcome import Outcome, Row
from geotether.benchmark.score_table import collect
from geotether.benchmark.splitting import NUM_PARTS
from geotether.tasks.task import Task

METHODS = {"ridge": "linear", "logistic": "logistic", "neighbors": "knn", "mlp": "mlp"}
SPLITS = {"own": "official", "random": "random"}
METRICS = {"R2": "r2", "accuracy": "accuracy", "micro F1": "f1_micro"}


def coordbench_rows(
    outcomes: Sequence[Outcome], tasks: Sequence[Task], widths: Mapping[str, int], labels: int | None = None
) -> list[Row]:
    """One row a task, probe, split and encoder.

    CoordBench's runner gives the mean over folds and one standard deviation to either side, with all labels. Here
    `ci_lower` and `ci_upper` are the ends of the 95 % interval by bootstrap over blocks, and labels are limited to one
    rung; its name is added to the task's, as in "elevation @2700". Blocks are of equal area, not of equal degrees:
    `cell_deg` is their side along a meridian.

    Args:
        outcomes: From `evaluate`.
        tasks: The tasks they are of.
        widths: Number of columns of each encoder.
        labels: The rung. None: for each task and split the largest.

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
        side = split.removeprefix("blocks-")
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
                "cell_deg": float(side) if side != split else 0.0,
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
    """Judged rows of all seeds and folds together; not known for multi-label tasks, whose sums count labels."""
    if outcomes[0].metric == "micro F1":
        return 0
    return int(np.sum([one.sums[:, 0].sum() for one in outcomes]))
