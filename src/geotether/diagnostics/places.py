"""Places to measure an encoder at: draws over the Earth or its land, and moves along great circles."""

import numpy as np
from jaxtyping import Float, Float64

from geotether.geodesy.coordinates import lonlat_of_unit_vectors, unit_vectors
from geotether.geodesy.distance import EARTH_RADIUS_KM
from geotether.sources.planet import read_probe_places


def even_places(count: int, seed: int = 0) -> Float64[np.ndarray, "n 2"]:
    """Draw places over the whole Earth, uniformly by area: shape (count, 2), longitudes in [-180, 180)."""
    rng = np.random.default_rng(seed)
    z = rng.uniform(-1.0, 1.0, count)
    return np.stack([rng.uniform(-180.0, 180.0, count), np.degrees(np.arcsin(z))], axis=1)


def land_places(count: int, seed: int = 0) -> Float64[np.ndarray, "n 2"]:
    """Draw places on land without Antarctica, uniformly by area, shape (count, 2).

    Raises:
        ValueError: If there are not that many among the demo planet's 20,000 probe places.
    """
    known = read_probe_places().lonlat
    if not 1 <= count <= len(known):
        raise ValueError(f"there are {len(known):,} places on land to draw from; got count={count:,}.")
    return known[np.random.default_rng(seed).choice(len(known), count, replace=False)]


def move(
    lonlat: Float[np.ndarray, "n 2"], bearing: Float[np.ndarray, " _"], km: Float[np.ndarray, " _"] | float
) -> Float64[np.ndarray, "n 2"]:
    """Move places (n, 2) along great circles by distances in km.

    Bearings are degrees clockwise from north, shape (n,) or (1,); at a pole, north follows from the place's longitude.

    Example:
        >>> move(np.array([[179.0, 0.0]]), np.array([90.0]), 222.39).round(2)
        array([[-179.,    0.]])
    """
    lon, lat, turn = np.radians(lonlat[:, 0]), np.radians(lonlat[:, 1]), np.radians(bearing)[:, None]
    up = unit_vectors(lonlat.astype(np.float64))
    east = np.stack([-np.sin(lon), np.cos(lon), np.zeros_like(lon)], axis=1)
    north = np.stack([-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)], axis=1)
    angle = np.reshape(np.asarray(km, dtype=np.float64) / EARTH_RADIUS_KM, (-1, 1))
    return lonlat_of_unit_vectors(np.cos(angle) * up + np.sin(angle) * (np.cos(turn) * north + np.sin(turn) * east))
