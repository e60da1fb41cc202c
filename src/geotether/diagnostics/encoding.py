"""What diagnostics ask of an encoder, and where on Earth they ask it."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, Float64

from geotether.geodesy.coordinates import check_lonlat, lonlat_of_unit_vectors, unit_vectors
from geotether.geodesy.distance import EARTH_RADIUS_KM
from geotether.sources.planet import read_probe_places

Encoder = Callable[[Float[np.ndarray, "n 2"]], Float[np.ndarray, "n d"]]
"""A function of lonlat (degrees, shape (n, 2)) that returns numbers of shape (n, d)."""

CHUNK_ROWS = 8192


def encode_places(
    encoder: Any, lonlat: Float[np.ndarray, "n 2"], chunk_rows: int = CHUNK_ROWS
) -> Float[np.ndarray, "n d"]:
    """Encode places chunk by chunk and check the answer.

    Args:
        encoder: An `Encoder`.
        lonlat: Places, degrees, shape (n, 2), n at least 1.
        chunk_rows: Places asked for at once.

    Returns:
        Shape (n, d), in the encoder's own precision.

    Raises:
        TypeError: If `encoder` is no function.
        ValueError: If a place is no coordinate, there are none, or the answer has another shape or holds NaN or
            infinite values.
    """
    if not callable(encoder):
        raise TypeError(f"encoder is a {type(encoder).__name__}; give a function of lonlat (n, 2) -> (n, d).")
    check_lonlat(lonlat)
    if not len(lonlat):
        raise ValueError("there are no places to encode.")
    parts = []
    for start in range(0, len(lonlat), chunk_rows):
        chunk = lonlat[start : start + chunk_rows]
        part: Any = np.asarray(encoder(chunk))
        if part.ndim != 2 or len(part) != len(chunk) or part.shape[1] == 0 or part.dtype.kind not in "fiu":
            raise ValueError(
                f"the encoder returned {part.dtype} of shape {part.shape} for {len(chunk)} places; "
                "wanted numbers of shape (n, d)."
            )
        bad = np.flatnonzero(~np.isfinite(part).all(axis=1))
        if len(bad):
            lon, lat = chunk[bad[0]]
            raise ValueError(
                f"the encoder returned NaN or infinity for {len(bad)} of {len(chunk)} places, first at "
                f"lon={lon:g}, lat={lat:g}."
            )
        parts.append(part if part.dtype.kind == "f" else part.astype(np.float64))
    return np.concatenate(parts)


def even_places(count: int, seed: int = 0) -> Float64[np.ndarray, "n 2"]:
    """Draw places anywhere on Earth, evenly by area.

    Args:
        count: How many.
        seed: Seed of the draw.

    Returns:
        Shape (count, 2), longitudes in [-180, 180).
    """
    rng = np.random.default_rng(seed)
    z = rng.uniform(-1.0, 1.0, count)
    return np.stack([rng.uniform(-180.0, 180.0, count), np.degrees(np.arcsin(z))], axis=1)


def land_places(count: int, seed: int = 0) -> Float64[np.ndarray, "n 2"]:
    """Draw places on land without Antarctica, evenly by area, from the demo planet's 20,000 probe places.

    Args:
        count: How many, at most 20,000.
        seed: Seed of the draw.

    Returns:
        Shape (count, 2).

    Raises:
        ValueError: If more places are wanted than there are.
    """
    known = read_probe_places().lonlat
    if not 1 <= count <= len(known):
        raise ValueError(f"there are {len(known):,} places on land to draw from; got count={count:,}.")
    return known[np.random.default_rng(seed).choice(len(known), count, replace=False)]


def move(
    lonlat: Float[np.ndarray, "n 2"], bearing: Float[np.ndarray, " _"], km: Float[np.ndarray, " _"] | float
) -> Float64[np.ndarray, "n 2"]:
    """Go from places along great circles.

    Args:
        lonlat: Places, degrees, shape (n, 2).
        bearing: Directions in degrees clockwise from north, shape (n,) or (1,). At a pole, north is the direction that
            the place's longitude gives it.
        km: How far, shape (n,) or a number.

    Returns:
        Where one arrives, shape (n, 2).

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
