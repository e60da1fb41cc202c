"""Continuity of an embedding across the antimeridian and at the poles."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from geotether.diagnostics.places import even_places
from geotether.geodesy.distance import EARTH_RADIUS_KM
from geotether.loading import EncoderFunction, encode_places

SEAM_LATS = tuple(float(lat) for lat in range(-80, 90, 10))
# On a smooth encoder, equal steps cause similar changes; a jump is larger by orders of magnitude.
JUMP = 10.0
POLE_SPREAD = 0.01


@dataclass(frozen=True, eq=False)
class Continuity:
    """Changes across the antimeridian and the poles, relative to equal steps (`step_km` on the ground) elsewhere.

    Attributes:
        lats: Latitudes of the steps across the antimeridian, shape (k,).
        seam: Change of the embedding over a step across the antimeridian, divided by the median change over equal
            steps at other longitudes of that latitude, shape (k,). About 1 without a seam.
        pole_spread: South and north: greatest distance between embeddings of the pole itself, written with different
            longitudes, divided by the mean distance between embeddings of random places. 0 if the pole is one place.
        pole_step: South and north: median change over steps across the pole divided by the median change over equal
            steps along meridians 1 degree beside it. About 1 without a tear.
    """

    step_km: float
    lats: Float64[np.ndarray, " k"]
    seam: Float64[np.ndarray, " k"]
    pole_spread: tuple[float, float]
    pole_step: tuple[float, float]

    @property
    def verdict(self) -> str:
        """The result as a sentence."""
        torn = int((self.seam > JUMP).sum())
        said = ["No seam at the antimeridian"]
        if torn:
            said = [
                f"Seam at the antimeridian: at {torn} of {len(self.seam)} latitudes, a step across it changes the "
                f"embedding more than {JUMP:g} times as much as elsewhere (median ratio {np.median(self.seam):.3g})"
            ]
        for name, spread, step in zip(("south", "north"), self.pole_spread, self.pole_step, strict=True):
            if spread > POLE_SPREAD:
                said.append(f"the {name} pole has different embeddings at different longitudes ({spread:.0%} of the "
                            "distance between random places)")  # fmt: skip
            elif step > JUMP:
                said.append(f"a step across the {name} pole is a jump ({step:.3g} times a step beside it)")
        if len(said) == 1:
            said.append("both poles are one place")
        return "; ".join(said) + "."

    @property
    def seamless(self) -> bool:
        """Whether there is no jump at the antimeridian or at a pole."""
        poles = max(self.pole_spread) <= POLE_SPREAD and max(self.pole_step) <= JUMP
        return bool((self.seam <= JUMP).all()) and poles


def continuity(
    encoder: EncoderFunction,
    lats: Sequence[float] = SEAM_LATS,
    step_km: float | int = 1.0,
    longitudes: int = 24,
    seed: int = 0,
) -> Continuity:
    """Compare changes across the antimeridian and the poles with changes elsewhere.

    A smooth encoder changes over a step in proportion to its length, wherever the step lies; an encoder with a seam
    changes by a jump that does not shrink with the step.

    Args:
        encoder: Function of lonlat.
        lats: Latitudes of the steps across the antimeridian, between -89 and 89.
        step_km: Length of a step: short, so that jumps stand out, but long enough for float32.
        longitudes: Number of longitudes for comparison.
        seed: Seed of the random places.

    Raises:
        ValueError: If an option is out of range or the encoder does not return numbers (n, d).
    """
    if not 0 < step_km <= 100 or longitudes < 3:
        raise ValueError(f"step_km must be in (0, 100] and longitudes 3 or more, got {step_km} and {longitudes}.")
    where = np.array(lats, dtype=np.float64)
    if not len(where) or np.abs(where).max() > 89:
        raise ValueError(f"lats must lie between -89 and 89, got {tuple(lats)}.")
    # Midpoints of the comparison steps: evenly spaced, never on the antimeridian or on Greenwich.
    middles = -180.0 + (np.arange(longitudes) + 0.5) * 360.0 / longitudes
    seam = np.empty(len(where))
    for row, lat in enumerate(where):
        half = np.degrees(0.5 * step_km / EARTH_RADIUS_KM / np.cos(np.radians(lat)))
        west = np.append(middles - half, 180.0 - half)
        east = np.append(middles + half, -180.0 + half)
        change = changes(encoder, as_pairs(west, lat), as_pairs(east, lat))
        seam[row] = ratio(change[-1], float(np.median(change[:-1])))
    random = encode_places(encoder, even_places(512, seed)).astype(np.float64)
    typical = float(np.linalg.norm(random[:256] - random[256:], axis=1).mean())
    spreads, steps = [], []
    half = np.degrees(0.5 * step_km / EARTH_RADIUS_KM)
    for pole in (-90.0, 90.0):
        same = encode_places(encoder, as_pairs(middles, pole)).astype(np.float64)
        apart = np.linalg.norm(same[:, None] - same[None], axis=2).max()
        spreads.append(ratio(float(apart), typical))
        beside, inward = np.full(longitudes, pole - np.sign(pole)), np.sign(pole) * half
        across = changes(encoder, as_pairs(middles, pole - inward), as_pairs(opposite(middles), pole - inward))
        along = changes(encoder, as_pairs(middles, beside - inward), as_pairs(middles, beside + inward))
        steps.append(ratio(float(np.median(across)), float(np.median(along))))
    return Continuity(float(step_km), where, seam, (spreads[0], spreads[1]), (steps[0], steps[1]))


def changes(
    encoder: EncoderFunction, left: Float[np.ndarray, "n 2"], right: Float[np.ndarray, "n 2"]
) -> Float64[np.ndarray, " n"]:
    """Return the Euclidean distance between the embeddings of paired places."""
    both = encode_places(encoder, np.concatenate([left, right])).astype(np.float64)
    return np.linalg.norm(both[: len(left)] - both[len(left) :], axis=1)


def as_pairs(lon: Float[np.ndarray, " n"], lat: Float[np.ndarray, " _"] | float) -> Float64[np.ndarray, "n 2"]:
    """Stack longitudes with one latitude, or with one latitude each."""
    return np.stack([lon, np.broadcast_to(lat, lon.shape)], axis=1).astype(np.float64)


def opposite(lon: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """Return the longitudes on the other side of the Earth's axis, in [-180, 180)."""
    return np.where(lon < 0, lon + 180.0, lon - 180.0)


def ratio(change: float, usual: float) -> float:
    """Return the ratio of two changes; 0/0 is 0, x/0 is infinite."""
    if usual > 0:
        return change / usual
    return float("inf") if change > 0 else 0.0
