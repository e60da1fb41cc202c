"""`geotether evaluate`: one model on labelled places, with baselines."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from geotether.cli.map import LabelKind

if TYPE_CHECKING:
    from geotether.benchmark.plan import Plan
    from geotether.tasks.task import Task

SHARES = {"train": 0.6, "validation": 0.1, "test": 0.3}
BLOCK_KM, BUFFER_KM = 1000.0, 50.0
PLANET_SPLIT = "The demo planet's: whole spatial blocks of 1000 km, fixed before anything was trained."


def evaluate(
    model: Annotated[Path, typer.Argument(help="A model: its folder or its name, such as world.")],
    points: Annotated[
        Path | None,
        typer.Option(help="Labelled points; without them, the demo planet's four tasks."),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(help="Label column of --points: text for classes, numbers for a regression."),
    ] = None,
    kind: Annotated[LabelKind | None, typer.Option(help="Kind of the labels; inferred by default.")] = None,
    split_column: Annotated[str, typer.Option(help="Column of --points with train, validation, test.")] = "split",
    out: Annotated[Path | None, typer.Option(help="Folder for scores.csv, figures and report.html.")] = None,
    probe: Annotated[list[str] | None, typer.Option(help="ridge, logistic, mlp or neighbors; repeat.")] = None,
    split: Annotated[
        list[str] | None,
        typer.Option(help="own (the column's, or blocks of 1000 km), blocks-10, blocks-50km or random; repeat."),
    ] = None,
    block_km: Annotated[
        float | None, typer.Option(help="Side of held-out blocks: short for --split blocks-Nkm --split random.", min=1)
    ] = None,
    buffer_km: Annotated[
        float | None,
        typer.Option(help="Least distance of training to test places of blocks; 50, or half a smaller block.", min=0),
    ] = None,
    labels: Annotated[
        list[int] | None, typer.Option(help="Numbers of labels instead of 243, 810, ...; repeat.", min=2)
    ] = None,
    seeds: Annotated[int, typer.Option(help="Repeats, each with its own draw of labels.", min=2)] = 5,
    seed: Annotated[int, typer.Option(help="The first of these seeds.", min=0)] = 0,
) -> str:
    """Evaluate a model on labelled places and spatial blocks, with baselines."""
    from geotether.benchmark.baselines import baseline_encoders, is_joined, joined_with_fourier
    from geotether.benchmark.leaks import leak_notes
    from geotether.benchmark.outcome import with_scores
    from geotether.benchmark.plan import plan_tasks
    from geotether.benchmark.planet import planet_tasks
    from geotether.benchmark.probing import LINEAR_PROBES
    from geotether.benchmark.run import evaluate_plans
    from geotether.benchmark.score_table import markdown_table, write_scores
    from geotether.encoder import Encoder
    from geotether.files.disk import writing
    from geotether.loading import EncoderFunction, load_encoder
    from geotether.maps import accuracy_against_labels, save_figure
    from geotether.report import write_report
    from geotether.training.pretraining import trained_tables

    probes = probe or ["ridge"]
    if split and block_km:
        raise ValueError(f"Give --split or --block-km, not both; or --split blocks-{block_km:g}km among others.")
    splits = split or ["own" if block_km is None else f"blocks-{block_km:g}km", "random"]
    tasks, own_split = planet_tasks(), PLANET_SPLIT
    if points is not None or label or kind:
        told = None if kind is None else str(kind)
        tasks, own_split = labelled_tasks(points, label or [], split_column, "own" in splits, told)
    loaded = Encoder.load(model)
    plans = plan_tasks(tasks, splits, labels or (1,), range(seed, seed + seeds), "test", buffer_of(splits, buffer_km))
    plans, ladder, note = at_labels(plans, labels)
    most = 2700 if 2700 in ladder else ladder[-1]
    encoders: dict[str, EncoderFunction] = {"this model": load_encoder(loaded)}
    notes = [*leak_notes(encoders, plans, trained_tables), *(one for plan in plans for one in plan.notes), *note]
    encoders |= baseline_encoders(loaded.module)
    linear = [name for name in probes if name in LINEAR_PROBES]
    if linear:
        encoders |= joined_with_fourier({"this model": encoders["this model"]}, linear, (most,))
    with nullcontext() if out is None else writing(out, folder=True, inputs=[model, *([points] if points else [])]):
        rows = evaluate_plans(encoders, plans, probes, "")
        pairs = [(name, one) for name in probes for one in splits]
        parts = list(notes)
        for name, one in pairs:
            said = f"{name} probe, {one} split, {most:,} labels, mean of {seeds} seeds [95 % interval over blocks]"
            parts.append(f"{said}\n\n{markdown_table(rows, name, one, most)}")
        if out is not None:
            (out / "figures").mkdir(parents=True, exist_ok=True)
            write_scores(rows, out / "scores.csv")
            drawn = with_scores(one for one in rows if not is_joined(one.encoder))
            figures = {
                f"Scores against the number of labels ({one} split, {name}).": save_figure(
                    accuracy_against_labels(drawn, name, one), out / "figures" / f"labels_{one}_{name}.png"
                )
                for name, one in pairs
                if any((found.probe, found.split) == (name, one) for found in drawn)
            }
            title = f"{run_name(model)}, evaluated on {'the demo planet' if points is None else points.name}"
            report = write_report(
                out, title, rows, figures, loaded.provenance, introduction=notes, labels=most, own_split=own_split
            )
            parts.append(f"The report is {report}")
    return "\n\n".join(parts)


def buffer_of(splits: Sequence[str], given: float | None) -> float:
    """Return the buffer between training and test places: half the smallest block, at most 50 km, unless given."""
    from geotether.benchmark.splitting import block_side_km

    sides = [side for side in map(block_side_km, splits) if side is not None]
    return float(min([BUFFER_KM, *(side / 2 for side in sides)]) if given is None else given)


def at_labels(plans: "list[Plan]", labels: Sequence[int] | None) -> "tuple[list[Plan], list[int], list[str]]":
    """Judge at the label counts that every split and task has, and say why these were chosen."""
    from geotether.benchmark.plan import LADDER, rungs, training_rows
    from geotether.studies.comparison import common_labels

    if labels:
        return plans, common_labels(plans), []
    fewest = training_rows(plans)
    ladder = rungs(fewest, LADDER)[0] or [fewest]
    plans = [replace(plan, problems=[replace(problem, labels=ladder) for problem in plan.problems]) for plan in plans]
    if ladder[-1] >= 2700 or ladder[-1] > 0.9 * fewest:
        return plans, ladder, []
    steps = ", ".join(f"{count:,}" for count in LADDER[:3])
    why = f"the most of {steps}, ... that {fewest:,} training rows allow; --labels {fewest} uses all."
    return plans, ladder, [f"{ladder[-1]:,} labels: {why}"]


def run_name(model: Path) -> str:
    """Return the name of a model folder, or of the run's folder around one that is called `model`."""
    folder = model.resolve()
    return folder.parent.name if folder.name == "model" and folder.parent.name else folder.name


def labelled_tasks(
    points: Path | None, labels: Sequence[str], split_column: str, own: bool = True, kind: str | None = None
) -> "tuple[list[Task], str]":
    """Make tasks of a file's label columns, with its split or, where it has none, one into spatial blocks.

    Without `own`, they have no split. Without `kind`, it is inferred, with a warning if numbers may be codes.

    Returns:
        The tasks, and how their split was made, as a sentence.

    Raises:
        ValueError: If labels are named without points or the other way round, or a label cannot be used.
    """
    import numpy as np

    from geotether.benchmark.splitting import fitting_blocks
    from geotether.files.points import read_points
    from geotether.files.rows import naming
    from geotether.files.values import texts_of
    from geotether.prediction.labels import warn_of_codes
    from geotether.tables.splits import assign_split
    from geotether.tasks.columns import labels_of
    from geotether.tasks.task import Task, require_label

    if points is None or not labels:
        raise ValueError("--points and --label belong together, such as --points sites.csv --label yield.")
    records = read_points(points)
    names = records.columns.column_names
    with naming(points, "table"):
        for name in labels:
            require_label((one for one in names if one != split_column), name)
        values = {name: labels_of(name, records.columns[name], kind=kind) for name in labels}
    if not own:
        split, how = None, ""
    elif split_column in names:
        split = texts_of(records.columns[split_column])
        how = f"The column {split_column!r} of {points.name}."
    else:
        how = (
            f"{points.name} has no column {split_column!r}, so whole spatial blocks of {BLOCK_KM:g} km were assigned: "
            f"{', '.join(f'{share:.0%} {part}' for part, share in SHARES.items())}; training places closer than "
            f"{BUFFER_KM:g} km to others were dropped."
        )
        try:
            split = np.asarray(assign_split(records.lonlat, BLOCK_KM, SHARES, seed=0, buffer_km=BUFFER_KM))
        except ValueError:
            fitting = fitting_blocks(records.lonlat)
            instead = (
                f"Give --split {fitting}, which holds out five folds of blocks in turn and needs fewer of them"
                if fitting == f"blocks-{BLOCK_KM:g}km"
                else f"Give --split {fitting or 'random'}"
            )
            raise ValueError(
                f"{points.name} has no column {split_column!r}, and its places fill too few blocks of {BLOCK_KM:g} km "
                f"for one fixed division into train, validation and test, {BUFFER_KM:g} km apart. {instead}, or name "
                "a column of train, validation and test by --split-column."
            ) from None
    with naming(points, "table"):
        tasks = [Task.from_labels(values, label, records.lonlat, split, kind) for label in labels]
    if kind is None:
        for task in tasks:
            warn_of_codes(task)
    if not own:
        return tasks, ""
    rows = ", ".join(f"{len(tasks[0].rows(part)):,} {part}" for part in SHARES)
    return tasks, f"{how} Rows with a label of {tasks[0].name}: {rows}."
