"""California housing: the median house value of a block group in the census of 1990."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Float64

from geotether.geodesy.coordinates import check_lonlat
from geotether.tasks.columns import labels_of
from geotether.tasks.countries import continents_at
from geotether.tasks.table import read_labelled
from geotether.tasks.task import Task

# StatLib's file has no header; its columns are told in cal_housing.domain beside it.
STATLIB = (
    "longitude", "latitude", "housingMedianAge", "totalRooms", "totalBedrooms", "population", "households",
    "medianIncome", "medianHouseValue",
)  # fmt: skip
# The label as StatLib, Kaggle and scikit-learn call it; scikit-learn counts in 100,000 dollars.
LABELS = {"medianhousevalue": "USD", "median_house_value": "USD", "medhouseval": "100,000 USD"}
LAYOUTS = (
    "known layouts: StatLib's cal_housing.data (nine numbers a row, no header), Kaggle's housing.csv "
    "(longitude, latitude, ..., median_house_value), scikit-learn's frame as CSV or Parquet (MedHouseVal)"
)


def housing_task(file: Path, countries: Path | None = None) -> Task:
    """Ask for the median house value of 20,640 block groups in California.

    Args:
        file: StatLib's `cal_housing.data`, Kaggle's `housing.csv`, or scikit-learn's frame written as CSV or Parquet.
        countries: Natural Earth file for the continents. None: they stay unknown.

    Returns:
        A regression task in USD (scikit-learn's frame: in 100,000 USD), capped at 500,001 in the source.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If the layout is unknown.
    """
    file = Path(file)
    if file.suffix.lower() == ".data":
        columns, lonlat = _read_statlib(file)
    else:
        columns, lonlat = read_labelled(file)
    found = [name for name in columns.column_names if name.lower() in LABELS]
    if not found:
        raise ValueError(f"{file} has the columns {', '.join(columns.column_names)}; {LAYOUTS}.")
    label = labels_of(found[0], columns[found[0]])
    unit = LABELS[found[0].lower()]
    return Task("house value", "regression", lonlat, label, unit=unit, continent=continents_at(countries, lonlat))


def _read_statlib(file: Path) -> tuple[pa.Table, Float64[np.ndarray, "n 2"]]:
    if not file.is_file():
        raise FileNotFoundError(f"There is no file {file}.")
    from pyarrow.csv import ReadOptions, read_csv

    try:
        columns = read_csv(file, read_options=ReadOptions(column_names=list(STATLIB)))
        numbers = pa.table({name: columns[name].cast(pa.float64()) for name in STATLIB})
    except pa.ArrowException as error:
        raise ValueError(f"{file} is not nine numbers a row: {error}; {LAYOUTS}.") from error
    lonlat = np.stack([numbers["longitude"].to_numpy(), numbers["latitude"].to_numpy()], axis=1)
    check_lonlat(lonlat)
    return numbers, lonlat
