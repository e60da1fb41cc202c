"""Mean air temperature at weather stations: the table that SatCLIP is judged on."""

from pathlib import Path

from geotether.tasks.columns import labels_of
from geotether.tasks.countries import continents_at
from geotether.tasks.table import read_labelled
from geotether.tasks.task import Task

LAYOUT = (
    "known layout: stationDataAll.csv of Hooker et al. 2018 (Lat, Lon, meanT, meanP among its columns), "
    "or CoordBench's air_temp"
)


def temperature_task(file: Path, label: str | None = None, countries: Path | None = None) -> Task:
    """Ask for the mean annual air temperature of about 3,000 weather stations.

    Args:
        file: `stationDataAll.csv` as published, or the same as Parquet. Columns are found by name, because copies
            differ in whether longitude or latitude comes first.
        label: Another column, such as meanP for precipitation. None: meanT.
        countries: Natural Earth file for the continents. None: they stay unknown.

    Returns:
        A regression task in °C (no unit for another column).

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If the layout is unknown.
    """
    columns, lonlat = read_labelled(file)
    names = {name.lower(): name for name in columns.column_names}
    if label is not None:
        found = names.get(label.lower())
    else:
        found = names.get("meant") or next((names[name] for name in names if "temp" in name), None)
    if found is None:
        wanted = label or "meanT"
        raise ValueError(f"{file} has no column {wanted!r}, only {', '.join(columns.column_names)}; {LAYOUT}.")
    return Task(
        "air temperature" if label is None else found,
        "regression",
        lonlat,
        labels_of(found, columns[found]),
        unit="°C" if label is None else "",
        continent=continents_at(countries, lonlat),
    )
