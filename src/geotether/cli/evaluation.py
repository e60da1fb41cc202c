"""`geotether evaluate`: a model on its tasks, beside its baselines."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from geotether.benchmark.baselines import baseline_encoders, is_joined, joined_with_fourier
from geotether.benchmark.encoding import Encoder, encoder_of
from geotether.benchmark.ladder import LADDER, rungs
from geotether.benchmark.planet import planet_tasks
from geotether.benchmark.probing import LINEAR_PROBES
from geotether.benchmark.run import evaluate
from geotether.benchmark.score_table import markdown_table, write_scores
from geotether.embed import load_folder
from geotether.maps import accuracy_against_labels, save_figure
from geotether.report import write_report
from geotether.sources.points import read_points
from geotether.tables.splits import assign_split
from geotether.tasks.task import Task

SHARES = {"train": 0.6, "validation": 0.1, "test": 0.3}
BLOCK_KM, BUFFER_KM = 1000.0, 50.0


def evaluate_model(
    folder: Path,
    points: Path | None,
    labels: Sequence[str],
    split_column: str,
    out: Path | None,
    probes: Sequence[str],
    seeds: Sequence[int],
) -> str:
    """Evaluate a model folder and say how it did.

    Args:
        folder: The model folder.
        points: File of labelled points, or None for the demo planet's tasks.
        labels: Label columns of `points`.
        split_column: Column with train, validation and test; where there is none, blocks of 1000 km are assigned.
        out: Folder for `scores.csv`, `figures/` and `report.html`, or None.
        probes: Names of probes.
        seeds: One repeat each.

    Returns:
        One Markdown table for every probe and split, at the largest common number of labels.

    Raises:
        ValueError: If labels are named without points or the other way round, or a label cannot be used.
    """
    if (points is None) != (not labels):
        raise ValueError("--points and --label belong together, such as --points sites.csv --label yield.")
    model = load_folder(folder)
    tasks = planet_tasks() if points is None else tasks_of(points, labels, split_column)
    encoders: dict[str, Encoder] = {"this model": encoder_of(model)}
    encoders |= baseline_encoders(model.location)
    ladder = common_rungs(tasks)
    most = 2700 if 2700 in ladder else ladder[-1]
    linear = [probe for probe in probes if probe in LINEAR_PROBES]
    if linear:
        encoders |= joined_with_fourier({"this model": encoders["this model"]}, linear, (most,))
    rows = evaluate(encoders, tasks, probes=probes, labels=ladder, seeds=seeds)
    drawn = [one for one in rows if not is_joined(one.encoder)]
    tables = []
    for probe in probes:
        for split in ("own", "random"):
            said = (
                f"{probe} probe, {split} split, {most:,} labels, mean of {len(seeds)} seeds [95 % interval over blocks]"
            )
            tables.append(f"{said}\n\n{markdown_table(rows, probe, split, most)}")
    if out is not None:
        (out / "figures").mkdir(parents=True, exist_ok=True)
        write_scores(rows, out / "scores.csv")
        figures = {
            f"Scores against the number of labels ({split} split, {probe}).": save_figure(
                accuracy_against_labels(drawn, probe, split), out / "figures" / f"labels_{split}_{probe}.png"
            )
            for probe in probes
            for split in ("own", "random")
        }
        report = write_report(out, f"The model {folder.name}, judged", rows, figures, model.provenance, labels=most)
        tables.append(f"The report is {report}")
    return "\n\n".join(tables)


def tasks_of(points: Path, labels: Sequence[str], split_column: str) -> list[Task]:
    """Make tasks of a file's label columns, with its split or, where it has none, one into spatial blocks."""
    records = read_points(points)
    columns = {name: records.columns[name] for name in records.columns.column_names}
    values = {name: columns[name].to_numpy(zero_copy_only=False) for name in {*labels} & {*columns}}
    if split_column in columns:
        split = columns[split_column].to_numpy(zero_copy_only=False).astype(str)
    else:
        split = np.asarray(assign_split(records.lonlat, BLOCK_KM, SHARES, seed=0, buffer_km=BUFFER_KM))
    known = {name: values.get(name, np.empty(0)) for name in columns if name != split_column}
    return [Task.from_labels(known, label, records.lonlat, split) for label in labels]


def common_rungs(tasks: Sequence[Task]) -> tuple[int, ...]:
    """The rungs of the ladder that every task's training rows reach; all training rows where none does."""
    fewest = min(len(task.rows("train")) for task in tasks)
    return tuple(rungs(fewest, LADDER)[0]) or (fewest,)
