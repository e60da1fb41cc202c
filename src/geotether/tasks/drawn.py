"""Tasks at places drawn uniformly by area: countries, ecoregions, elevation and population density.

`rows` places are drawn with `seed` between the latitudes `south` and `north`, on the polygons of `land` if given, and
kept where a label is known. `countries` is a Natural Earth file for the continents, which else stay unknown. Classes in
fewer than `min_class_rows` rows become missing labels. All builders raise FileNotFoundError for a missing file, and
ValueError for an unknown layout or if too few places are found.
"""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float64, Shaped

from geotether.files.polygons import polygon_layers
from geotether.sources.grids.rasters import raster_values, terrarium_values, terrarium_zooms
from geotether.sources.polygons import find_polygons, polygon_columns
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

_log = logging.getLogger(__name__)


def draw_labels(
    finders: Mapping[str, Callable[[np.ndarray], np.ndarray]],
    rows: int,
    seed: int,
    south: float,
    north: float,
    land: Path | None = None,
) -> tuple[Float64[np.ndarray, "n 2"], dict[str, np.ndarray]]:
    """Draw places on land at which every finder knows a label: a number that is not NaN, or an object but None."""

    def look(lonlat: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        keep = on_land(lonlat, land)
        labels: dict[str, np.ndarray] = {}
        for name, at in finders.items():
            here = np.flatnonzero(keep)  # each file is read only at places that the ones before know
            found = at(lonlat[here])
            numbers = found.dtype.kind == "f"
            labels[name] = np.full(len(lonlat), np.nan if numbers else None, dtype=found.dtype)
            labels[name][here] = found
            known = np.isfinite(found) if numbers else np.array([value is not None for value in found], dtype=bool)
            keep[here[~known]] = False
        return keep, labels

    return sample_places(rows, seed, look, south, north)


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

    `file` is GADM 4.1 (GeoPackage or shapefile) or Natural Earth admin 0 countries (any format), which then also gives
    the continents. `label` is the column of classes, by default GADM's GID_0, which gives disputed areas codes of their
    own (Z01 to Z09), or Natural Earth's ADM0_A3.
    """
    finders = {"country": lambda places: countries_at(file, places, label)}
    lonlat, drawn = draw_labels(finders, rows, seed, south, north)
    if countries is None and has_continents(file):
        countries = file
    labels = without_rare(drawn["country"], min_class_rows)
    return Task("country", "classification", lonlat, labels, continent=continents_at(countries, lonlat))


def countries_at(file: Path, lonlat: Float[np.ndarray, "n 2"], label: str | None = None) -> Shaped[np.ndarray, " n"]:
    """Name the country of each place (degrees), None at sea, from the files of `country_task`."""
    layer = _layer(file)
    names = polygon_columns(file, layer)
    column = _find(names, COUNTRY_COLUMNS if label is None else (label.lower(),))
    if column is None:
        wanted = "no column with countries" if label is None else f"no column {label!r}"
        raise ValueError(f"{file} has {wanted}, only {', '.join(names) or 'geometry'}; {COUNTRY_LAYOUTS}.")
    found = find_polygons(file, lonlat, [column], layer).columns[column]
    return np.array([None if name in (None, "", "-99") else str(name) for name in found], dtype=object)


def continents_at(file: Path | None, lonlat: Float[np.ndarray, "n 2"]) -> Shaped[np.ndarray, " n"] | None:
    """Name the continent of each place (degrees), "" at sea, from Natural Earth's countries; None without a file."""
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
    return np.array(["" if name is None else str(name) for name in found], dtype=object)


def has_continents(file: Path) -> bool:
    """Whether a file of countries has a column of continents."""
    return _find(polygon_columns(file, _layer(file)), ("continent",)) is not None


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

    `file` has the ecoregions of Olson (`wwf_terr_ecos.shp`) or RESOLVE (`Ecoregions2017.shp`) in any format; `level` is
    "biome" (14 classes), "ecoregion" (over 800) or "realm" (8). Lakes, rock and ice are not classes; no place is drawn
    there.
    """
    if level not in LEVELS:
        raise ValueError(f"level is one of {', '.join(LEVELS)}; got {level!r}.")
    lonlat, drawn = draw_labels({level: lambda p: ecoregions_at(file, p)[level]}, rows, seed, south, north, land)
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
    """Name "biome", "ecoregion" and "realm" of each place (degrees); None at sea, on lakes, rock and ice."""
    names = polygon_columns(file)
    lower = {name.lower(): name for name in names}
    number = lower.get("biome_num", lower.get("biome"))
    named = [lower.get(key) for key in ("eco_name", "eco_id", "realm")]
    if number is None or None in named:
        raise ValueError(f"{file} has the columns {', '.join(names) or 'none'}; {ECOREGION_LAYOUTS}.")
    columns = [number, *map(str, named)]
    found = find_polygons(file, lonlat, columns).columns
    cells = zip(*(found[column] for column in columns), strict=True)
    return dict(zip(LEVELS, np.array([_levels(*row) for row in cells], dtype=object).reshape(-1, 3).T, strict=True))


def _levels(number: Any, name: Any, code: Any, realm: Any) -> tuple[str | None, ...]:
    """Return biome, ecoregion and realm of the attributes of a polygon."""
    try:
        biome = BIOMES.get(int(float(number)))
    except (TypeError, ValueError):
        return None, None, None
    if biome is None or _is_none(name) or (code is not None and float(code) < 0):
        return None, None, None
    return biome, str(name).strip(), None if _is_none(realm) else str(realm).strip()


def _is_none(value: Any) -> bool:
    return value is None or str(value).strip().lower() in NO_ECOREGION


def elevation_task(
    file: Path,
    rows: int = 10_000,
    seed: int = 0,
    land: Path | None = None,
    countries: Path | None = None,
    zoom: int | None = None,
    south: float = -90.0,
    north: float = 90.0,
) -> Task:
    """Build the task of the elevation of places drawn uniformly by area on land.

    `file` is a DEM raster in metres (ETOPO, GEBCO, GMTED, SRTM, ...) or a folder of terrarium tiles, of which `zoom` is
    the level (by default the deepest). Without `land` the polygons of `countries` count as land; without either, places
    are drawn wherever the file has data, which is the sea floor too in many files (a warning says so).
    """
    land = land or countries
    lonlat, drawn = draw_labels({"m": lambda places: elevation_at(file, places, zoom)}, rows, seed, south, north, land)
    sea = float((drawn["m"] < -500.0).mean())
    if land is None and sea > 0.1:
        _log.warning("%s: %.0f %% of the places are sea floor; give land= to leave the sea out.", file, 100 * sea)
    return Task("elevation", "regression", lonlat, drawn["m"], unit="m", continent=continents_at(countries, lonlat))


def elevation_at(file: Path, lonlat: Float[np.ndarray, "n 2"], zoom: int | None = None) -> Float64[np.ndarray, " n"]:
    """Read the elevation of each place in metres, NaN where there is no data, from the files of `elevation_task`."""
    if Path(file).is_dir():
        if not terrarium_zooms(file):
            raise ValueError(
                f"the folder {file} contains no zoom levels; known layouts: a DEM raster such as a GeoTIFF in metres, "
                "or terrarium tiles in {zoom}/{x}/{y}.png."
            )
        metres, missing = terrarium_values(file, lonlat, zoom)
        if missing:
            _log.warning("%s: the tiles of %d of %d places are missing.", file, missing, len(lonlat))
        return metres
    if zoom is not None:
        raise ValueError(f"zoom={zoom} is for a folder of terrarium tiles, but {file} is a file; leave it out.")
    return raster_values(file, lonlat)


def population_task(
    file: Path,
    rows: int = 10_000,
    seed: int = 0,
    land: Path | None = None,
    countries: Path | None = None,
    south: float = -90.0,
    north: float = 90.0,
) -> Task:
    """Build the task of log(1 + people per km²) of places drawn uniformly by area where the raster has data.

    `file` is GPWv4 population density of any resolution (`gpw_v4_population_density_*.tif`); without `land`, the coast
    is that of the raster.
    """
    finders = {"density": lambda places: population_at(file, places)}
    lonlat, drawn = draw_labels(finders, rows, seed, south, north, land)
    about: dict[str, Any] = {"unit": "people/km²", "transform": "log1p", "continent": continents_at(countries, lonlat)}
    return Task("population density", "regression", lonlat, drawn["density"], **about)


def population_at(file: Path, lonlat: Float[np.ndarray, "n 2"]) -> Float64[np.ndarray, " n"]:
    """Read the population density of each place in people per km², NaN where there is no data.

    Raises:
        ValueError: If a density is negative: another kind of raster, or one whose no-data value is not declared.
    """
    density = raster_values(file, lonlat)
    density[density < -1e37] = np.nan  # GPWv4's own value at sea, in case a copy of the file does not declare it
    if (density < 0).any():
        raise ValueError(
            f"{file} contains a density of {np.nanmin(density):g}; known layout: GPWv4 population density, one band of "
            "people per km² (gpw_v4_population_density_*.tif). Is its no-data value declared?"
        )
    return density
