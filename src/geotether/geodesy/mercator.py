"""Web Mercator (EPSG:3857) as the square that map tiles divide: x and y from 0 to 1, y southwards."""

import numpy as np
from jaxtyping import Float, Float64

NORTH = 85.0511287798066
"""Latitude of the upper edge of the square; the lower edge is as far south."""
HIGHEST_ZOOM = 22


def square_of_lonlat(lonlat: Float[np.ndarray, "*n 2"]) -> Float64[np.ndarray, "*n 2"]:
    """Project degrees to the square; longitudes beyond 180 and latitudes beyond `NORTH` are outside of it.

    The poles, which are at infinity, are moved to 89.9 degrees.

    Source:
        Snyder (1987), Map Projections: A Working Manual, USGS Professional Paper 1395, p. 41 (the sphere).

    Example:
        >>> square_of_lonlat(np.array([[0.0, 0.0], [-90.0, NORTH]])).round(6).clip(0).tolist()
        [[0.5, 0.5], [0.25, 0.0]]
    """
    lat = np.radians(np.clip(lonlat[..., 1].astype(np.float64), -89.9, 89.9))
    return np.stack([lonlat[..., 0] / 360.0 + 0.5, 0.5 - np.arcsinh(np.tan(lat)) / (2 * np.pi)], axis=-1)


def tile_axes(
    z: int, x: int, y: int, along: Float[np.ndarray, " n"]
) -> tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
    """Return the longitudes of columns and the latitudes of rows of a tile.

    Args:
        z: Zoom: the square has 2**z tiles on each side.
        x: Column of the tile from 0 at 180 degrees west.
        y: Row of the tile from 0 in the north.
        along: Where the columns and rows are, from 0 (west, north) to 1 (east, south) of the tile, shape (n,).

    Returns:
        Longitudes in [-180, 180], west to east, and latitudes, north to south, in degrees.

    Raises:
        ValueError: If there is no such tile.

    Example:
        >>> tile_axes(1, 1, 0, np.array([0.0, 0.5]))[0].tolist()
        [0.0, 90.0]
    """
    if not 0 <= z <= HIGHEST_ZOOM or not (0 <= x < 2**z and 0 <= y < 2**z):
        raise ValueError(f"There is no tile {z}/{x}/{y}: z is 0 to {HIGHEST_ZOOM}, x and y are 0 to 2**z - 1.")
    lon = (x + along) / 2**z * 360.0 - 180.0
    lat = np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * (y + along) / 2**z))))
    return lon, lat
