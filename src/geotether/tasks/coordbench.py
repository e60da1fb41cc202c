"""Tables shaped like CoordBench's: lon, lat, timestamp, timestamp_end, split, id and labels."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from geotether.files.values import is_number
from geotether.tasks.columns import labels_of, splits_of, task_times
from geotether.tasks.countries import continents_at
from geotether.tasks.table import read_labelled
from geotether.tasks.task import Task

CANONICAL = ("lon", "lat", "timestamp", "timestamp_end", "split", "id", "geometry")
# Whole numbers of at most so many kinds are classes, as in the benchmark's own harness.
MOST_CLASSES = 100
LAYOUT = "known layout: lon, lat, timestamp, timestamp_end, split, id and one or more label columns"


def coordbench_task(
    file: Path,
    label: str | None = None,
    kind: str | None = None,
    rename_split: Mapping[str, str] | None = None,
    missing: Sequence[str | float] = (),
    countries: Path | None = None,
) -> Task:
    """Ask for one label of a CoordBench table.

    Args:
        file: `data/<config>/data.parquet`, or a CSV of that shape.
        label: Which column. None: the only one that is not canonical.
        kind: "regression" or "classification". None: text and whole numbers of at most 100 kinds are classes.
        rename_split: What values of the split mean, where they are not train, val (or trainval) and test.
        missing: Values of the label that mean there is none, such as 0 or -1 for the sea in SatCLIP's tables.
        countries: Natural Earth file for the continents. None: they stay unknown.

    Returns:
        A task with the table's own split (val is read as validation) and time, where it has them.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If the layout is unknown, or there are several labels and none is named.
    """
    columns, lonlat = read_labelled(file)
    labels = [name for name in columns.column_names if name not in CANONICAL]
    if label is None and len(labels) == 1:
        label = labels[0]
    if label is None or label not in labels:
        asked = "name one with label" if label is None else f"there is no {label!r}"
        raise ValueError(f"{file} has the labels {', '.join(labels) or 'none'}; {asked}; {LAYOUT}.")
    target = labels_of(label, columns[label], missing)
    if kind is None:
        kind = "classification" if _are_classes(target) else "regression"
    if kind == "classification" and target.dtype.kind == "f" and not (target[~np.isnan(target)] % 1).any():
        target = np.array([None if np.isnan(value) else int(value) for value in target], dtype=object)
    split = columns["split"] if "split" in columns.column_names else None
    time = columns["timestamp"] if "timestamp" in columns.column_names else None
    return Task(
        label,
        kind,
        lonlat,
        target,
        None if split is None or split.null_count == len(split) else splits_of("split", split, rename_split),
        time=None if time is None or time.null_count == len(time) else _times(time),
        continent=continents_at(countries, lonlat),
    )


def _times(column: pa.ChunkedArray) -> np.ndarray:
    """Read the benchmark's times, which are milliseconds since 1970 where they are whole numbers."""
    if is_number(column.type):
        column = column.cast(pa.int64()).cast(pa.timestamp("ms"))
    return task_times("timestamp", column)


def _are_classes(target: np.ndarray) -> bool:
    if target.dtype.kind == "O":
        return True
    known = target[np.isfinite(target)]
    return not (known % 1).any() and len(np.unique(known)) <= MOST_CLASSES
