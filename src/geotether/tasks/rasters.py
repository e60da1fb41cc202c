"""Tasks from published rasters: elevation and population density."""

import logging
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float64

from geotether.sources.grids.rasters import raster_values, terrarium_values, terrarium_zooms
from geotether.sources.sampling import on_land, sample_places
from geotether.tasks.polygons import continents_at
from geotether.tasks.task import Task

_log = logging.getLogger(__name__)


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

    Args:
        file: A DEM raster in metres (ETOPO, GEBCO, GMTED, SRTM, ...) or a folder of terrarium tiles.
        rows: How many places.
        seed: Decides the places.
        land: Land polygons. None: those of `countries`; without either, everywhere the file has data, which is the
            sea floor too in many files (a warning says so).
        countries: Natural Earth file for the continents. None: they stay unknown.
        zoom: Zoom level of terrarium tiles. None: the deepest.
        south: Southern limit in degrees.
        north: Northern limit in degrees.

    Returns:
        A regression task of metres, not transformed.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If the file is not a raster, `zoom` is given for one, or too few places are found.
    """
    land = land or countries

    def look(lonlat: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        metres = np.full(len(lonlat), np.nan)
        dry = on_land(lonlat, land)
        metres[dry] = elevation_at(file, lonlat[dry], zoom)
        return np.isfinite(metres), {"metres": metres}

    lonlat, drawn = sample_places(rows, seed, look, south, north)
    sea = float((drawn["metres"] < -500.0).mean())
    if land is None and sea > 0.1:
        _log.warning("%s: %.0f %% of the places are sea floor; give land= to leave the sea out.", file, 100 * sea)
    continent = continents_at(countries, lonlat)
    return Task("elevation", "regression", lonlat, drawn["metres"], unit="m", continent=continent)


def elevation_at(file: Path, lonlat: Float[np.ndarray, "n 2"], zoom: int | None = None) -> Float64[np.ndarray, " n"]:
    """Read the elevation of each place in metres, NaN where there is no data.

    Args:
        file: As for `elevation_task`.
        lonlat: Places in degrees, shape (n, 2).
        zoom: Zoom level of terrarium tiles. None: the deepest.

    Raises:
        FileNotFoundError: If there is no such file, folder or zoom level.
        ValueError: If the layout is unknown, or `zoom` is given for a raster.
    """
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
    """Build the task of the population density of places drawn uniformly by area where the raster has data.

    Arguments are those of `elevation_task`, with GPWv4 population density of any resolution
    (`gpw_v4_population_density_*.tif`) as `file`; without `land`, the coast is that of the raster.

    Returns:
        A regression task of log(1 + people per km²).

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If the file is not a raster, contains negative densities, or too few places are found.
    """

    def look(lonlat: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        density = np.full(len(lonlat), np.nan)
        dry = on_land(lonlat, land)
        density[dry] = population_at(file, lonlat[dry])
        return np.isfinite(density), {"density": density}

    lonlat, drawn = sample_places(rows, seed, look, south, north)
    continent = continents_at(countries, lonlat)
    return Task(
        "population density",
        "regression",
        lonlat,
        drawn["density"],
        unit="people/km²",
        transform="log1p",
        continent=continent,
    )


def population_at(file: Path, lonlat: Float[np.ndarray, "n 2"]) -> Float64[np.ndarray, " n"]:
    """Read the population density of each place in people per km², NaN where there is no data.

    Args:
        file: As for `population_task`.
        lonlat: Places in degrees, shape (n, 2).

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
