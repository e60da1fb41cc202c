"""Distances over the surface of the sphere, in kilometres."""

import math
from typing import Any

import numpy as np
from jaxtyping import Float, Float64, Int64

from geotether.geodesy.coordinates import unit_vectors

EARTH_RADIUS_KM = 6371.0088
"""Mean radius of the Earth, (2a + b) / 3 of the WGS 84 ellipsoid (Moritz 2000, J. Geodesy 74:128)."""

EARTH_CIRCUMFERENCE_KM = 2 * math.pi * EARTH_RADIUS_KM
"""Length of a great circle: about 40 030 km."""


def great_circle_km(
    a: Float[np.ndarray, "*#batch 2"], b: Float[np.ndarray, "*#batch 2"]
) -> Float[np.ndarray, "*batch"] | Float64[np.floating, ""]:
    """Compute the great-circle distance between places.

    Accurate from millimetres to antipodes, because the arctangent form loses no digits at either end.
    The sphere differs from the ellipsoid by up to 0.6 %.

    Args:
        a: Longitude and latitude in degrees, shape (..., 2).
        b: The same; the two shapes broadcast.

    Returns:
        Kilometres, the broadcast shape without the last axis.

    Source:
        Vincenty (1975), Survey Review 23:88, specialised to the sphere.

    Example:
        >>> wageningen, sydney = np.array([5.66, 51.97]), np.array([151.21, -33.87])
        >>> round(float(great_circle_km(wageningen, sydney)))
        16613
    """
    lon_a, lat_a = np.radians(a[..., 0]), np.radians(a[..., 1])
    lon_b, lat_b = np.radians(b[..., 0]), np.radians(b[..., 1])
    turn = lon_b - lon_a
    across = np.hypot(
        np.cos(lat_b) * np.sin(turn),
        np.cos(lat_a) * np.sin(lat_b) - np.sin(lat_a) * np.cos(lat_b) * np.cos(turn),
    )
    along = np.sin(lat_a) * np.sin(lat_b) + np.cos(lat_a) * np.cos(lat_b) * np.cos(turn)
    return EARTH_RADIUS_KM * np.arctan2(across, along)


def chord_of_km(km: float | int) -> float:
    """Convert a great-circle distance to the chord through the unit sphere.

    Chords order pairs as distances do, and are computed by one matrix product.

    Args:
        km: Great-circle distance, 0 or more; beyond half the Earth's circumference it is taken as that.

    Returns:
        Length of the chord in Earth radii, [0, 2].

    Raises:
        ValueError: If `km` is negative or not a number.

    Example:
        >>> chord_of_km(20_015.2)
        2.0
    """
    if not km >= 0:
        raise ValueError(f"km must be 0 or more, got {km}.")
    return 2 * math.sin(min(km / EARTH_RADIUS_KM, math.pi) / 2)


def nearest_km(from_lonlat: Float[np.ndarray, "n 2"], to_lonlat: Float[np.ndarray, "m 2"]) -> Float64[np.ndarray, "n"]:
    """Compute the distance to the nearest of some places.

    Args:
        from_lonlat: Places to measure from, degrees, shape (n, 2).
        to_lonlat: Places to measure to, degrees, shape (m, 2).

    Returns:
        Kilometres, shape (n,); infinite where `to_lonlat` is empty.

    Example:
        >>> nearest_km(np.array([[179.0, 0.0]]), np.array([[-179.0, 0.0], [0.0, 0.0]])).round()
        array([222.])
    """
    if len(to_lonlat) == 0:
        return np.full(len(from_lonlat), np.inf)
    return nearest_in_tree(sphere_tree(to_lonlat), from_lonlat)[0]


def nearest_in_tree(
    tree: Any, lonlat: Float[np.ndarray, "n 2"]
) -> tuple[Float64[np.ndarray, "n"], Int64[np.ndarray, "n"]]:
    """Find the nearest place of a `sphere_tree`, which can be asked more than once: its distance in km, its number."""
    chord, index = tree.query(unit_vectors(lonlat.astype(np.float64)))
    return 2 * EARTH_RADIUS_KM * np.arcsin(np.clip(chord / 2, 0, 1)), index


def sphere_tree(lonlat: Float[np.ndarray, "m 2"]) -> Any:
    """Build a search tree over places, valid at the antimeridian and the poles.

    Args:
        lonlat: Places, degrees, shape (m, 2), at least one.

    Returns:
        A `scipy.spatial.cKDTree` over unit vectors; its distances are chords, see `chord_of_km`.
    """
    from scipy.spatial import cKDTree

    return cKDTree(unit_vectors(lonlat.astype(np.float64)))
