"""Pixels and cells drawn evenly by area from a region."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float64, Integer

from geotether.geodesy.coordinates import wrap_longitude
from geotether.regions.region import Region

_AT_ONCE = 65_536
_MOST_DRAWS = 100


def draw_places(
    region: Region,
    holders: Callable[[Float64[np.ndarray, "n 2"]], Integer[np.ndarray, "m"]],
    centers: Callable[[Integer[np.ndarray, "m"]], Float64[np.ndarray, "m 2"]],
    what: str,
    count: int,
    seed: int = 0,
    few: Integer[np.ndarray, "k"] | None = None,
) -> Float64[np.ndarray, "n 2"]:
    """Draw pixels or cells whose centres are within a region.

    Args:
        region: The region.
        holders: Returns the numbers of the pixels or cells that contain places in degrees.
        centers: Returns their centres.
        what: What is drawn, for the message.
        count: At most so many are returned; fewer if there are fewer.
        seed: Seed of the draw.
        few: All of them, if there are so few that each can be looked at.

    Returns:
        Longitude and latitude of different centres, in the order of their numbers, shape (n, 2).

    Raises:
        ValueError: If none has its centre within the region.
    """
    rng = np.random.default_rng(seed)

    def within(numbers: np.ndarray) -> np.ndarray:
        numbers = np.unique(numbers)
        return numbers[region.contains(centers(numbers))]

    found = within(few if few is not None else holders(_random_places(region, rng, count)))
    for _ in range(_MOST_DRAWS if few is None else 0):
        if len(found) >= count:
            break
        before, found = len(found), np.union1d(found, within(holders(_random_places(region, rng, count))))
        if before and len(found) == before:
            break
    if not len(found):
        raise ValueError(f"No {what} has its centre in {region.name}; choose a finer resolution.")
    if len(found) > count:
        found = np.sort(rng.choice(found, count, replace=False))
    return centers(found)


def _random_places(region: Region, rng: np.random.Generator, count: int) -> Float64[np.ndarray, "n 2"]:
    """Draw up to `count` places in a region: in the boxes around its parts, by their area, less those outside it."""
    import shapely

    parts = np.array([region.bounds] if region.shape is None else shapely.bounds(shapely.get_parts(region.shape)))
    west, south, east, north = parts.T
    low, high = np.sin(np.radians(south)), np.sin(np.radians(north))
    area = (east - west) * (high - low)
    box = rng.choice(len(parts), size=_AT_ONCE, p=area / area.sum())
    lon = wrap_longitude(rng.uniform(west[box], east[box]))
    places = np.stack([lon, np.degrees(np.arcsin(rng.uniform(low[box], high[box])))], axis=1)
    return places[region.contains(places)][:count]
