"""Population density, from GPWv4 or any raster of people per square kilometre."""

from pathlib import Path

import numpy as np
from jaxtyping import Float, Float64

from geotether.sources.grids.rasters import raster_values
from geotether.sources.sampling import on_land, sample_places
from geotether.tasks.countries import continents_at
from geotether.tasks.task import Task


def population_task(
    file: Path,
    rows: int = 10_000,
    seed: int = 0,
    land: Path | None = None,
    countries: Path | None = None,
    south: float = -90.0,
    north: float = 90.0,
) -> Task:
    """Ask for the population density of places drawn uniformly by area where the raster has data.

    Args:
        file: GPWv4 population density as GeoTIFF, of any resolution, `gpw_v4_population_density_*.tif`.
        rows: How many places.
        seed: Decides the places.
        land: Land polygons that places must also lie in. None: the raster's own coast.
        countries: Natural Earth file for the continents. None: they stay unknown.
        south: Southern limit in degrees.
        north: Northern limit in degrees.

    Returns:
        A regression task of log(1 + people per km²).

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If the file is no raster, holds negative densities, or too few places are found.
    """

    def look(lonlat: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        density = np.full(len(lonlat), np.nan)
        dry = on_land(lonlat, land)
        density[dry] = population_at(file, lonlat[dry])
        return np.isfinite(density), {"density": density}

    lonlat, said = sample_places(rows, seed, look, south, north)
    continent = continents_at(countries, lonlat)
    return Task(
        "population density",
        "regression",
        lonlat,
        said["density"],
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
    density[density < -1e37] = np.nan  # GPWv4's own sign for the sea, should a copy of the file not declare it
    if (density < 0).any():
        raise ValueError(
            f"{file} holds a density of {np.nanmin(density):g}; known layout: GPWv4 population density, one band of "
            "people per km² (gpw_v4_population_density_*.tif). Is its no-data value declared?"
        )
    return density
