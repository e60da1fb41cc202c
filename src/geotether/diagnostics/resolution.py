"""Effective resolution: the distance at which the similarity of embeddings falls to one half."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from geotether.diagnostics.places import move
from geotether.geodesy.coordinates import check_lonlat
from geotether.loading import EncoderFunction, encode_places

RINGS_KM: tuple[float, ...] = (
    *(10.0, 25.0, 50.0, 75.0, 100.0, 150.0, 200.0, 300.0, 400.0, 500.0, 700.0),
    *(1000.0, 1400.0, 2000.0, 2800.0, 4000.0, 6000.0, 10000.0),
)
NUMBERS_AT_ONCE = 2**23


@dataclass(frozen=True, eq=False)
class Resolution:
    """The distance over which an encoder tells places apart.

    Attributes:
        lonlat: Places, shape (n, 2).
        km: Distance from each place at which the mean cosine similarity falls to `level`, shape (n,); infinite if
            it does not within the rings.
        rings_km, similarity: Radii of the rings, and mean similarity of all places to them, shape (r,).
        centered: Whether the mean embedding was subtracted first.
    """

    lonlat: Float64[np.ndarray, "n 2"]
    km: Float64[np.ndarray, " n"]
    rings_km: Float64[np.ndarray, " r"]
    similarity: Float64[np.ndarray, " r"]
    level: float
    centered: bool

    @property
    def median_km(self) -> float:
        """Median over the places; infinite if more than half never fall to the level."""
        return self.quantile_km(0.5)

    @property
    def share_beyond(self) -> float:
        """Share of the places whose similarity never falls to the level within the rings."""
        return float(np.isinf(self.km).mean())

    def quantile_km(self, share: float) -> float:
        """Return a quantile over the places; places beyond the rings count as infinitely far."""
        return float(np.quantile(self.km, share, method="higher"))


def effective_resolution(
    encoder: EncoderFunction,
    lonlat: Float[np.ndarray, "n 2"],
    rings_km: Sequence[float] = RINGS_KM,
    bearings: int = 8,
    level: float = 0.5,
    centered: bool = False,
) -> Resolution:
    """Measure the distance at which cosine similarity falls to one half, for each place.

    Args:
        encoder: Function of lonlat.
        lonlat: Places, degrees, shape (n, 2).
        rings_km: Increasing great-circle distances, up to 20,000 km.
        bearings: Directions, spread evenly around each place; the similarities of one ring are averaged.
        level: The similarity at which the distance is read, below 1.
        centered: Subtract the mean embedding of the places first. Raw embeddings may share a large common part, so
            that even antipodes look alike; centred ones compare what differs between places.

    Returns:
        The resolution; between rings it is interpolated linearly, from 1 at a distance of 0.

    Raises:
        ValueError: If an option is out of range or the encoder does not return numbers (n, d).

    Source:
        The cosine-over-distance curves by which SatCLIP's L10 and L40 models are compared, read at one half.

    Example:
        >>> from geotether.geodesy.coordinates import unit_vectors
        >>> found = effective_resolution(unit_vectors, np.array([[5.66, 51.97], [179.9, 89.0]]))
        >>> round(found.median_km / 6371.0088 * 3 / np.pi, 1)  # the cosine is one half at 60 degrees
        1.0
    """
    return resolutions(encoder, lonlat, rings_km, bearings, level, (centered,))[0]


def resolutions(
    encoder: EncoderFunction,
    lonlat: Float[np.ndarray, "n 2"],
    rings_km: Sequence[float],
    bearings: int,
    level: float,
    centered: Sequence[bool],
) -> list[Resolution]:
    """Measure raw or centred resolutions from the same embeddings; arguments as for `effective_resolution`."""
    check_lonlat(lonlat)
    rings = np.array(rings_km, dtype=np.float64)
    if not len(rings) or rings[0] <= 0 or (np.diff(rings) <= 0).any() or rings[-1] > 20_000:
        raise ValueError(f"rings_km must increase from above 0 to at most 20000 km, got {tuple(rings_km)}.")
    if bearings < 1 or not level < 1:
        raise ValueError(f"bearings must be 1 or more and level below 1, got {bearings} and {level}.")
    here = encode_places(encoder, lonlat).astype(np.float64)
    origins = [here.mean(axis=0) if center else np.zeros(here.shape[1]) for center in centered]
    cosine = np.empty((len(centered), len(lonlat), len(rings)))
    around = np.tile(np.arange(bearings) * (360.0 / bearings), len(rings))
    step = max(1, NUMBERS_AT_ONCE // (len(around) * here.shape[1]))
    for start in range(0, len(lonlat), step):
        places = lonlat[start : start + step]
        starts = np.repeat(places, len(around), axis=0)
        ends = move(starts, np.tile(around, len(places)), np.tile(np.repeat(rings, bearings), len(places)))
        there = encode_places(encoder, ends)
        for reading, origin in enumerate(origins):
            similarity = cosines(np.repeat(here[start : start + step] - origin, len(around), axis=0), there - origin)
            cosine[reading, start : start + step] = similarity.reshape(len(places), len(rings), bearings).mean(axis=2)
    return [
        Resolution(lonlat.astype(np.float64), crossing_km(one, rings, level), rings, one.mean(axis=0), level, center)
        for one, center in zip(cosine, centered, strict=True)
    ]


def cosines(left: Float[np.ndarray, "n d"], right: Float[np.ndarray, "n d"]) -> Float64[np.ndarray, " n"]:
    """Return the cosine of the angle between rows; 1 for equal rows even if they are zero."""
    product = np.einsum("nd,nd->n", left, right, dtype=np.float64)
    squares = np.einsum("nd,nd->n", left, left) * np.einsum("nd,nd->n", right, right)
    out = np.divide(product, np.sqrt(squares), out=np.zeros(len(left)), where=squares > 0)
    out[(squares == 0) & (left == right).all(axis=1)] = 1.0
    return out


def crossing_km(
    cosine: Float64[np.ndarray, "n r"], rings: Float64[np.ndarray, " r"], level: float
) -> Float64[np.ndarray, " n"]:
    """Return the first distance at which each curve reaches the level; infinite if it does not."""
    reached = cosine <= level
    first = reached.argmax(axis=1)
    rows = np.arange(len(cosine))
    before = np.where(first > 0, cosine[rows, first - 1], 1.0)
    inner = np.where(first > 0, rings[first - 1], 0.0)
    drop = before - cosine[rows, first]
    share = np.divide(before - level, drop, out=np.zeros(len(cosine)), where=drop > 0)
    return np.where(reached.any(axis=1), inner + share * (rings[first] - inner), np.inf)
