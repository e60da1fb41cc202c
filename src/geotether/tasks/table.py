"""Tasks from a table of one's own: a CSV, Parquet, GeoParquet or GeoJSON file and the names of its columns."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float64

from geotether.geodesy.coordinates import check_lonlat
from geotether.sources.points import lonlat_of_columns, points_kind
from geotether.sources.readers import read_csv, read_geojson, read_parquet
from geotether.suggestions import closest
from geotether.tasks.columns import indicators_of, is_list, labels_of, splits_of, times_of
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
) -> Task:
    """Make a task of a file with one row a place.

    Args:
        table: CSV, Parquet, GeoParquet or GeoJSON.
        label: The label column; for "multilabel" columns of 0 and 1, or one column of lists of labels.
        name: Name of the task. None: the label's.
        kind: "regression", "classification" or "multilabel". None: several label columns or lists are multilabel,
            numbers a regression, text and bool classes.
        transform: None, or one of `geotether.tasks.task.TRANSFORMS`.
        unit: Unit of the raw labels.
        lon: Column of longitudes in degrees. None: found by its name, or the file's geometry.
        lat: Column of latitudes in degrees, together with `lon`.
        time: Column of times: timestamps, dates, ISO texts, years, or milliseconds since 1970.
        split: Column of train, validation and test; val, valid and dev mean validation, trainval means train.
        continent: Column of continents.
        rename_split: What values of the split column mean, where they are others.
        missing: Values of the label that mean there is none, such as -999.

    Returns:
        The task. Rows without coordinates are left out with a warning; rows without a label are kept and counted by
        the task.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a column is missing (those there are are listed) or cannot be used; as in `Task`.
        TypeError: As in `Task`.
    """
    columns, lonlat = read_labelled(table, lon, lat)
    wanted = [label] if isinstance(label, str) else list(label)
    for role, names in (("label", wanted), ("time", [time]), ("split", [split]), ("continent", [continent])):
        for column in names:
            if column is not None:
                _know(table, columns, column, role)
    if kind is None:
        kind = _kind_of(columns, wanted)
    if kind != "multilabel" and len(wanted) > 1:
        raise ValueError(f"{table}: several label columns need kind: multilabel; got kind {kind!r}.")
    options: dict[str, Any] = {}
    if kind == "multilabel":
        target, options["label_names"] = indicators_of(columns.select(wanted), missing)
    else:
        target = labels_of(wanted[0], columns[wanted[0]], missing)
    if split is not None:
        options["split"] = splits_of(split, columns[split], rename_split or {})
    elif rename_split:
        raise ValueError(f"{table}: rename_split needs split, the name of the column.")
    if time is not None:
        options["time"] = times_of(time, columns[time])
    if continent is not None:
        options["continent"] = np.array([str(v) if v is not None else "" for v in columns[continent].to_pylist()])
    title = name or (wanted[0].removeprefix("label:") if len(wanted) == 1 else Path(table).stem)
    return Task(title, kind, lonlat, target, unit=unit, transform=transform, **options)


def read_labelled(
    table: Path, lon: str | None = None, lat: str | None = None
) -> tuple[pa.Table, Float64[np.ndarray, "n 2"]]:
    """Read a table and its places, without the rows that have no coordinates.

    Args:
        table: CSV, Parquet, GeoParquet or GeoJSON.
        lon: Column of longitudes. None: found.
        lat: Column of latitudes, together with `lon`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not of its kind, is empty, or has no such columns.
    """
    table = Path(table)
    kind = points_kind(table)
    if not table.is_file():
        raise FileNotFoundError(f"There is no table {table}.")
    if (lon is None) != (lat is None):
        raise ValueError(f"{table}: lon and lat are given together; got lon={lon!r}, lat={lat!r}.")
    try:
        columns = {"csv": read_csv, "parquet": read_parquet, "geojson": read_geojson}[kind](table)
        return _placed(table, columns, lon, lat)
    except pa.ArrowException as error:
        raise ValueError(f"{table} is damaged or is not a {kind} file: {error}.") from error
    except (TypeError, ValueError) as error:
        raise type(error)(f"{table}: {error}" if str(table) not in str(error) else str(error)) from error


def _placed(
    table: Path, columns: pa.Table, lon: str | None, lat: str | None
) -> tuple[pa.Table, Float64[np.ndarray, "n 2"]]:
    if columns.num_rows == 0:
        raise ValueError("it has no rows.")
    if lon is None or lat is None:
        lonlat = lonlat_of_columns(columns)
    else:
        for axis in (lon, lat):
            _know(table, columns, axis, "coordinate")
        lonlat = lonlat_of_columns(pa.table({"lon": columns[lon], "lat": columns[lat]}))
    placed = ~np.isnan(lonlat).any(axis=1)
    if not placed.all():
        _log.warning("%s: %d of %d rows have no coordinates and are left out.", table, (~placed).sum(), len(placed))
        columns, lonlat = columns.filter(pa.array(placed)), lonlat[placed]
    check_lonlat(lonlat)
    return columns, lonlat


def _know(table: Path, columns: pa.Table, name: str, role: str) -> None:
    if name not in columns.column_names:
        hint = closest(name, columns.column_names)
        known = ", ".join(columns.column_names)
        raise ValueError(f"{table} has no {role} column {name!r}; there are {known}.{hint}")


def _kind_of(columns: pa.Table, wanted: Sequence[str]) -> str:
    kind = columns[wanted[0]].type
    if len(wanted) > 1 or is_list(kind):
        return "multilabel"
    numbers = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    return "regression" if numbers else "classification"
