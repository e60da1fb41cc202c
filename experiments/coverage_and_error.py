"""Does the error of predictions grow where a place is far from, or unlike, what the model saw or what was labelled?

    python experiments/coverage_and_error.py --data DATA --out docs/images/coverage_and_error.png [--model world]
    python experiments/coverage_and_error.py --data DATA --tables TABLES

The four tasks of `downstream/downstream_points_30k.parquet`, predicted as in the benchmark: ridge on the embeddings,
2,700 labels, blocks of 10 degrees held out with a buffer of 50 km; five folds predict every place once. Every place has
an error (absolute error, of population in log(1 + people per km2); 0 or 1 for classes) and four measures: dissimilarity
of its embedding to those of the model's training places and distance to the nearest of them (`Encoder.coverage`), and
the same for the labelled places of its fold (`Applicability`). Prints Markdown and draws the figure.

The second command trains two small models on three modalities (TABLES/NAME.parquet), one of them without the Americas,
and compares their errors there and elsewhere: does `Coverage.outside` mark where a model knows less?
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64
from paper_questions import world_tasks
from scipy.stats import rankdata

from geotether.benchmark.plan import draw_rows
from geotether.benchmark.splitting import BUFFER_KM, NUM_PARTS, block_side_km, part_rows
from geotether.encoder import Encoder
from geotether.geodesy.blocks import block_id
from geotether.geodesy.distance import nearest_km
from geotether.maps.figure import COLOURS, FAINT, INK, MARKERS, dress, new_figure, save_figure
from geotether.probes.applicability import Applicability
from geotether.probes.decomposition import RidgeDecomposition
from geotether.probes.linear import fit_ridges, predict_ridges
from geotether.probes.spatial_cv import block_folds
from geotether.tables.store import read_table
from geotether.tables.table import Table
from geotether.tasks.task import Task
from geotether.training.pretraining import pretrain

SPLIT, LABELS, INNER_FOLDS = "blocks-10", 2700, 50
BLOCK_KM = block_side_km(SPLIT) or 0.0
MEASURES = {
    "dissimilarity to training places": "dissimilarity",
    "distance to the nearest training place": "km",
    "dissimilarity to labelled places": "dissimilarity",
    "distance to the nearest labelled place": "km",
}
# Fifths of the places, and of the last fifth the most extreme twentieth of all.
EDGES = (0.0, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0)
REPEATS = 1000
FEWEST_PLACES = 30
# What the two small models are trained on, how, and the western edge of what both see.
MODALITIES, AMERICAS_END_LON = ("satellite", "night_lights", "climate"), -30.0
TRAINING: dict[str, Any] = {"steps": 150, "batch_size": 768, "validate_every": None, "seed": 0, "progress": "none"}

Numbers = Float64[np.ndarray, " n"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with downstream/")
    parser.add_argument("--out", type=Path, help="figure to write, .png")
    parser.add_argument("--tables", type=Path, help="folder of feature tables, to leave out a continent")
    parser.add_argument("--model", default="world", help="model folder or name")
    arguments = parser.parse_args()
    tasks = world_tasks(arguments.data)
    if arguments.tables is not None:
        tables = {name: read_table(arguments.tables / f"{name}.parquet", name=name) for name in MODALITIES}
        print("\n".join(continent_left_out(tables, tasks)))
        return
    if arguments.out is None:
        parser.error("give --out or --tables")
    errors, measures, inside = measured(Encoder.load(arguments.model), tasks)
    blocks = block_id(tasks[0].lonlat, BLOCK_KM)
    print("\n".join(table(errors, measures, blocks)))
    print()
    print("\n".join(inside_lines(errors, inside, blocks)))
    save_figure(figure(errors, measures, blocks), arguments.out)


def measured(
    encoder: Encoder, tasks: Sequence[Task]
) -> tuple[dict[str, Numbers], dict[str, Numbers], dict[str, np.ndarray]]:
    """Predict every place from labels of other blocks.

    Args:
        encoder: Model that knows where it was trained.
        tasks: With the same n places, all labelled.

    Returns:
        Errors (n,) by task; measures (n,) by the names in `MEASURES`; and whether a place is inside (n,): of what the
        model saw, and of the labelled places' area of applicability.
    """
    lonlat = tasks[0].lonlat
    vectors, covered = encoder.encode(lonlat), encoder.coverage(lonlat)
    errors = {task.name: np.full(len(lonlat), np.nan) for task in tasks}
    unlike, away, applicable = (np.full(len(lonlat), np.nan) for _ in range(3))
    for seed in range(NUM_PARTS):
        (parting,) = part_rows(tasks[0], SPLIT, "test", seed, BUFFER_KM)
        held = parting.judged
        drawn = draw_rows(parting.train, min(LABELS, len(parting.train)), seed)
        inner = block_folds(lonlat[drawn], INNER_FOLDS, BLOCK_KM, seed)
        probes = fit_ridges(RidgeDecomposition(vectors[drawn]), [task.targets(drawn) for task in tasks], inner)
        for task, predicted in zip(tasks, predict_ridges(probes, vectors[held]), strict=True):
            true = task.targets(held).values
            errors[task.name][held] = np.abs(true - predicted) if task.kind == "regression" else true != predicted
        area = Applicability().fit(vectors[drawn], block_folds(lonlat[drawn], NUM_PARTS, BLOCK_KM, seed))
        unlike[held], applicable[held] = area.dissimilarity(vectors[held]), area.inside(vectors[held])
        away[held] = nearest_km(lonlat[held], lonlat[drawn])
    assert covered.dissimilarity is not None
    assert covered.nearest_km is not None
    values = (covered.dissimilarity.astype(np.float64), covered.nearest_km.astype(np.float64), unlike, away)
    inside = {"what the model saw": ~covered.outside, "the labelled places' area": applicable > 0}
    return errors, dict(zip(MEASURES, values, strict=True)), inside


def groups_of(values: Numbers) -> Int64[np.ndarray, " n"]:
    """Return which group of `EDGES` each place is in."""
    return np.clip(np.searchsorted(np.quantile(values, EDGES), values, side="right") - 1, 0, len(EDGES) - 2)


def drawn_blocks(blocks: Int64[np.ndarray, " n"]) -> tuple[Float64[np.ndarray, "r b"], Int64[np.ndarray, " n"]]:
    """Draw blocks with replacement: how often each is drawn, first all once; and the block of every place."""
    names, block = np.unique(blocks, return_inverse=True)
    counts = np.random.default_rng(0).multinomial(len(names), np.full(len(names), 1 / len(names)), REPEATS)
    return np.concatenate([np.ones((1, len(names))), counts]), block


def relative_errors(
    error: Numbers, group: Int64[np.ndarray, " n"], blocks: Int64[np.ndarray, " n"]
) -> Float64[np.ndarray, "r g"]:
    """Return the mean error of each group divided by that of all places: of the places, then of draws of blocks."""
    weights, block = drawn_blocks(blocks)
    count = np.zeros((weights.shape[1], group.max() + 1))
    total = np.zeros_like(count)
    np.add.at(count, (block, group), 1.0)
    np.add.at(total, (block, group), error)
    count, total = weights @ count, weights @ total
    with np.errstate(invalid="ignore"):
        return total / count / (total.sum(axis=1) / count.sum(axis=1))[:, None]


def rank_correlations(error: Numbers, values: Numbers, blocks: Int64[np.ndarray, " n"]) -> Float64[np.ndarray, " r"]:
    """Return Spearman's correlation of the places, then of draws of blocks (with the ranks of all places)."""
    weights, block = drawn_blocks(blocks)
    x, y = (rankdata(one) / len(error) for one in (error, values))
    sums = np.zeros((weights.shape[1], 6))
    np.add.at(sums, block, np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=1))
    one, x, y, xx, yy, xy = (weights @ sums).T
    return (xy / one - x * y / one**2) / np.sqrt((xx / one - (x / one) ** 2) * (yy / one - (y / one) ** 2))


def interval(draws: np.ndarray, digits: int = 2) -> str:
    """Write the value of the places, and the 95 % interval of the draws."""
    low, high = np.nanquantile(draws[1:], (0.025, 0.975))
    return f"{draws[0]:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def table(errors: Mapping[str, Numbers], measures: Mapping[str, Numbers], blocks: Int64[np.ndarray, " n"]) -> list[str]:
    """Write correlations, and the error of the first, third and last fifth and of the last twentieth."""
    lines = [
        "| measure | task | rank correlation | least fifth | middle fifth | 80 to 95 % | last 5 % |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for name, values in measures.items():
        for task, error in errors.items():
            relative = relative_errors(error, groups_of(values), blocks)
            cells = [interval(relative[:, group]) for group in (0, 2, 4, 5)]
            correlation = interval(rank_correlations(error, values, blocks))
            lines.append(f"| {name} | {task} | {correlation} | " + " | ".join(cells) + " |")
    return lines


def inside_lines(
    errors: Mapping[str, Numbers], inside: Mapping[str, np.ndarray], blocks: Int64[np.ndarray, " n"]
) -> list[str]:
    """Write the error of places outside, relative to all places; with the number of places outside."""
    lines = ["| outside of | places | " + " | ".join(errors) + " |", "|---" + "|---:" * (len(errors) + 1) + "|"]
    for name, within in inside.items():
        outside = int((~within).sum())
        cells = [
            interval(relative_errors(error, (~within).astype(np.int64), blocks)[:, 1])
            if outside >= FEWEST_PLACES
            else "-"
            for error in errors.values()
        ]
        lines.append(f"| {name} | {outside:,} | " + " | ".join(cells) + " |")
    return lines


def continent_left_out(tables: Mapping[str, Table], tasks: Sequence[Task], **settings: Any) -> list[str]:
    """Train with and without the Americas; write by how much errors grow without, outside and inside."""
    lonlat = tasks[0].lonlat
    blocks, errors, covered = block_id(lonlat, BLOCK_KM), [], None
    for end in (-np.inf, AMERICAS_END_LON):
        used = {
            name: replace(table, split=np.where(table.lonlat[:, 0] < end, "buffer", table.split))
            for name, table in tables.items()
        }
        encoder = pretrain(used, "default", **(TRAINING | settings))
        errors.append(measured(encoder, tasks)[0])
        covered = encoder.coverage(lonlat)
    assert covered is not None
    assert covered.outside is not None
    americas = lonlat[:, 0] < AMERICAS_END_LON
    lines = ["| places | number | outside | " + " | ".join(errors[0]) + " |", "|---" + "|---:" * (len(tasks) + 2) + "|"]
    for name, chosen in (("the Americas", americas), ("elsewhere", ~americas)):
        cells = [interval(growth(errors[1][task], errors[0][task], chosen, blocks)) for task in errors[0]]
        share = f"{covered.outside[chosen].mean():.1%}"
        lines.append(f"| {name} | {chosen.sum():,} | {share} | " + " | ".join(cells) + " |")
    return lines


def growth(later: Numbers, before: Numbers, chosen: np.ndarray, blocks: Int64[np.ndarray, " n"]) -> np.ndarray:
    """Return the ratio of two mean errors at chosen places: of the places, then of draws of blocks."""
    weights, block = drawn_blocks(blocks)
    sums = np.zeros((weights.shape[1], 2))
    np.add.at(sums, block[chosen], np.stack([later, before], axis=1)[chosen])
    above, below = (weights @ sums).T
    with np.errstate(invalid="ignore"):
        return above / below


def figure(errors: Mapping[str, Numbers], measures: Mapping[str, Numbers], blocks: Int64[np.ndarray, " n"]) -> Any:
    """Draw the relative error against each measure: one chart per measure, one line per task."""
    drawn = new_figure(10.0, 6.6, "Error on held-out blocks, relative to the mean of all places")
    charts = drawn.subplots(2, 2, sharey=True).ravel()
    for axes, (name, unit) in zip(charts, MEASURES.items(), strict=True):
        values = measures[name]
        group = groups_of(values)
        middle = [float(np.median(values[group == one])) for one in range(len(EDGES) - 1)]
        axes.axhline(1.0, color=FAINT, linewidth=1.0)
        for (task, error), colour, marker in zip(errors.items(), COLOURS, MARKERS, strict=False):
            relative = relative_errors(error, group, blocks)
            low, high = np.nanquantile(relative[1:], (0.025, 0.975), axis=0)
            axes.plot(middle, relative[0], color=colour, marker=marker, markersize=5, label=task.replace("_", " "))
            axes.fill_between(middle, low, high, color=colour, alpha=0.12, linewidth=0)
        dress(axes, name[0].upper() + name[1:], unit, "relative error")
    charts[0].legend(frameon=False, labelcolor=INK, fontsize=9, title="bands: 95 % over blocks", title_fontsize=8)
    return drawn


if __name__ == "__main__":
    main()
