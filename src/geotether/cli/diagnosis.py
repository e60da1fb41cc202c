"""`geotether diagnose`: what a model is like apart from any score."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from geotether.benchmark.encoding import Encoder
from geotether.benchmark.everywhere import predict_together_everywhere
from geotether.benchmark.opening import open_encoder
from geotether.benchmark.planet import planet_tasks
from geotether.diagnostics import diagnose, seen_places, table_of
from geotether.probes.geobias import GeoBias, geo_bias, is_correct
from geotether.report.diagnosis import write_diagnosis
from geotether.sources.planet import CHIP_MODALITIES, TEXT_MODALITY, read_chips, read_place_texts, read_probe_places
from geotether.sources.points import read_points
from geotether.tables.store import read_table
from geotether.tables.table import FeatureTable
from geotether.tasks.task import Task

BLOCK_KM = 1000.0


def diagnose_model(
    model: str | Path,
    out: Path | None = None,
    tables: Sequence[Path] = (),
    points: Path | None = None,
    labels: Sequence[str] = (),
    tolerance: float | None = None,
    split_column: str = "split",
    num_places: int = 4000,
    seed: int = 0,
) -> str:
    """Diagnose an encoder and say what was found.

    Args:
        model: `[NAME=]PATH` of a model folder or checkpoint, or `[NAME=]module:function`, as for `open_encoder`. A file
            of embeddings knows its own places only and cannot be diagnosed.
        out: Folder for `diagnosis.json`, `places.csv`, `figures/` and `diagnosis.html`, or None.
        tables: Feature tables that the model was pre-trained on, for coverage and leakage. Without any, a model of the
            demo planet's modalities is held against those.
        points: File of test places, for leakage and, with labels, geo-bias. None: the demo planet's test places and
            its four tasks.
        labels: Label columns of `points`. A ridge probe predicts each place from labels in other blocks of 1000 km.
        tolerance: Largest error of a right number, in the unit in which it is fitted. None: half the standard
            deviation of the true values.
        split_column: Column of `points` with train, validation, test: if it is there, only test places are used.
        num_places: Places on land at which to judge, at most 20,000.
        seed: Seed of all draws.

    Returns:
        A table in plain text.

    Raises:
        FileNotFoundError: If the model, a table or the points are not there.
        ValueError: If labels are given without points, there is no such label, or the points cannot be used.
    """
    if labels and points is None:
        raise ValueError("--label names columns of a file of points: give --points as well.")
    name, encoder = open_encoder(str(model))
    provenance: dict[str, object] = getattr(getattr(encoder, "model", None), "provenance", {})
    modalities = list(dict(provenance.get("tables") or {}))  # type: ignore[call-overload]
    trained = {name: seen_places(table) for name, table in read_tables(tables).items()}
    if not trained and {*modalities} <= {*CHIP_MODALITIES, TEXT_MODALITY}:
        trained = planet_places(modalities)
    test, tasks = places_and_tasks(points, labels, split_column)
    found = diagnose(encoder, tables=trained, test_lonlat=test, num_places=num_places, seed=seed)
    answered = biases(encoder, tasks, tolerance, seed)
    found = dataclasses.replace(found, bias={name: bias for name, (_, bias) in answered.items()})
    said = table_of(found)
    if out is not None:
        judged = {name: places for name, (places, _) in answered.items()}
        page = write_diagnosis(out, f"Diagnosis of {name}", found, judged, provenance)
        said += f"\n\nThe report is {page}"
    return said


def read_tables(paths: Sequence[Path]) -> dict[str, FeatureTable]:
    """Feature tables by name; by file name where two have one name."""
    found: dict[str, FeatureTable] = {}
    for path in paths:
        table = read_table(path)
        found[table.name if table.name not in found else path.stem] = table
    if len(found) < len(paths):
        raise ValueError(f"two of the tables {', '.join(map(str, paths))} have one name; leave one out.")
    return found


def planet_places(names: Sequence[str]) -> dict[str, Float[np.ndarray, "_ 2"]]:
    """Places of the demo planet's modalities that training may have seen."""
    sets = {name: read_place_texts() if name == TEXT_MODALITY else read_chips(name) for name in names}
    return {name: seen_places(one) for name, one in sets.items()}


def places_and_tasks(
    points: Path | None, labels: Sequence[str], split_column: str
) -> tuple[Float[np.ndarray, "_ 2"], list[Task]]:
    """Places to judge at and the tasks there."""
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
    encoder: Encoder, tasks: Sequence[Task], tolerance: float | None, seed: int
) -> dict[str, tuple[Float[np.ndarray, "_ 2"], GeoBias]]:
    """Places and geo-bias of a ridge probe's answers, by task; tasks with equal labelled rows share its work."""
    together: dict[bytes, list[Task]] = {}
    for task in tasks:
        together.setdefault(task.valid.tobytes(), []).append(task)
    found = {}
    for group in together.values():
        rows, predicted = predict_together_everywhere(encoder, group, block_km=BLOCK_KM, seed=seed)
        for task, values in zip(group, predicted, strict=True):
            limit = tolerance if task.kind == "regression" else None
            correct = is_correct(task.values[rows], values, task.kind, limit)
            found[task.name] = task.lonlat[rows], geo_bias(task.lonlat[rows], correct, seed=seed)
    return {task.name: found[task.name] for task in tasks}
