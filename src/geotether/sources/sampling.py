"""Places drawn uniformly by area, and kept where their values are known."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Float64, Shaped

from geotether.sources.polygons import find_polygons

# Looks places up: returns which to keep, and values by name, each of shape (n,).
Look = Callable[[np.ndarray], tuple[np.ndarray, dict[str, np.ndarray]]]
# Drawing stops at the larger of these; usually far fewer are needed, since land is 30 % of the Earth.
DRAWS_PER_ROW, FEWEST_DRAWS = 400, 200_000


def sample_sphere(
    n: int,
    seed: int | np.random.Generator = 0,
    south: float = -90.0,
    north: float = 90.0,
    west: float = -180.0,
    east: float = 180.0,
) -> Float64[np.ndarray, "n 2"]:
    """Draw places uniformly by area on the sphere, or between limits in degrees.

    Args:
        n: Number of places, 0 or more.
        seed: Seed, or a generator that continues. Fewer places are the first of more.
        south: Southern limit; -90 <= south < north <= 90, else ValueError.
        north: Northern limit.
        west: Western limit; west < east <= west + 360, else ValueError.
        east: Eastern limit.

    Returns:
        Longitude and latitude, shape (n, 2); longitudes lie between the limits.

    Example:
        >>> lonlat = sample_sphere(20_000, seed=0)
        >>> round(float((lonlat[:, 1] > 30).mean()), 2)  # a quarter of the sphere lies north of 30 degrees
        0.25
    """
    if not -90.0 <= south < north <= 90.0:
        raise ValueError(f"the limits must be -90 <= south < north <= 90; got south={south:g}, north={north:g}.")
    if not west < east <= west + 360.0:
        raise ValueError(f"the limits must be west < east <= west + 360; got west={west:g}, east={east:g}.")
    drawn = np.random.default_rng(seed).random((n, 2))
    low, high = np.sin(np.radians([south, north]))
    lat = np.degrees(np.arcsin(np.clip(low + (high - low) * drawn[:, 1], -1.0, 1.0)))
    return np.stack([(east - west) * drawn[:, 0] + west, lat], axis=1)


def sample_places(
    rows: int,
    seed: int,
    look: Look,
    south: float = -90.0,
    north: float = 90.0,
    west: float = -180.0,
    east: float = 180.0,
) -> tuple[Float64[np.ndarray, "n 2"], dict[str, np.ndarray]]:
    """Draw places uniformly by area, within limits as in `sample_sphere`, until `rows` (1 or more) can be kept.

    `look` returns for places of shape (m, 2) which to keep, and values by name, of shape (m,) each. Fewer rows with the
    same seed are the first of more. ValueError, with the number found, if too few are.
    """
    if rows < 1:
        raise ValueError(f"rows must be 1 or more, got {rows}.")
    rng = np.random.default_rng(seed)
    found: list[np.ndarray] = []
    values_of_parts: list[dict[str, np.ndarray]] = []
    kept, drawn, most = 0, 0, max(FEWEST_DRAWS, DRAWS_PER_ROW * rows)
    while kept < rows:
        if drawn >= most:
            raise ValueError(
                f"only {kept} of the {rows} places asked for were found among {drawn} drawn between latitudes "
                f"{south:g} and {north:g}; ask for fewer rows, narrow south and north, or check the files."
            )
        share = max(kept / drawn, 0.01) if drawn else 0.25
        count = min(int(1.2 * (rows - kept) / share) + 1000, most - drawn)
        lonlat = sample_sphere(count, rng, south, north, west, east)
        keep, values = look(lonlat)
        found.append(lonlat[keep])
        values_of_parts.append({name: value[keep] for name, value in values.items()})
        kept, drawn = kept + int(keep.sum()), drawn + count
    joined = {name: np.concatenate([part[name] for part in values_of_parts])[:rows] for name in values_of_parts[0]}
    return np.concatenate(found)[:rows], joined


def on_land(lonlat: Float[np.ndarray, "n 2"], land: str | Path | None) -> Bool[np.ndarray, " n"]:
    """Mark the places (degrees) in the polygons of a file; all of them without a file."""
    return np.ones(len(lonlat), dtype=bool) if land is None else find_polygons(land, lonlat).found


def without_rare(labels: Shaped[np.ndarray, " n"], fewest: int) -> Shaped[np.ndarray, " n"]:
    """Make the classes that occur in fewer than `fewest` rows missing; `labels` are objects, None where missing.

    Example:
        >>> without_rare(np.array(["a", "a", "b", None], dtype=object), fewest=2).tolist()
        ['a', 'a', None, None]
    """
    known = np.array([label is not None for label in labels], dtype=bool)
    _, which, counts = np.unique(labels[known], return_inverse=True, return_counts=True)
    kept = labels.copy()
    kept[np.flatnonzero(known)[counts[which] < fewest]] = None
    return kept
