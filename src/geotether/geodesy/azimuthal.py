"""Squares of true ground size around places, at any latitude."""

import numpy as np
from jaxtyping import Float, Float64

from geotether.geodesy.distance import EARTH_RADIUS_KM

# The azimuthal map ends at the antipode, two radii from its centre; corners of a square must lie within it.
LARGEST_KM = 2 * EARTH_RADIUS_KM * np.sqrt(2) * 0.999


def ground_squares(lonlat: Float[np.ndarray, "n 2"], km: float, size: int) -> Float64[np.ndarray, "n size size 2"]:
    """Lay a square grid on the ground around each place, north up at its centre.

    The map is Lambert's azimuthal equal-area one around the place, so every pixel has the same area and
    nothing changes near the poles or at the antimeridian. The Earth is a sphere of mean radius: true sizes on the
    ellipsoid differ by up to 0.6 %. At a pole, north up means along the longitude given.

    Args:
        lonlat: Centres in degrees, shape (n, 2).
        km: Side of the square, above 0 and at most `LARGEST_KM`.
        size: Pixels along a side, 1 or more.

    Returns:
        Longitude and latitude of the pixels' centres in degrees, shape (n, size, size, 2), the northern row and in
        it the western pixel first. Longitudes lie within 180 degrees of the place's own, so they may pass 180.

    Raises:
        ValueError: If `km` or `size` is out of range.

    Source:
        Snyder (1987), Map Projections: A Working Manual, USGS Professional Paper 1395, section 24, spherical
        inverse; written with the centre's unit vectors, which leaves two square roots and two arcs.

    Example:
        >>> ground_squares(np.array([[180.0, 0.0]]), km=222.39, size=2)[0, 0].round(2)
        array([[179.5,   0.5],
               [180.5,   0.5]])
    """
    if not 0 < km <= LARGEST_KM:
        raise ValueError(f"a square around a place has a side above 0 and up to {LARGEST_KM:,.0f} km; got km={km}.")
    if size < 1:
        raise ValueError(f"size must be 1 pixel or more, got {size}.")
    offsets = (np.arange(size) - (size - 1) / 2) * (km / size / EARTH_RADIUS_KM)
    half = size // 2
    # West mirrors east, so only the eastern half is computed.
    east, north = offsets[half:], -offsets[:, None]
    squared = east**2 + north**2
    up, along = 1 - squared / 2, np.sqrt(1 - squared / 4)
    east_part, north_part = along * east, along * north
    lat = np.radians(lonlat[:, 1].astype(np.float64))[:, None, None]
    sin, cos = np.sin(lat), np.cos(lat)
    ahead = up * cos - north_part * sin
    # The arctangent of a quotient takes a third of the time, and is right except over a pole and beyond.
    near = (ahead > 0).all(axis=(1, 2))
    turn = np.empty_like(ahead)
    turn[near] = np.degrees(np.arctan(east_part / ahead[near]))
    turn[~near] = np.degrees(np.arctan2(east_part, ahead[~near]))
    parallel = np.degrees(np.arcsin(np.clip(up * sin + north_part * cos, -1.0, 1.0)))
    squares = np.empty((len(lonlat), size, size, 2))
    lon = lonlat[:, 0].astype(np.float64)[:, None, None]
    squares[:, :, half:, 0], squares[:, :, half:, 1] = lon + turn, parallel
    mirrored = slice(None, None if size % 2 == 0 else 0, -1)
    squares[:, :, :half, 0], squares[:, :, :half, 1] = lon - turn[:, :, mirrored], parallel[:, :, mirrored]
    return squares
