"""Tasks on disk: a GeoParquet table each, and the specification that reads them back."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

from geotether.files.disk import replacing_file
from geotether.files.geometry import with_geometry
from geotether.files.writers import write_parquet
from geotether.tasks.task import Task

SPECIFICATION = "tasks.yaml"


def write_tasks(tasks: Sequence[Task], folder: str | Path) -> Path:
    """Write tasks so that slow builders run once.

    Args:
        tasks: At least one, each with a name of its own.
        folder: Gets `<name>.parquet` (geometry, lon, lat, label, split, time, continent) for each task, and
            `tasks.yaml`, which `read_tasks` reads; files of the same names are replaced.

    Returns:
        The path of `tasks.yaml`.

    Raises:
        ValueError: If there are no tasks, or two would have one file name.
        OSError: If the folder cannot be written to.
    """
    folder = Path(folder)
    files = [f"{re.sub(r'[^a-z0-9]+', '-', task.name.lower()).strip('-') or 'task'}.parquet" for task in tasks]
    twice = [name for name in files if files.count(name) > 1]
    if twice or not tasks:
        raise ValueError(f"two tasks would be written to {twice[0]}; rename one." if twice else "there are no tasks.")
    entries = []
    for task, file in zip(tasks, files, strict=True):
        columns, entry = table_of(task)
        write_parquet(with_geometry(columns, task.lonlat), folder / file)
        entries.append({"name": task.name, "table": file, **entry})
    with replacing_file(folder / SPECIFICATION) as part:
        part.write_text(yaml.safe_dump(entries, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return folder / SPECIFICATION


def table_of(task: Task) -> tuple[pa.Table, dict[str, Any]]:
    """Lay a task out as a table.

    Args:
        task: Any task.

    Returns:
        The table, without geometry, and what a specification says of it: label, kind, transform, unit and the columns
        of split, time and continent.
    """
    columns: dict[str, Any] = {"lon": task.lonlat[:, 0], "lat": task.lonlat[:, 1]}
    entry: dict[str, Any] = {"label": "label", "kind": task.kind, "transform": task.transform, "unit": task.unit}
    if task.kind == "multilabel":
        names = [f"label:{name}" for name in task.label_names or range(task.target.shape[1])]
        columns |= {name: _labels(column) for name, column in zip(names, task.target.T, strict=True)}
        # One label alone would be read as a column of lists.
        entry["label"] = names
    else:
        columns["label"] = _labels(task.target)
    for name, values in (("split", task.split), ("time", task.time), ("continent", task.continent)):
        if values is not None:
            columns[name] = pa.array(values.astype("datetime64[s]") if name == "time" else values.astype(str))
            entry[name] = name
    return pa.table(columns), {key: value for key, value in entry.items() if value not in (None, "")}


def _labels(values: np.ndarray) -> pa.Array:
    if values.dtype.kind == "f":
        return pa.array(values, mask=np.isnan(values))
    return pa.array(values.tolist() if values.dtype.kind == "O" else values)
