"""The label tables of MOSAIKS (Rolf et al. 2021), also known as USAVars."""

import logging
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Float64

from geotether.files.rows import read_rows
from geotether.geodesy.coordinates import check_lonlat
from geotether.tasks.columns import labels_of
from geotether.tasks.countries import continents_at
from geotether.tasks.table import read_labelled
from geotether.tasks.task import Task

# What each table calls its label, the unit, and whether the paper takes logarithms.
LABELS = {
    "treecover": ("treecover", "%", None),
    "elevation": ("elevation", "m", None),
    "population": ("population", "people/km²", "log1p"),
    "nightlights": ("y", "nW/cm²/sr", "log1p"),
    "income": ("income", "USD per household", None),
    "roads": ("length", "m", None),
    "housing": ("price_per_sqft", "USD/sqft", "log1p"),
}
NO_DATA = (-999, -9999)
# Columns that are no label.
PLACE_COLUMNS = {"", "id", "lon", "lat", "longitude", "latitude", "unnamed: 0", "geometry", "split", "timestamp"}
LAYOUT = (
    "known layout: outcomes_sampled_<label>_CONTUS_16_640_<UAR|POP>_100000_0.csv with ID, lon, lat and a label "
    "(treecover, elevation, population, y for night lights, income, length for roads, price_per_sqft, Val)"
)
_log = logging.getLogger(__name__)


def mosaiks_task(
    file: Path, label: str | None = None, places: Path | None = None, countries: Path | None = None
) -> Task:
    """Ask for one label of MOSAIKS at up to 100,000 places in the contiguous United States.

    Args:
        file: `outcomes_sampled_<label>_CONTUS_16_640_<UAR|POP>_100000_0.csv` as published, or the same as Parquet.
        label: Its label column. None: told by the file, which has one.
        places: Another such table, to take lon and lat from by ID where `file` has none.
        countries: Natural Earth file for the continents. None: they stay unknown.

    Returns:
        A regression task; population, night lights and housing as log(1 + value). -999 is a missing label.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If the layout is unknown, or places are missing.
    """
    file = Path(file)
    header = read_rows(file)
    lower = {name.strip().lower(): name for name in header.column_names}
    found = lower.get(label.lower()) if label else _label_of(file, lower)
    if found is None:
        wanted = f"no column {label!r}" if label else "no one column that must be the label"
        raise ValueError(f"{file} has {wanted}, only {', '.join(header.column_names)}; {LAYOUT}.")
    if places is not None:
        columns, lonlat = _placed_by_id(file, header, places)
    elif {"lon", "lat"} <= {*lower} or {"longitude", "latitude"} <= {*lower}:
        columns, lonlat = read_labelled(file)
    else:
        raise ValueError(f"{file} has no lon and lat; give places, another label table that has ID, lon and lat.")
    target = labels_of(found, columns[found], NO_DATA)
    name, unit, transform = _about(file, found)
    return Task(
        name,
        "regression",
        lonlat,
        target,
        unit=unit,
        transform=transform,
        continent=continents_at(countries, lonlat),
    )


def _label_of(file: Path, lower: dict[str, str]) -> str | None:
    """The label's column: the one that the file's name speaks of, or the only one that is no place."""
    named = [column for key, (column, _, _) in LABELS.items() if key in file.stem.lower() and column in lower]
    others = [name for key, name in lower.items() if key not in PLACE_COLUMNS]
    if named:
        return lower[named[0]]
    return others[0] if len(others) == 1 else None


def _about(file: Path, found: str) -> tuple[str, str, str | None]:
    """Name, unit and transform: told by the file's name, for y, length and Val say little, else by the column's."""
    told = re.search(r"outcomes_sampled_([a-z0-9]+)", file.stem.lower())
    for name, (column, unit, transform) in LABELS.items():
        if name == (told.group(1) if told else found.lower()) or (not told and found.lower() == column):
            return name, unit, transform
    return (told.group(1).upper() if told and found.lower() == "val" else found), "", None


def _placed_by_id(file: Path, columns: pa.Table, places: Path) -> tuple[pa.Table, Float64[np.ndarray, "n 2"]]:
    table, lonlat = read_labelled(places)
    ids = [next((n for n in t.column_names if n.strip().lower() == "id"), None) for t in (columns, table)]
    if ids[0] is None or ids[1] is None:
        raise ValueError(f"places joins {file} and {places} by their column ID, which one of them lacks; {LAYOUT}.")
    where = {str(key): row for row, key in enumerate(table[ids[1]].to_pylist())}
    rows = np.array([where.get(str(key), -1) for key in columns[ids[0]].to_pylist()])
    lost = int((rows < 0).sum())
    if lost:
        _log.warning("%s: %d of %d rows have an ID that %s lacks; they are left out.", file, lost, len(rows), places)
    if lost == len(rows):
        raise ValueError(f"no ID of {file} is in {places}; give a table of the same sample (UAR or POP).")
    placed = lonlat[rows[rows >= 0]]
    check_lonlat(placed)
    return columns.filter(pa.array(rows >= 0)), placed
