"""Tasks from a few lines of YAML: your own tables, and built-in tasks from published files; and tasks written back."""

import inspect
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import yaml
from pydantic import Field, ValidationError, model_validator

from geotether.files.disk import replacing_file
from geotether.files.geometry import with_geometry
from geotether.files.writers import write_parquet
from geotether.settings import Section, read_yaml, unknown_name, worded
from geotether.tasks.drawn import biome_task, country_task, ecoregion_task, elevation_task, population_task
from geotether.tasks.label_tables import coordbench_task, housing_task, mosaiks_task, temperature_task
from geotether.tasks.table import table_task
from geotether.tasks.task import TRANSFORMS, Task

# Name in a specification to the function that builds the task from the published file.
BUILDERS: dict[str, Callable[..., Task]] = {
    "countries": country_task,
    "population": population_task,
    "elevation": elevation_task,
    "biomes": biome_task,
    "ecoregions": ecoregion_task,
    "temperature": temperature_task,
    "housing": housing_task,
    "mosaiks": mosaiks_task,
    "coordbench": coordbench_task,
}
Kind = Literal["regression", "classification", "multilabel"]
SPECIFICATION = "tasks.yaml"
_log = logging.getLogger(__name__)


class Entry(Section):
    """The settings of both kinds of entry; None is the builder's or the label's name, no transform."""

    name: str | None = Field(default=None, min_length=1)
    transform: str | None = None
    unit: str = ""

    @model_validator(mode="before")
    @classmethod
    def _check_transform(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and data.get("transform") not in (None, *TRANSFORMS):
            raise unknown_name("transform", data["transform"], TRANSFORMS)
        return data


class TableEntry(Entry):
    """Your own table; the attributes are the arguments of `geotether.tasks.table.table_task`."""

    table: Path
    label: str | list[str]
    kind: Kind | None = None
    lon: str | None = None
    lat: str | None = None
    time: str | None = None
    split: str | None = None
    continent: str | None = None
    rename_split: dict[str, str] | None = None
    missing: list[str | float] = []

    def build(self, folder: Path) -> Task:
        """Read the table, its path relative to `folder`."""
        return table_task(**{**dict(self), "table": folder / self.table})


class BuiltInEntry(Entry):
    """A built-in task; a builder takes the attributes that its signature has."""

    builder: str
    file: Path
    land: Path | None = None
    countries: Path | None = None
    places: Path | None = None
    rows: int = Field(default=10_000, ge=2)
    seed: int = Field(default=0, ge=0)
    south: float = -90.0
    north: float = 90.0
    label: str | None = None
    level: Literal["biome", "ecoregion", "realm"] = "biome"
    zoom: int | None = Field(default=None, ge=0)
    min_class_rows: int = Field(default=1, ge=1)
    kind: Kind | None = None
    rename_split: dict[str, str] | None = None
    missing: list[str | float] = []

    @model_validator(mode="after")
    def _know_builder_and_options(self) -> "BuiltInEntry":
        if self.builder not in BUILDERS:
            raise unknown_name("builder", self.builder, BUILDERS)
        taken = [*inspect.signature(BUILDERS[self.builder]).parameters]
        for key in sorted(self.model_fields_set - {"builder", *Entry.model_fields}):
            if key not in taken:
                raise unknown_name("key", key, taken, f" for the builder {self.builder}")
        return self

    def build(self, folder: Path) -> Task:
        """Build the task, its paths relative to `folder`."""
        options = {key: getattr(self, key) for key in self.model_fields_set - {"builder", *Entry.model_fields}}
        for key, value in options.items():
            if isinstance(value, Path):
                options[key] = folder / value
        task = BUILDERS[self.builder](**options)
        changes = {key: getattr(self, key) for key in self.model_fields_set & {*Entry.model_fields}}
        changes = {
            key: value for key, value in changes.items() if getattr(task, key) != value and (value or key != "name")
        }
        return replace(task, **changes) if changes else task


def read_specification(path: str | Path) -> list[TableEntry | BuiltInEntry]:
    """Read and check a specification without reading the data.

    Args:
        path: YAML: one task, a list of tasks, or {tasks: [...]}. An entry with `builder` is built in, one with `table`
            is a table.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not YAML, an entry misses or misspells a key, or a value is wrong; the message names the
            entry.
    """
    path = Path(path)
    content = read_yaml(path, "specification")
    if isinstance(content, Mapping) and set(content) == {"tasks"}:
        content = content["tasks"]
    rows = content if isinstance(content, list) else [content]
    if not rows:
        raise ValueError(f"{path} lists no tasks.")
    entries: list[TableEntry | BuiltInEntry] = []
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping) or ("table" in row) == ("builder" in row):
            raise ValueError(
                f"{path}, task {number}: give either table (a file of yours) or builder (one of "
                f"{', '.join(BUILDERS)}); got {sorted(map(str, row)) if isinstance(row, Mapping) else row!r}."
            )
        try:
            entries.append((TableEntry if "table" in row else BuiltInEntry).model_validate(row))
        except ValidationError as error:
            called = row.get("name", row.get("builder", row.get("table")))
            said = "; ".join(
                f"{'.'.join(map(str, fault['loc']))}: {worded(fault)}" if fault["loc"] else worded(fault)
                for fault in error.errors()
            )
            raise ValueError(f"{path}, task {number} ({called}): {said}") from error
    return entries


def read_tasks(path: str | Path) -> list[Task]:
    """Read or build the tasks of a specification, in order.

    Args:
        path: As for `read_specification`; paths in it are relative to its folder.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If the specification or a table is wrong, or two tasks have the same name.
        TypeError: As in `Task`.
    """
    path = Path(path)
    tasks = []
    for entry in read_specification(path):
        tasks.append(entry.build(path.parent))
        _log.info("task %s: %d rows, %d without a label.", tasks[-1].name, len(tasks[-1].lonlat), tasks[-1].num_missing)
    names = [task.name for task in tasks]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{path}: two tasks are called {twice[0]!r}; rename one.")
    return tasks


def write_tasks(tasks: Sequence[Task], folder: str | Path) -> Path:
    """Write tasks so that slow builders run once; return the path of `tasks.yaml`, which `read_tasks` reads.

    Args:
        tasks: At least one, with different names.
        folder: Gets `<name>.parquet` (geometry, lon, lat, label, split, time, continent) for each task, and
            `tasks.yaml`; files of the same names are replaced.

    Raises:
        ValueError: If there are no tasks, or two would have the same file name.
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
    """Convert a task to a table without geometry, and its keys in a specification (label, kind, split, time ...)."""
    columns: dict[str, Any] = {"lon": task.lonlat[:, 0], "lat": task.lonlat[:, 1]}
    entry: dict[str, Any] = {"label": "label", "kind": task.kind, "transform": task.transform, "unit": task.unit}
    if task.kind == "multilabel":
        names = [f"label:{name}" for name in task.label_names or range(task.target.shape[1])]
        columns |= {name: _labels(column) for name, column in zip(names, task.target.T, strict=True)}
        # A single label that is not in a list would be read as a column of lists.
        entry["label"] = names
    else:
        columns["label"] = _labels(task.target)
    for name, values in (("split", task.split), ("time", task.time), ("continent", task.continent)):
        if values is not None:
            columns[name] = pa.array(values.astype("datetime64[s]") if name == "time" else [*map(str, values)])
            entry[name] = name
    return pa.table(columns), {key: value for key, value in entry.items() if value not in (None, "")}


def _labels(values: np.ndarray) -> pa.Array:
    if values.dtype.kind == "f":
        return pa.array(values, mask=np.isnan(values))
    return pa.array(values.tolist() if values.dtype.kind == "O" else values)
