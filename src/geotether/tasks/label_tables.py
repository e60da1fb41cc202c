"""Tasks from published tables of labels: air temperature, California housing, MOSAIKS and CoordBench."""

import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Float64

from geotether.files.delimited import FAULT, Layout, described_lines
from geotether.files.numbers import numbers_of
from geotether.files.places import lonlat_of_columns
from geotether.files.rows import open_rows, read_rows
from geotether.files.values import is_number, texts_of
from geotether.geodesy.coordinates import check_lonlat
from geotether.tasks.columns import MOST_CLASSES, labels_of, splits_of, task_times
from geotether.tasks.drawn import continents_at
from geotether.tasks.table import read_labelled
from geotether.tasks.task import Task

TEMPERATURE_LAYOUT = (
    "known layout: stationDataAll.csv of Hooker et al. 2018 (Lat, Lon, meanT, meanP among its columns), "
    "or CoordBench's air_temp"
)
# StatLib's file has no header; its columns are named in cal_housing.domain beside it.
STATLIB = (
    "longitude", "latitude", "housingMedianAge", "totalRooms", "totalBedrooms", "population", "households",
    "medianIncome", "medianHouseValue",
)  # fmt: skip
# The label as StatLib, Kaggle and scikit-learn call it; scikit-learn counts in 100,000 dollars.
HOUSING_LABELS = {"medianhousevalue": "USD", "median_house_value": "USD", "medhouseval": "100,000 USD"}
HOUSING_LAYOUTS = (
    "known layouts: StatLib's cal_housing.data (nine numbers per row, no header), Kaggle's housing.csv "
    "(longitude, latitude, ..., median_house_value), scikit-learn's frame as CSV or Parquet (MedHouseVal)"
)
# What each table calls its label, the unit, and whether the paper takes logarithms.
MOSAIKS_LABELS = {
    "treecover": ("treecover", "%", None),
    "elevation": ("elevation", "m", None),
    "population": ("population", "people/km²", "log1p"),
    "nightlights": ("y", "nW/cm²/sr", "log1p"),
    "income": ("income", "USD per household", None),
    "roads": ("length", "m", None),
    "housing": ("price_per_sqft", "USD/sqft", "log1p"),
}
NO_DATA = (-999, -9999)
# Columns that are not labels.
PLACE_COLUMNS = {"", "id", "lon", "lat", "longitude", "latitude", "unnamed: 0", "geometry", "split", "timestamp"}
MOSAIKS_LAYOUT = (
    "known layout: outcomes_sampled_<label>_CONTUS_16_640_<UAR|POP>_100000_0.csv with ID, lon, lat and a label "
    "(treecover, elevation, population, y for night lights, income, length for roads, price_per_sqft, Val)"
)
CANONICAL = ("lon", "lat", "timestamp", "timestamp_end", "split", "id", "geometry")
COORDBENCH_LAYOUT = "known layout: lon, lat, timestamp, timestamp_end, split, id and one or more label columns"
_log = logging.getLogger(__name__)


def temperature_task(file: Path, label: str | None = None, countries: Path | None = None) -> Task:
    """Build the task of the mean annual air temperature at about 3,000 weather stations, in °C.

    `file` is `stationDataAll.csv` as published, or the same as Parquet; columns are found by name, because copies
    differ in whether longitude or latitude comes first. `label` is another column, such as meanP for precipitation,
    without a unit. ValueError if the layout is unknown; as for `read_labelled`.
    """
    columns, lonlat, _ = read_labelled(file)
    names = {name.lower(): name for name in columns.column_names}
    if label is not None:
        found = names.get(label.lower())
    else:
        found = names.get("meant") or next((names[name] for name in names if "temp" in name), None)
    if found is None:
        wanted = label or "meanT"
        raise ValueError(
            f"{file} has no column {wanted!r}, only {', '.join(columns.column_names)}; {TEMPERATURE_LAYOUT}."
        )
    return Task(
        "air temperature" if label is None else found,
        "regression",
        lonlat,
        labels_of(found, columns[found]),
        unit="°C" if label is None else "",
        continent=continents_at(countries, lonlat),
    )


def housing_task(file: Path, countries: Path | None = None) -> Task:
    """Build the task of the median house value of 20,640 block groups in California, in USD.

    `file` is StatLib's `cal_housing.data`, Kaggle's `housing.csv`, or scikit-learn's frame written as CSV or Parquet
    (in 100,000 USD); values are capped at 500,001 in the source. ValueError if the layout is unknown; as for
    `read_labelled`.
    """
    file = Path(file)
    if file.suffix.lower() == ".data":
        columns, lonlat = _read_statlib(file)
    else:
        columns, lonlat, _ = read_labelled(file)
    found = [name for name in columns.column_names if name.lower() in HOUSING_LABELS]
    if not found:
        raise ValueError(f"{file} has the columns {', '.join(columns.column_names)}; {HOUSING_LAYOUTS}.")
    label = labels_of(found[0], columns[found[0]])
    unit = HOUSING_LABELS[found[0].lower()]
    return Task("house value", "regression", lonlat, label, unit=unit, continent=continents_at(countries, lonlat))


def _read_statlib(file: Path) -> tuple[pa.Table, Float64[np.ndarray, "n 2"]]:
    try:
        with open_rows(file, layout=Layout(",", names=STATLIB), kind="csv") as rows:
            columns = pa.concat_tables(rows.tables).drop_columns([FAULT])
            if rows.broken or not all(is_number(kind) for kind in columns.schema.types):
                raise ValueError(described_lines(rows.broken) if rows.broken else "some values are not numbers")
    except ValueError as error:
        raise ValueError(f"{error}; it does not have nine numbers per row; {HOUSING_LAYOUTS}.") from error
    return columns, lonlat_of_columns(columns)


def mosaiks_task(
    file: Path, label: str | None = None, places: Path | None = None, countries: Path | None = None
) -> Task:
    """Build the task of one MOSAIKS label at up to 100,000 places in the contiguous United States.

    Population, night lights and housing become log(1 + value); -999 is a missing label.

    Args:
        file: `outcomes_sampled_<label>_CONTUS_16_640_<UAR|POP>_100000_0.csv` as published, or the same as Parquet.
        label: Its label column. None: the only one.
        places: Another such table, to take lon and lat from by ID where `file` has none.
        countries: Natural Earth file for the continents. None: they stay unknown.

    Raises:
        ValueError: If the layout is unknown; as for `read_labelled`.
    """
    file = Path(file)
    header = read_rows(file)
    lower = {name.strip().lower(): name for name in header.column_names}
    found = lower.get(label.lower()) if label else _mosaiks_label(file, lower)
    if found is None:
        wanted = f"no column {label!r}" if label else "no single column that must be the label"
        raise ValueError(f"{file} has {wanted}, only {', '.join(header.column_names)}; {MOSAIKS_LAYOUT}.")
    if places is not None:
        columns, lonlat = _placed_by_id(file, header, places)
    elif {"lon", "lat"} <= {*lower} or {"longitude", "latitude"} <= {*lower}:
        columns, lonlat, _ = read_labelled(file)
    else:
        raise ValueError(f"{file} has no lon and lat; give places, another label table that has ID, lon and lat.")
    target = labels_of(found, columns[found], NO_DATA)
    name, unit, transform = _mosaiks_about(file, found)
    return Task(
        name,
        "regression",
        lonlat,
        target,
        unit=unit,
        transform=transform,
        continent=continents_at(countries, lonlat),
    )


def _mosaiks_label(file: Path, lower: dict[str, str]) -> str | None:
    """Find the label column: the one that the file is named after, or the only one besides the place."""
    named = [column for key, (column, _, _) in MOSAIKS_LABELS.items() if key in file.stem.lower() and column in lower]
    others = [name for key, name in lower.items() if key not in PLACE_COLUMNS]
    if named:
        return lower[named[0]]
    return others[0] if len(others) == 1 else None


def _mosaiks_about(file: Path, found: str) -> tuple[str, str, str | None]:
    """Find name, unit and transform from the name of the file (y, length and Val say little), else of the column."""
    named = re.search(r"outcomes_sampled_([a-z0-9]+)", file.stem.lower())
    for name, (column, unit, transform) in MOSAIKS_LABELS.items():
        if name == (named.group(1) if named else found.lower()) or (not named and found.lower() == column):
            return name, unit, transform
    return (named.group(1).upper() if named and found.lower() == "val" else found), "", None


def _placed_by_id(file: Path, columns: pa.Table, places: Path) -> tuple[pa.Table, Float64[np.ndarray, "n 2"]]:
    table, lonlat, _ = read_labelled(places)
    ids = [next((n for n in t.column_names if n.strip().lower() == "id"), None) for t in (columns, table)]
    if ids[0] is None or ids[1] is None:
        raise ValueError(
            f"places joins {file} and {places} by their column ID, which one of them does not have; {MOSAIKS_LAYOUT}."
        )
    where = {key: row for row, key in enumerate(texts_of(table[ids[1]]))}
    rows = np.array([where.get(key, -1) for key in texts_of(columns[ids[0]])])
    lost = int((rows < 0).sum())
    if lost:
        _log.warning("%s: %d of %d rows have an ID that is not in %s; left out.", file, lost, len(rows), places)
    if lost == len(rows):
        raise ValueError(f"no ID of {file} is in {places}; give a table of the same sample (UAR or POP).")
    placed = lonlat[rows[rows >= 0]]
    check_lonlat(placed)
    return columns.filter(pa.array(rows >= 0)), placed


def coordbench_task(
    file: Path,
    label: str | None = None,
    kind: str | None = None,
    rename_split: Mapping[str, str] | None = None,
    missing: Sequence[str | float] = (),
    countries: Path | None = None,
) -> Task:
    """Build the task of one label of a CoordBench table, with its own split and time where it has them.

    Args:
        file: `data/<config>/data.parquet`, or a CSV of that shape.
        label: Which column. None: the only one that is not canonical.
        kind: "regression" or "classification". None: texts and integers with at most 100 different values are classes.
        rename_split: Values of the split to parts, where they are not train, val (or trainval) and test.
        missing: Values that mark a missing label, such as 0 or -1 for the sea in SatCLIP's tables.
        countries: Natural Earth file for the continents. None: they stay unknown.

    Raises:
        ValueError: If the layout is unknown, or there are several labels and none is named.
    """
    columns, lonlat, _ = read_labelled(file)
    labels = [name for name in columns.column_names if name not in CANONICAL]
    if label is None and len(labels) == 1:
        label = labels[0]
    if label is None or label not in labels:
        asked = "name one with label" if label is None else f"there is no {label!r}"
        raise ValueError(f"{file} has the labels {', '.join(labels) or 'none'}; {asked}; {COORDBENCH_LAYOUT}.")
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
        time=None if time is None or time.null_count == len(time) else _coordbench_times(time),
        continent=continents_at(countries, lonlat),
    )


def _coordbench_times(column: pa.ChunkedArray) -> np.ndarray:
    """Read the benchmark's times, which are milliseconds since 1970 where they are whole numbers."""
    if not is_number(column.type):
        return task_times("timestamp", column)
    values, _ = numbers_of(column)
    known = np.abs(values) < 2**62  # neither missing nor infinite
    return np.where(known, np.where(known, values, 0).astype("datetime64[ms]"), np.datetime64("NaT")).astype("M8[s]")


def _are_classes(target: np.ndarray) -> bool:
    if target.dtype.kind == "O":
        return True
    known = target[np.isfinite(target)]
    return not (known % 1).any() and len(np.unique(known)) <= MOST_CLASSES
