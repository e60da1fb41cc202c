"""Equal-area blocks, the unit of spatial splits."""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64, Integer

from geotether.geodesy.coordinates import check_lonlat, unit_vectors, wrap_longitude
from geotether.geodesy.distance import EARTH_CIRCUMFERENCE_KM, EARTH_RADIUS_KM, chord_of_km, sphere_tree

MIN_BLOCK_KM = 0.1
MAX_BLOCK_KM = EARTH_CIRCUMFERENCE_KM / 2


class Bands(NamedTuple):
    """Rings of latitude, south to north, each cut into equally many degrees.

    Attributes:
        edges: Sine of latitude at the b + 1 borders of the bands, from -1 to 1.
        cells: Blocks in each band, shape (b,).
        first: Number of the first block of each band, shape (b,).
    """

    edges: Float64[np.ndarray, "b+1"]
    cells: Int64[np.ndarray, "b"]
    first: Int64[np.ndarray, "b"]


def block_id(lonlat: Float[np.ndarray, "n 2"], block_km: float | int) -> Int64[np.ndarray, "n"]:
    """Return the number of the block that contains each place.

    Every block of one `block_km` has exactly the same area. Blocks are close to square
    up to about 70 degrees of latitude; around each pole they are three or so wedges.

    Args:
        lonlat: Longitude and latitude in degrees, shape (n, 2).
        block_km: Side of a block in kilometres, 0.1 to about 20 015.

    Returns:
        Shape (n,), from 0 at the south pole to `block_count(block_km) - 1` at the north pole.

    Raises:
        ValueError: If a row is not a coordinate or `block_km` is out of range.

    Source:
        The collars of Leopardi (2006), ETNA 25:309, without its polar caps.

    Example:
        >>> block_id(np.array([[5.66, 51.97], [5.7, 51.9], [151.21, -33.87]]), block_km=1000)
        array([447, 447, 135])
    """
    check_lonlat(lonlat)
    bands = latitude_bands(block_km)
    z = np.sin(np.radians(lonlat[:, 1].astype(np.float64)))
    band = np.searchsorted(bands.edges[1:-1], z, side="right")
    share = (wrap_longitude(lonlat[:, 0].astype(np.float64)) + 180) / 360
    column = np.minimum((share * bands.cells[band]).astype(np.int64), bands.cells[band] - 1)
    return bands.first[band] + column


def block_count(block_km: float | int) -> int:
    """Count the blocks that cover the Earth.

    Args:
        block_km: Side of a block in kilometres.

    Returns:
        About the Earth's area divided by `block_km` squared.

    Example:
        >>> block_count(1000)
        508
    """
    return int(latitude_bands(block_km).cells.sum())


def block_center(ids: Integer[np.ndarray, "n"], block_km: float | int) -> Float64[np.ndarray, "n 2"]:
    """Return the centres of blocks.

    Args:
        ids: Numbers from `block_id`, shape (n,).
        block_km: The side used for numbering.

    Returns:
        Longitude and latitude in degrees, shape (n, 2); half the block's area lies north of it.

    Raises:
        ValueError: If a number does not belong to blocks of this side.

    Example:
        >>> block_center(np.array([447]), block_km=1000).round(2)
        array([[ 6.92, 49.45]])
    """
    bands = latitude_bands(block_km)
    count = int(bands.cells.sum())
    if len(ids) and (ids.min() < 0 or ids.max() >= count):
        worst = int(ids.min()) if ids.min() < 0 else int(ids.max())
        raise ValueError(f"Blocks of {block_km:g} km are numbered 0 to {count - 1}, got {worst}: was block_km another?")
    band = np.searchsorted(bands.first, ids, side="right") - 1
    lon = -180 + 360 * (ids - bands.first[band] + 0.5) / bands.cells[band]
    lat = np.degrees(np.arcsin((bands.edges[band] + bands.edges[band + 1]) / 2))
    return np.stack((lon, lat), axis=1)


def within_km_of(
    lonlat: Float[np.ndarray, "n 2"], others: Float[np.ndarray, "m 2"], km: float | int
) -> Bool[np.ndarray, "n"]:
    """Mark the places within some distance of any of the others.

    Args:
        lonlat: Places to mark, degrees, shape (n, 2).
        others: The other places, degrees, shape (m, 2).
        km: Distance in kilometres, 0 or more; the limit itself counts as within.

    Returns:
        Boolean, shape (n,); all False where `others` is empty.

    Raises:
        ValueError: If `km` is negative or not a number.

    Example:
        >>> within_km_of(np.array([[0.0, 0.0], [9.0, 0.0]]), np.array([[0.5, 0.0]]), km=100)
        array([ True, False])
    """
    chord = chord_of_km(km)
    if len(others) == 0 or len(lonlat) == 0:
        return np.zeros(len(lonlat), dtype=bool)
    # The tree excludes the bound itself, hence the small margin.
    bound = chord * (1 + 1e-12) + 1e-15
    found, _ = sphere_tree(others).query(unit_vectors(lonlat.astype(np.float64)), distance_upper_bound=bound)
    return np.isfinite(found)


@lru_cache(maxsize=16)
def latitude_bands(block_km: float | int) -> Bands:
    """Compute the bands of latitude for blocks of one side.

    Bands start out equally high; each takes the whole number of blocks nearest to its
    area; then the borders move a little, so that all blocks have the same area.

    Args:
        block_km: Side of a block in kilometres.

    Returns:
        The bands, south to north.

    Raises:
        ValueError: If `block_km` is out of range.
    """
    if not MIN_BLOCK_KM <= block_km <= MAX_BLOCK_KM:
        raise ValueError(f"block_km must lie in [{MIN_BLOCK_KM}, {MAX_BLOCK_KM:.0f}] kilometres, got {block_km}.")
    count = max(1, round(MAX_BLOCK_KM / block_km))
    latitude = np.linspace(-math.pi / 2, math.pi / 2, count + 1)
    # Half the bands, mirrored: rounding must not make the hemispheres differ.
    area = 2 * math.pi * EARTH_RADIUS_KM**2 * np.diff(np.sin(latitude))
    cells = np.maximum(1, np.rint((area + area[::-1]) / 2 / block_km**2)).astype(np.int64)
    total = np.concatenate(([0], np.cumsum(cells)))
    return Bands(edges=2 * total / total[-1] - 1, cells=cells, first=total[:-1])
