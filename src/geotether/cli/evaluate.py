"""`geotether evaluate`: one model on labelled places, with baselines."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from geotether.tasks.task import Task

SHARES = {"train": 0.6, "validation": 0.1, "test": 0.3}
BLOCK_KM, BUFFER_KM = 1000.0, 50.0
PLANET_SPLIT = "The demo planet's: whole spatial blocks of 1000 km, fixed before anything was trained."


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
    from geotether.loading import EncoderFunction, load_encoder, name_of
    from geotether.maps import accuracy_against_labels, save_figure
    from geotether.report import write_report

    probes = probe or ["ridge"]
    tasks, own_split = planet_tasks(), PLANET_SPLIT
    if points is not None or label:
        tasks, own_split = labelled_tasks(points, label or [], split_column)
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
            f"Scores ({split} split, {name}).": save_figure(
                accuracy_against_labels(drawn, name, split), out / "figures" / f"labels_{split}_{name}.png"
            )
            for name, split in pairs
        }
        title = f"{name_of(model)}, evaluated on {'the demo planet' if points is None else points.name}"
        report = write_report(out, title, rows, figures, loaded.provenance, labels=most, own_split=own_split)
        tables.append(f"The report is {report}")
    return "\n\n".join(tables)


def labelled_tasks(points: Path | None, labels: Sequence[str], split_column: str) -> "tuple[list[Task], str]":
    """Make tasks of a file's label columns, with its split or, where it has none, one into spatial blocks.

    Returns:
        The tasks, and how their split was made, as a sentence.

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
        how = f"The column {split_column!r} of {points.name}."
    else:
        how = (
            f"{points.name} has no column {split_column!r}, so whole spatial blocks of {BLOCK_KM:g} km were assigned: "
            f"{', '.join(f'{share:.0%} {part}' for part, share in SHARES.items())}; training places closer than "
            f"{BUFFER_KM:g} km to others were dropped."
        )
        split = np.asarray(assign_split(records.lonlat, BLOCK_KM, SHARES, seed=0, buffer_km=BUFFER_KM))
    known = {name: values.get(name, np.empty(0)) for name in names if name != split_column}
    tasks = [Task.from_labels(known, label, records.lonlat, split) for label in labels]
    rows = ", ".join(f"{len(tasks[0].rows(part)):,} {part}" for part in SHARES)
    return tasks, f"{how} Rows with a label of {tasks[0].name}: {rows}."


def common_rungs(tasks: "Sequence[Task]") -> tuple[int, ...]:
    """Return the rungs of the ladder that every task's training rows reach; all training rows where none does."""
    from geotether.benchmark.plan import LADDER, rungs

    fewest = min(len(task.rows("train")) for task in tasks)
    return tuple(rungs(fewest, LADDER)[0]) or (fewest,)
