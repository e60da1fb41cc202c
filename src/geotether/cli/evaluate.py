"""`geotether evaluate`: one model on labelled places, with baselines."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from geotether.tasks.task import Task

SHARES = {"train": 0.6, "validation": 0.1, "test": 0.3}
BLOCK_KM, BUFFER_KM = 1000.0, 50.0


def evaluate(
    model: Annotated[Path, typer.Argument(help="A model folder, such as the `model` folder of a run.")],
    points: Annotated[
        Path | None,
        typer.Option(help="Labelled points; without them, the demo planet's four tasks."),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(help="Label column of --points: text for classes, numbers for a regression."),
    ] = None,
    split_column: Annotated[str, typer.Option(help="Column of --points with train, validation, test.")] = "split",
    out: Annotated[Path | None, typer.Option(help="Folder for scores.csv, figures and report.html.")] = None,
    probe: Annotated[list[str] | None, typer.Option(help="ridge, logistic, mlp or neighbors; repeat.")] = None,
    seeds: Annotated[int, typer.Option(help="Repeats, each with its own draw of labels.", min=2)] = 5,
) -> str:
    """Evaluate a model on labelled places and spatial blocks, with baselines."""
    from geotether.benchmark.baselines import baseline_encoders, is_joined, joined_with_fourier
    from geotether.benchmark.planet import planet_tasks
    from geotether.benchmark.probing import LINEAR_PROBES
    from geotether.benchmark.run import evaluate
    from geotether.benchmark.score_table import markdown_table, write_scores
    from geotether.encoder import Encoder
    from geotether.loading import EncoderFunction, load_encoder
    from geotether.maps import accuracy_against_labels, save_figure
    from geotether.report import write_report

    probes = probe or ["ridge"]
    tasks = planet_tasks() if points is None and not label else labelled_tasks(points, label or [], split_column)
    loaded = Encoder.load(model)
    encoders: dict[str, EncoderFunction] = {"this model": load_encoder(loaded)}
    encoders |= baseline_encoders(loaded.module)
    ladder = common_rungs(tasks)
    most = 2700 if 2700 in ladder else ladder[-1]
    linear = [name for name in probes if name in LINEAR_PROBES]
    if linear:
        encoders |= joined_with_fourier({"this model": encoders["this model"]}, linear, (most,))
    rows = evaluate(encoders, tasks, probes=probes, labels=ladder, seeds=range(seeds))
    pairs = [(name, split) for name in probes for split in ("own", "random")]
    tables = []
    for name, split in pairs:
        said = f"{name} probe, {split} split, {most:,} labels, mean of {seeds} seeds [95 % interval over blocks]"
        tables.append(f"{said}\n\n{markdown_table(rows, name, split, most)}")
    if out is not None:
        (out / "figures").mkdir(parents=True, exist_ok=True)
        write_scores(rows, out / "scores.csv")
        drawn = [one for one in rows if not is_joined(one.encoder)]
        figures = {
            f"Scores against the number of labels ({split} split, {name}).": save_figure(
                accuracy_against_labels(drawn, name, split), out / "figures" / f"labels_{split}_{name}.png"
            )
            for name, split in pairs
        }
        report = write_report(out, f"Evaluation of {model.name}", rows, figures, loaded.provenance, labels=most)
        tables.append(f"The report is {report}")
    return "\n\n".join(tables)


def labelled_tasks(points: Path | None, labels: Sequence[str], split_column: str) -> "list[Task]":
    """Make tasks of a file's label columns, with its split or, where it has none, one into spatial blocks.

    Raises:
        ValueError: If labels are named without points or the other way round, or a label cannot be used.
    """
    import numpy as np

    from geotether.files.points import read_points
    from geotether.files.values import texts_of
    from geotether.tables.splits import assign_split
    from geotether.tasks.columns import labels_of
    from geotether.tasks.task import Task

    if points is None or not labels:
        raise ValueError("--points and --label belong together, such as --points sites.csv --label yield.")
    records = read_points(points)
    names = records.columns.column_names
    values = {name: labels_of(name, records.columns[name]) for name in labels if name in names}
    if split_column in names:
        split = texts_of(records.columns[split_column])
    else:
        split = np.asarray(assign_split(records.lonlat, BLOCK_KM, SHARES, seed=0, buffer_km=BUFFER_KM))
    known = {name: values.get(name, np.empty(0)) for name in names if name != split_column}
    return [Task.from_labels(known, label, records.lonlat, split) for label in labels]


def common_rungs(tasks: "Sequence[Task]") -> tuple[int, ...]:
    """Return the rungs of the ladder that every task's training rows reach; all training rows where none does."""
    from geotether.benchmark.plan import LADDER, rungs

    fewest = min(len(task.rows("train")) for task in tasks)
    return tuple(rungs(fewest, LADDER)[0]) or (fewest,)
