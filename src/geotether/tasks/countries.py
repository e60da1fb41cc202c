"""The country of a place, from GADM or Natural Earth, and the continent from Natural Earth."""

from pathlib import Path

import numpy as np
from jaxtyping import Float, Shaped

from geotether.sources.polygons import find_polygons, polygon_columns, polygon_layers
from geotether.sources.sampling import sample_places, without_rare
from geotether.tasks.task import Task

# GADM's country layer: of the world's file, of one country's file, of version 3.6.
COUNTRY_LAYERS = ("ADM_0", "ADM_ADM_0", "level0")
# GADM's code comes first, then Natural Earth's, which has no gaps, unlike its ISO code.
COUNTRY_COLUMNS = ("gid_0", "adm0_a3", "iso_a3", "country", "name_0", "admin", "name")
LAYOUTS = (
    "known layouts: GADM 4.1 (layer ADM_0 with GID_0, COUNTRY; or gadm_410.gpkg with GID_0), "
    "Natural Earth admin 0 countries (ADM0_A3, NAME, CONTINENT)"
)


def country_task(
    file: Path,
    rows: int = 10_000,
    seed: int = 0,
    label: str | None = None,
    countries: Path | None = None,
    south: float = -90.0,
    north: float = 90.0,
    min_class_rows: int = 1,
) -> Task:
    """Ask for the country of places drawn uniformly by area within any country.

    Args:
        file: GADM 4.1 (GeoPackage or shapefile) or Natural Earth admin 0 countries (any format).
        rows: How many places.
        seed: Decides the places.
        label: Column with the classes. None: GADM's GID_0 or Natural Earth's ADM0_A3. GADM gives disputed areas
            codes of their own (Z01 to Z09).
        countries: Natural Earth file for the continents. None: taken from `file` where it has them.
        south: Southern limit in degrees.
        north: Northern limit in degrees.
        min_class_rows: Countries with fewer rows than this are left out as missing labels; 1 keeps all.

    Returns:
        A classification task of `rows` places.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If the layout is unknown or too few places are found.
    """

    def look(lonlat: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        found = countries_at(file, lonlat, label)
        return np.array([name is not None for name in found], dtype=bool), {"country": found}

    lonlat, said = sample_places(rows, seed, look, south, north)
    if countries is None and _find(polygon_columns(file, _layer(file)), ("continent",)):
        countries = file
    return Task(
        "country",
        "classification",
        lonlat,
        without_rare(said["country"], min_class_rows),
        continent=continents_at(countries, lonlat),
    )


def countries_at(file: Path, lonlat: Float[np.ndarray, "n 2"], label: str | None = None) -> Shaped[np.ndarray, " n"]:
    """Name the country of each place.

    Args:
        file: As for `country_task`.
        lonlat: Places in degrees, shape (n, 2).
        label: As for `country_task`.

    Returns:
        Object array of shape (n,), None at sea.

    Raises:
        ValueError: If the layout is unknown.
    """
    layer = _layer(file)
    names = polygon_columns(file, layer)
    column = _find(names, COUNTRY_COLUMNS if label is None else (label.lower(),))
    if column is None:
        wanted = "no column with countries" if label is None else f"no column {label!r}"
        raise ValueError(f"{file} has {wanted}, only {', '.join(names) or 'geometry'}; {LAYOUTS}.")
    found = find_polygons(file, lonlat, [column], layer).columns[column]
    return np.array([None if name in (None, "", "-99") else str(name) for name in found], dtype=object)


def continents_at(file: Path | None, lonlat: Float[np.ndarray, "n 2"]) -> Shaped[np.ndarray, " n"] | None:
    """Name the continent of each place.

    Args:
        file: Natural Earth admin 0 countries. None: nothing is known.
        lonlat: Places in degrees, shape (n, 2).

    Returns:
        Texts of shape (n,), empty at sea; None without a file.

    Raises:
        ValueError: If the file has no column of continents.
    """
    if file is None:
        return None
    layer = _layer(file)
    names = polygon_columns(file, layer)
    column = _find(names, ("continent",))
    if column is None:
        raise ValueError(
            f"{file} has no column CONTINENT, only {', '.join(names) or 'geometry'}; "
            "continents come from Natural Earth admin 0 countries."
        )
    found = find_polygons(file, lonlat, [column], layer).columns[column]
    return np.array(["" if name is None else str(name) for name in found], dtype=str)


def _layer(file: Path) -> str | None:
    """GADM's layer of countries, or the only one."""
    layers = polygon_layers(file)
    for name in COUNTRY_LAYERS:
        if name in layers:
            return name
    if len(layers) > 1:
        raise ValueError(f"{file} has the layers {', '.join(layers)}, none of them countries; {LAYOUTS}.")
    return layers[0] if layers else None


def _find(names: list[str], wanted: tuple[str, ...]) -> str | None:
    """The first wanted column, in any case."""
    lower = {name.lower(): name for name in reversed(names)}
    return next((lower[name] for name in wanted if name in lower), None)
