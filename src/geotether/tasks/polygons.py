"""Tasks from published polygons: countries (GADM, Natural Earth), biomes and ecoregions (Olson, RESOLVE)."""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from geotether.sources.polygons import find_polygons, polygon_columns, polygon_layers
from geotether.sources.sampling import on_land, sample_places, without_rare
from geotether.tasks.task import Task

# GADM's country layer: of the world's file, of one country's file, of version 3.6.
COUNTRY_LAYERS = ("ADM_0", "ADM_ADM_0", "level0")
# GADM's code comes first, then Natural Earth's, which has no gaps, unlike its ISO code.
COUNTRY_COLUMNS = ("gid_0", "adm0_a3", "iso_a3", "country", "name_0", "admin", "name")
COUNTRY_LAYOUTS = (
    "known layouts: GADM 4.1 (layer ADM_0 with GID_0, COUNTRY; or gadm_410.gpkg with GID_0), "
    "Natural Earth admin 0 countries (ADM0_A3, NAME, CONTINENT)"
)
# The fourteen biomes, by the number that both data sets share; the names are RESOLVE's.
BIOMES = {
    1: "Tropical & Subtropical Moist Broadleaf Forests",
    2: "Tropical & Subtropical Dry Broadleaf Forests",
    3: "Tropical & Subtropical Coniferous Forests",
    4: "Temperate Broadleaf & Mixed Forests",
    5: "Temperate Conifer Forests",
    6: "Boreal Forests/Taiga",
    7: "Tropical & Subtropical Grasslands, Savannas & Shrublands",
    8: "Temperate Grasslands, Savannas & Shrublands",
    9: "Flooded Grasslands & Savannas",
    10: "Montane Grasslands & Shrublands",
    11: "Tundra",
    12: "Mediterranean Forests, Woodlands & Scrub",
    13: "Deserts & Xeric Shrublands",
    14: "Mangroves",
}
ECOREGION_LAYOUTS = (
    "known layouts: Olson et al. 2001, wwf_terr_ecos.shp (ECO_ID, ECO_NAME, BIOME, REALM); "
    "RESOLVE 2017, Ecoregions2017.shp (ECO_ID, ECO_NAME, BIOME_NUM, BIOME_NAME, REALM)"
)
# Olson's lakes and ice carry biomes 98 and 99 and ecoregions -9998 and -9999; RESOLVE has only a name for its ice.
NO_ECOREGION = {"rock and ice", "rock & ice", "lake", "lakes", "n/a", ""}
LEVELS = ("biome", "ecoregion", "realm")


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
    """Build the task of the country of places drawn uniformly by area within any country.

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

    lonlat, drawn = sample_places(rows, seed, look, south, north)
    if countries is None and _find(polygon_columns(file, _layer(file)), ("continent",)):
        countries = file
    return Task(
        "country",
        "classification",
        lonlat,
        without_rare(drawn["country"], min_class_rows),
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
        raise ValueError(f"{file} has {wanted}, only {', '.join(names) or 'geometry'}; {COUNTRY_LAYOUTS}.")
    found = find_polygons(file, lonlat, [column], layer).columns[column]
    return np.array([None if name in (None, "", "-99") else str(name) for name in found], dtype=object)


def continents_at(file: Path | None, lonlat: Float[np.ndarray, "n 2"]) -> Shaped[np.ndarray, " n"] | None:
    """Name the continent of each place.

    Args:
        file: Natural Earth admin 0 countries. None: the continents are unknown.
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
    """Find GADM's layer of countries, or the only layer."""
    layers = polygon_layers(file)
    for name in COUNTRY_LAYERS:
        if name in layers:
            return name
    if len(layers) > 1:
        raise ValueError(f"{file} has the layers {', '.join(layers)}, none of them countries; {COUNTRY_LAYOUTS}.")
    return layers[0] if layers else None


def _find(names: list[str], wanted: tuple[str, ...]) -> str | None:
    """Find the first of the wanted columns, in any case."""
    lower = {name.lower(): name for name in reversed(names)}
    return next((lower[name] for name in wanted if name in lower), None)


def biome_task(
    file: Path,
    rows: int = 10_000,
    seed: int = 0,
    level: str = "biome",
    land: Path | None = None,
    countries: Path | None = None,
    south: float = -90.0,
    north: float = 90.0,
    min_class_rows: int = 1,
) -> Task:
    """Build the task of the biome (or ecoregion, or realm) of places drawn uniformly by area where there is one.

    Arguments are those of `country_task`, with the ecoregions of Olson (`wwf_terr_ecos.shp`) or RESOLVE
    (`Ecoregions2017.shp`) in any format as `file`; `level` is "biome" (14 classes), "ecoregion" (over 800) or "realm"
    (8), and `land` are polygons that places must also lie in.

    Returns:
        A classification task. Lakes, rock and ice are not classes; no place is drawn there.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If the layout is unknown or too few places are found.
    """
    if level not in LEVELS:
        raise ValueError(f"level is one of {', '.join(LEVELS)}; got {level!r}.")

    def look(lonlat: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        names = ecoregions_at(file, lonlat)[level]
        keep = np.array([name is not None for name in names], dtype=bool)
        keep[keep] = on_land(lonlat[keep], land)
        return keep, {level: names}

    lonlat, drawn = sample_places(rows, seed, look, south, north)
    labels = without_rare(drawn[level], min_class_rows)
    return Task(level, "classification", lonlat, labels, continent=continents_at(countries, lonlat))


def ecoregion_task(
    file: Path,
    rows: int = 10_000,
    seed: int = 0,
    land: Path | None = None,
    countries: Path | None = None,
    south: float = -90.0,
    north: float = 90.0,
    min_class_rows: int = 1,
) -> Task:
    """Build the task of the ecoregion: `biome_task` with level="ecoregion" and the same arguments."""
    return biome_task(file, rows, seed, "ecoregion", land, countries, south, north, min_class_rows)


def ecoregions_at(file: Path, lonlat: Float[np.ndarray, "n 2"]) -> dict[str, Shaped[np.ndarray, " n"]]:
    """Name biome, ecoregion and realm of each place.

    Args:
        file: As for `biome_task`.
        lonlat: Places in degrees, shape (n, 2).

    Returns:
        "biome", "ecoregion" and "realm", each an object array of shape (n,); None at sea, on lakes, rock and ice.

    Raises:
        ValueError: If the layout is unknown.
    """
    names = polygon_columns(file)
    lower = {name.lower(): name for name in names}
    number = lower.get("biome_num", lower.get("biome"))
    named = [lower.get(key) for key in ("eco_name", "eco_id", "realm")]
    if number is None or None in named:
        raise ValueError(f"{file} has the columns {', '.join(names) or 'none'}; {ECOREGION_LAYOUTS}.")
    eco_name, eco_id, realm = (str(name) for name in named)
    found = find_polygons(file, lonlat, [number, eco_name, eco_id, realm]).columns
    biome = np.array([_biome(value) for value in found[number]], dtype=object)
    for row, (name, code) in enumerate(zip(found[eco_name], found[eco_id], strict=True)):
        if _is_none(name) or (code is not None and float(code) < 0):
            biome[row] = None
    land = np.array([value is not None for value in biome], dtype=bool)
    text = {
        key: np.array(
            [str(v).strip() if ok and not _is_none(v) else None for v, ok in zip(found[column], land, strict=True)],
            dtype=object,
        )
        for key, column in (("ecoregion", eco_name), ("realm", realm))
    }
    return {"biome": biome, **text}


def _biome(value: Any) -> str | None:
    try:
        return BIOMES.get(int(float(value)))
    except (TypeError, ValueError):
        return None


def _is_none(value: Any) -> bool:
    return value is None or str(value).strip().lower() in NO_ECOREGION
