"""Tasks from your own table: a file of rows and the names of its columns."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Float64, Integer

from geotether.files.geometry import NO_GEOMETRY
from geotether.files.places import NO_PLACE, PlaceFinder
from geotether.files.rows import naming, read_rows
from geotether.files.values import is_list, texts_of
from geotether.suggestions import closest
from geotether.tasks.columns import indicators_of, labels_of, splits_of, task_times
from geotether.tasks.task import Task

_log = logging.getLogger(__name__)


def table_task(
    table: Path,
    label: str | Sequence[str],
    name: str | None = None,
    kind: str | None = None,
    transform: str | None = None,
    unit: str = "",
    lon: str | None = None,
    lat: str | None = None,
    time: str | None = None,
    split: str | None = None,
    continent: str | None = None,
    rename_split: Mapping[str, str] | None = None,
    missing: Sequence[str | float] = (),
    read: "Labelled | None" = None,
) -> Task:
    """Make a task from a file with one row per place.

    Args:
        table: A file in any format of rows.
        label: The label column; for "multilabel" columns of 0 and 1, or one column of lists of labels.
        name: Name of the task. None: the label's.
        kind: "regression", "classification" or "multilabel". None: several label columns or lists are multilabel,
            numbers a regression, text and bool classes.
        transform: None, or one of `geotether.tasks.task.TRANSFORMS`.
        unit: Unit of the raw labels.
        lon: Column of longitudes in degrees. None: the geometry, or found by its name.
        lat: Column of latitudes in degrees, together with `lon`.
        time: Column of dates or times; see `geotether.geodesy.dates.times_of`.
        split: Column of train, validation and test; val, valid and dev mean validation, trainval means train.
        continent: Column of continents.
        rename_split: Other values of the split column to these parts.
        missing: Values that mark a missing label, such as -999.
        read: The rows of the table, if they have been read; the file is then only named in messages.

    Returns:
        The task. Rows without coordinates are left out with a warning; rows without a label are kept and counted by
        the task.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a column is missing (those found are listed) or cannot be used; as in `Task`.
        TypeError: As in `Task`.
    """
    table = Path(table)
    columns, lonlat, rows = read_labelled(table, lon, lat) if read is None else read
    wanted = [label] if isinstance(label, str) else list(label)
    for role, names in (("label", wanted), ("time", [time]), ("split", [split]), ("continent", [continent])):
        for column in names:
            if column is not None:
                _know(table, columns, column, role)
    if kind is None and (len(wanted) > 1 or is_list(columns[wanted[0]].type)):
        kind = "multilabel"
    if kind != "multilabel" and len(wanted) > 1:
        raise ValueError(f"{table}: several label columns need kind: multilabel; got kind {kind!r}.")
    options: dict[str, Any] = {}
    with naming(table, "table"):
        if kind == "multilabel":
            target, options["label_names"] = indicators_of(columns.select(wanted), missing)
        else:
            target = labels_of(wanted[0], columns[wanted[0]], missing, kind, rows)
            kind = kind or ("regression" if target.dtype.kind in "fiu" else "classification")
            endless = np.isinf(target) if target.dtype.kind == "f" else np.zeros(1, dtype=bool)
            if endless.any():
                first = int(endless.argmax())
                raise ValueError(f"the label {wanted[0]!r} of row {rows[first]} is {target[first]}, not finite.")
        if split is not None:
            options["split"] = splits_of(split, columns[split], rename_split or {})
        elif rename_split:
            raise ValueError("rename_split needs split, the name of the column.")
        if time is not None:
            options["time"] = task_times(time, columns[time], rows)
    if continent is not None:
        options["continent"] = texts_of(columns[continent])
    title = name or (wanted[0].removeprefix("label:") if len(wanted) == 1 else table.stem)
    return Task(title, kind, lonlat, target, unit=unit, transform=transform, **options)


class Labelled(NamedTuple):
    """The rows of a table that have coordinates: columns, places in degrees, and the number of each row in the file."""

    columns: pa.Table
    lonlat: Float64[np.ndarray, "n 2"]
    rows: Integer[np.ndarray, " n"]


def read_labelled(table: Path, lon: str | None = None, lat: str | None = None) -> Labelled:
    """Read a table and its places, without the rows that have no coordinates.

    Raises:
        ValueError: If it is not of its format, is empty, lacks such columns, or a row has a wrong place.
    """
    table = Path(table)
    columns = read_rows(table)
    with naming(table, "table"):
        finder = PlaceFinder(columns.schema, lon, lat)
        lonlat, reasons = finder.find(columns)
        unplaced = [row for row, reason in reasons.items() if reason in (NO_PLACE, NO_GEOMETRY)]
        rows = np.setdiff1d(np.arange(len(lonlat)), unplaced)
        if unplaced:
            _log.warning("%s: %d of %d rows have no coordinates and are left out.", table, len(unplaced), len(lonlat))
            columns = columns.take(pa.array(rows))
        return Labelled(columns, finder.require(columns), rows)


def _know(table: Path, columns: pa.Table, name: str, role: str) -> None:
    if name not in columns.column_names:
        hint = closest(name, columns.column_names)
        known = ", ".join(columns.column_names)
        raise ValueError(f"{table} has no {role} column {name!r}; there are {known}.{hint}")
