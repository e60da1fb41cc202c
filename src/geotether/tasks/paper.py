"""The four tasks of the paper, country, population density, elevation and biome, at the same places."""

import re
from dataclasses import dataclass, fields
from pathlib import Path

from geotether.files.formats import endings_of
from geotether.sources.grids.rasters import terrarium_zooms
from geotether.sources.sampling import without_rare
from geotether.tasks.drawn import (
    continents_at,
    countries_at,
    draw_labels,
    ecoregions_at,
    elevation_at,
    has_continents,
    population_at,
)
from geotether.tasks.task import Task

POLYGON_ENDINGS = tuple(one for one in endings_of("layer", "geojson", "parquet") if one != ".zip")
RASTER_ENDINGS = endings_of("geotiff")


@dataclass(frozen=True)
class PaperFiles:
    """The files behind the four tasks; without `land`, and for continents, those of `countries` count."""

    countries: Path
    population: Path
    elevation: Path
    ecoregions: Path
    land: Path | None = None
    continents: Path | None = None


def find_paper_files(folder: str | Path) -> PaperFiles:
    """Find the files of the four tasks by their published names, in a folder and the folders in it.

    The folder contains `gadm*.gpkg` or `*countries*`, `gpw_v4*` or `*population_density*`, a raster named after
    elevation, ETOPO, GEBCO, GMTED or SRTM (or `terrarium/{z}/{x}/{y}.png`), `wwf_terr_ecos.*` or `*ecoregions*`, and
    optionally `*_land*`. Where several match, GADM, Olson and rasters come first, then the first in the alphabet.
    Natural Earth beside GADM gives the continents. FileNotFoundError says what is missing and what was looked for.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}.")
    here = sorted(path for path in [*folder.iterdir(), *folder.glob("*/*")] if not path.name.startswith("."))
    wanted: dict[str, list[tuple[tuple[str, ...], tuple[str, ...]]]] = {
        "countries": [(("gadm",), POLYGON_ENDINGS), (("countries", "admin_0"), POLYGON_ENDINGS)],
        "population": [(("gpw_v4", "population_density"), RASTER_ENDINGS)],
        "elevation": [(("elevation", "etopo", "gebco", "gmted", "srtm"), RASTER_ENDINGS)],
        "ecoregions": [(("wwf_terr_ecos",), POLYGON_ENDINGS), (("ecoregions",), POLYGON_ENDINGS)],
        "land": [(("land",), POLYGON_ENDINGS)],
        "continents": [(("countries", "admin_0"), POLYGON_ENDINGS)],
    }
    found: dict[str, Path | None] = {}
    for role, patterns in wanted.items():
        hits = [
            path
            for words, endings in patterns
            for path in here
            if path.suffix.lower() in endings and any(_names(path.stem.lower(), word) for word in words)
        ]
        if not hits and role == "elevation":
            hits = [path for path in [folder, *here] if path.is_dir() and terrarium_zooms(path)]
        if not hits and role not in ("land", "continents"):
            words = ", ".join(f"*{word}*" for group, _ in patterns for word in group)
            tiles = " or a folder of terrarium tiles" if role == "elevation" else ""
            raise FileNotFoundError(
                f"{folder} has no file for {role}: looked for {words} ending in {', '.join(patterns[0][1])}{tiles}."
            )
        found[role] = hits[0] if hits else None
    return PaperFiles(**found)  # type: ignore[arg-type]  # only land and continents may be None


def paper_tasks(
    folder: str | Path | PaperFiles,
    rows: int = 10_000,
    seed: int = 0,
    south: float = -90.0,
    north: float = 90.0,
    min_class_rows: int = 1,
) -> list[Task]:
    """Build the paper's four tasks at the same places, so that an encoder encodes them once.

    Places are drawn uniformly by area and kept where they lie on land and all four labels are known; so ice sheets (no
    biome) and Antarctica (no population) are left out.

    Args:
        folder: Where the published files lie (see `find_paper_files`), or the files themselves.
        rows: Number of places.
        seed: Of the draw.
        south: Southern limit in degrees.
        north: Northern limit in degrees.
        min_class_rows: Countries and biomes with fewer rows than this are left out as missing labels; 1 keeps all.

    Returns:
        "country", "population density", "elevation" and "biome", with continents where the country file has them.
    """
    files = folder if isinstance(folder, PaperFiles) else find_paper_files(folder)
    for field in fields(files):
        path = getattr(files, field.name)
        if path is not None and not Path(path).exists():
            raise FileNotFoundError(f"There is no file {path} for {field.name}.")
    finders = {
        "population": lambda places: population_at(files.population, places),
        "elevation": lambda places: elevation_at(files.elevation, places),
        "biome": lambda places: ecoregions_at(files.ecoregions, places)["biome"],
        "country": lambda places: countries_at(files.countries, places),
    }
    lonlat, labels = draw_labels(finders, rows, seed, south, north, files.land)
    continent = continents_at(files.countries if has_continents(files.countries) else files.continents, lonlat)
    country, biome = (without_rare(labels[name], min_class_rows) for name in ("country", "biome"))
    return [
        Task("country", "classification", lonlat, country, continent=continent),
        Task("population density", "regression", lonlat, labels["population"], unit="people/km²",
             transform="log1p", continent=continent),
        Task("elevation", "regression", lonlat, labels["elevation"], unit="m", continent=continent),
        Task("biome", "classification", lonlat, biome, continent=continent),
    ]  # fmt: skip


def _names(stem: str, word: str) -> bool:
    """Whether the name of a file contains a word; "land" must be a word of its own, unlike in iceland.gpkg."""
    return word in (re.split(r"[^a-z0-9]+", stem) if word == "land" else stem)
