"""The four tasks of the demo planet."""

from geotether.sources.planet import read_probe_places
from geotether.tasks.task import Task

# Label column: kind, unit, transform.
PLANET_TASKS: dict[str, tuple[str, str, str | None]] = {
    "country": ("classification", "", None),
    "population_density": ("regression", "people per km²", "log1p"),
    "elevation_m": ("regression", "m", None),
    "july_temperature_c": ("regression", "°C", None),
}
NAMES = {"elevation_m": "elevation", "july_temperature_c": "july_temperature"}


def planet_tasks() -> list[Task]:
    """Make the demo planet's tasks: country, population density, elevation and July air temperature.

    All four share 20,000 places, which are never used for pre-training, and one split into spatial blocks
    of 1000 km that is part of the data; see docs/demo-planet.md.

    Returns:
        One task per label, in the order of `PLANET_TASKS`.
    """
    places = read_probe_places()
    return [
        Task.from_labels(places.labels, column, places.lonlat, places.split, kind, NAMES.get(column), unit, transform)
        for column, (kind, unit, transform) in PLANET_TASKS.items()
    ]
