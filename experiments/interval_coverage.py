"""Measure how often stated intervals and sets contain the labels of places in blocks that nothing has seen.

    python experiments/interval_coverage.py --data DATA --out coverage.csv [--model world] [--labels 3000]

For each public task and each of five folds of 10-degree blocks: labels are drawn at the places outside the fold and
farther than 50 km from it, everything that `geotether map` does is fitted to them (its own folds are made of these
labels), and the places of the fold are predicted. A row of the output is one task, fold and part of the fold: all
places, the quarter farthest from the labels, the most dissimilar quarter, and inside and outside of the area of
applicability.
"""

import argparse
import csv
import logging
from pathlib import Path

import numpy as np
from paper_questions import world_tasks

from geotether.benchmark.plan import draw_rows
from geotether.geodesy.blocks import within_km_of
from geotether.geodesy.distance import nearest_km
from geotether.loading import encode_places, load_encoder
from geotether.prediction.labels import in_units
from geotether.prediction.predictor import PlacePredictor, Predicted, fit_predictor
from geotether.probes.spatial_cv import block_folds
from geotether.tasks.task import Task

BLOCK_KM, BUFFER_KM, FOLDS = 1112.0, 50.0, 5
COLUMNS = ("task", "fold", "part", "places", "covered", "width", "error", "probe", "score")


def main() -> None:
    """Write the table, and print the mean over folds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with downstream/")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="world")
    parser.add_argument("--labels", type=int, default=3000)
    parser.add_argument("--level", type=float, default=0.9)
    parser.add_argument("--tasks", nargs="*", metavar="NAME", help="only these")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    tasks = [one for one in world_tasks(arguments.data) if not arguments.tasks or one.name in arguments.tasks]
    rows = []
    for task in tasks:
        for fold in range(FOLDS):
            rows += judge(arguments.model, task, fold, arguments.labels, arguments.level)
            with arguments.out.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, COLUMNS)
                writer.writeheader()
                writer.writerows(rows)
    print(summary(rows))


def judge(model: str, task: Task, fold: int, labels: int, level: float) -> list[dict[str, object]]:
    """Fit to labels outside a fold, and compare intervals with the labels of the fold."""
    known = np.flatnonzero(task.valid)
    lonlat = task.lonlat[known]
    held = block_folds(lonlat, FOLDS, BLOCK_KM) == fold
    free = np.flatnonzero(~held)
    free = free[~within_km_of(lonlat[free], lonlat[held], BUFFER_KM)]
    train, test = known[draw_rows(free, labels, fold)], known[held]
    part = Task(task.name, task.kind, task.lonlat[train], task.target[train], unit=task.unit, transform=task.transform)
    predictor = fit_predictor(model, part, level)
    places = task.lonlat[test]
    features = encode_places(load_encoder(model), places)
    found = predictor.predict_features(features, places)
    covered, width, error = compared(predictor, found, task, test)
    distance = nearest_km(places, part.lonlat)
    parts = {
        "all": np.ones(len(test), dtype=bool),
        "far": distance >= np.quantile(distance, 0.75),
        "dissimilar": found.dissimilarity >= np.quantile(found.dissimilarity, 0.75),
        "inside": found.inside,
        "outside": ~found.inside,
    }
    rows = [
        {
            "task": task.name, "fold": fold, "part": name, "places": int(mask.sum()),
            "covered": float(covered[mask].mean()), "width": float(width[mask].mean()),
            "error": float(error[mask].mean()), "probe": predictor.selection.chosen, "score": predictor.score.mean,
        }
        for name, mask in parts.items()
        if mask.any()
    ]  # fmt: skip
    logging.info("%s, fold %d: %.3f covered", task.name, fold, rows[0]["covered"])
    return rows


def compared(
    predictor: PlacePredictor, found: Predicted, task: Task, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return whether each label was covered, the width of its interval or size of its set, and its error."""
    if found.probabilities is None:
        true = in_units(task, task.values[rows].astype(np.float64))
        width = found.upper - found.lower
        return (found.lower <= true) & (true <= found.upper), width, np.abs(found.value - true)
    true, classes = task.values[rows], predictor.classes
    code = np.minimum(np.searchsorted(classes, true), len(classes) - 1)
    known = classes[code] == true
    chosen = found.sets
    right = known & (found.value == code)
    return known & chosen[np.arange(len(rows)), code], chosen.sum(axis=1), ~right


def summary(rows: list[dict[str, object]]) -> str:
    """Return a Markdown table of means over folds, with the range of the folds for all places."""
    parts = ("all", "far", "dissimilar", "inside", "outside")
    lines = ["| task | " + " | ".join(parts) + " | width or set size |", "| --- |" + " --- |" * (len(parts) + 1)]
    for task in dict.fromkeys(row["task"] for row in rows):
        cells = []
        for part in parts:
            own = [row for row in rows if (row["task"], row["part"]) == (task, part)]
            places = np.array([row["places"] for row in own], dtype=float)
            values = np.array([row["covered"] for row in own], dtype=float)
            text = f"{100 * (values * places).sum() / max(places.sum(), 1):.1f} %" if len(own) else ""
            cells.append(text + (f" ({100 * values.min():.0f} to {100 * values.max():.0f})" if part == "all" else ""))
        width = np.mean([row["width"] for row in rows if (row["task"], row["part"]) == (task, "all")])
        lines.append(f"| {task} | " + " | ".join(cells) + f" | {width:,.3g} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
