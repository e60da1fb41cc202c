"""`geotether diagnose`: properties of an encoder apart from any score."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from geotether.probes.geobias import GeoBias
    from geotether.tables.table import Table
    from geotether.tasks.task import Task

BLOCK_KM = 1000.0


def diagnose(
    model: Annotated[str, typer.Argument(metavar="ENCODER", help="As for compare: a path, a name or module:function.")],
    out: Annotated[Path | None, typer.Option(help="Folder for diagnosis.json, figures and a page.")] = None,
    table: Annotated[list[Path] | None, typer.Option(help="Feature table of pre-training; repeat.")] = None,
    points: Annotated[Path | None, typer.Option(help="Labelled test places, for leakage and geo-bias.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="Label column of --points; repeat.")] = None,
    tolerance: Annotated[float | None, typer.Option(help="Largest error of a number that counts as right.")] = None,
    split_column: Annotated[str, typer.Option(help="Column of --points that marks test places.")] = "split",
    places: Annotated[int, typer.Option(help="Places on land to measure at, at most 20,000.", min=2)] = 4000,
    seed: Annotated[int, typer.Option(help="Decides which places are used.", min=0)] = 0,
) -> str:
    """Describe an encoder: dimension, resolution, seams, coverage, leakage, geographic bias."""
    from geotether.diagnostics import diagnose, seen_places, table_of
    from geotether.loading import named_encoder
    from geotether.report.diagnosis import write_diagnosis
    from geotether.sources.planet import CHIP_MODALITIES, TEXT_MODALITY

    if label and points is None:
        raise ValueError("--label names columns of a file of points: give --points as well.")
    name, encoder = named_encoder(str(model))
    provenance: dict[str, Any] = getattr(getattr(encoder, "model", None), "provenance", {})
    modalities = list(provenance.get("tables") or {})
    trained = {name: seen_places(one) for name, one in read_tables(table or []).items()}
    if not trained and {*modalities} <= {*CHIP_MODALITIES, TEXT_MODALITY}:
        trained = planet_places(modalities)
    test, tasks = places_and_tasks(points, label or [], split_column)
    found = diagnose(encoder, tables=trained, test_lonlat=test, num_places=places, seed=seed)
    answered = biases(encoder, tasks, tolerance, seed)
    found = dataclasses.replace(found, bias={name: bias for name, (_, bias) in answered.items()})
    said = table_of(found)
    if out is not None:
        judged = {name: lonlat for name, (lonlat, _) in answered.items()}
        page = write_diagnosis(out, f"Diagnosis of {name}", found, judged, provenance)
        said += f"\n\nThe report is {page}"
    return said


def read_tables(paths: Sequence[Path]) -> "dict[str, Table]":
    """Read feature tables by name; a second table of the same name is called by its file name."""
    from geotether.tables.store import read_table

    found: dict[str, Table] = {}
    for path in paths:
        table = read_table(path)
        found[table.name if table.name not in found else path.stem] = table
    if len(found) < len(paths):
        raise ValueError(f"two of the tables {', '.join(map(str, paths))} have the same name; leave one out.")
    return found


def planet_places(names: Sequence[str]) -> dict[str, Any]:
    """Return the places of the demo planet's modalities that training may have seen; lonlat by modality."""
    from geotether.diagnostics import seen_places
    from geotether.sources.planet import TEXT_MODALITY, read_chips, read_place_texts

    sets = {name: read_place_texts() if name == TEXT_MODALITY else read_chips(name) for name in names}
    return {name: seen_places(one) for name, one in sets.items()}


def places_and_tasks(points: Path | None, labels: Sequence[str], split_column: str) -> "tuple[Any, list[Task]]":
    """Return the test places, lonlat of shape (n, 2), and the tasks there.

    Without points, these are the demo planet's test places and its four tasks; of points with a split column, only
    test places are taken.
    """
    import numpy as np

    from geotether.benchmark.planet import planet_tasks
    from geotether.files.points import read_points
    from geotether.sources.planet import read_probe_places
    from geotether.tasks.task import Task

    if points is None:
        places = read_probe_places()
        kept = places.split == "test"
        tasks = [
            Task(t.name, t.kind, t.lonlat[kept], t.target[kept], None, t.unit, t.transform) for t in planet_tasks()
        ]
        return places.lonlat[kept], tasks
    records = read_points(points)
    columns = {name: records.columns[name] for name in records.columns.column_names}
    kept = np.ones(len(records), dtype=bool)
    if split_column in columns:
        kept = columns[split_column].to_numpy(zero_copy_only=False).astype(str) == "test"
        if not kept.any():
            raise ValueError(f"{points}: no row is marked 'test' in its column {split_column!r}.")
    known = {
        name: columns[name].to_numpy(zero_copy_only=False)[kept] if name in labels else np.empty(0)
        for name in columns
        if name != split_column
    }
    lonlat = records.lonlat[kept]
    return lonlat, [Task.from_labels(known, label, lonlat) for label in labels]


def biases(
    encoder: Any, tasks: "Sequence[Task]", tolerance: float | None, seed: int
) -> "dict[str, tuple[Any, GeoBias]]":
    """Measure the geo-bias of a ridge probe that predicts each place from labels in other blocks of 1000 km.

    Args:
        encoder: Function of lonlat (n, 2).
        tasks: Tasks; those with equal labelled rows share the work.
        tolerance: Largest error of a right number, in the unit in which it is fitted. None: half the standard
            deviation of the true values.
        seed: Seed of all draws.

    Returns:
        Task to the places, lonlat of shape (n, 2), and the bias.
    """
    from geotether.benchmark.out_of_block import predict_out_of_block
    from geotether.probes.geobias import geo_bias, is_correct

    together: dict[bytes, list[Task]] = {}
    for task in tasks:
        together.setdefault(task.valid.tobytes(), []).append(task)
    found = {}
    for group in together.values():
        rows, predicted = predict_out_of_block(encoder, group, block_km=BLOCK_KM, seed=seed)
        for task, values in zip(group, predicted, strict=True):
            limit = tolerance if task.kind == "regression" else None
            correct = is_correct(task.values[rows], values, task.kind, limit)
            found[task.name] = task.lonlat[rows], geo_bias(task.lonlat[rows], correct, seed=seed)
    return {task.name: found[task.name] for task in tasks}
