"""Baselines for encoders: labels alone, position alone, and networks without training."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from geotether.encoders.build import build_location_encoder
from geotether.encoders.positional.fourier import SphereFourierFeatures
from geotether.encoders.positional.harmonics import SphericalHarmonics
from geotether.geodesy.coordinates import unit_vectors
from geotether.loading import EncoderFunction

CHUNK_ROWS = 8192
# Names in score tables; reports list them below the encoders.
WITHOUT_ENCODER = ("mean", "nearest in space", "inverse distance")
POSITION_ONLY = ("xyz", "raw harmonics", "raw Fourier features", "raw encoding")
BASELINES = (*WITHOUT_ENCODER, *POSITION_ONLY, "untrained")
JOINED = "{} + Fourier features"
# Degree 19 as in the recipe `default`; scales from 2,000 to 250 km, between countries and valleys.
HARMONICS_DEGREE = 19
FOURIER_SIGMAS = (0.5, 1.0, 2.0, 4.0)
FOURIER_FREQUENCIES = 64


def xyz(lonlat: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 3"]:
    """Return the unit vectors of places."""
    return unit_vectors(lonlat)


class NoFeatures:
    """A baseline without features, for a probe that uses only the labelled places or only their labels.

    Args:
        probe: "neighbors_in_space", "inverse_distance" or "mean".
    """

    def __init__(self, probe: str) -> None:
        self.probes = (probe,)

    def __call__(self, lonlat: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 3"]:
        """Return unit vectors, which its probe does not use."""
        return unit_vectors(lonlat)


class Joined:
    """The columns of several encoders concatenated; probes standardise them, so that all have equal weight.

    Args:
        parts: Functions of lonlat (n, 2).
        probes: Names of the probes to judge with.
        labels: Label counts to judge at.
    """

    def __init__(self, parts: Sequence[EncoderFunction], probes: Sequence[str], labels: Sequence[int]) -> None:
        self.parts = parts
        self.probes = tuple(probes)
        self.labels = tuple(labels)

    def __call__(self, lonlat: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n d"]:
        """Return the columns of all parts, in float32."""
        return np.concatenate([np.asarray(part(lonlat), dtype=np.float32) for part in self.parts], axis=1)


def in_chunks(encode: Callable[[torch.Tensor], torch.Tensor]) -> EncoderFunction:
    """Convert a function of tensors to one of arrays that runs on a few thousand places at a time, in float32.

    Args:
        encode: Function of a float64 tensor (n, 2) of lonlat that returns (n, d).

    Returns:
        Function of a float64 array (n, 2) that returns a float32 array (n, d).
    """

    def encoder(lonlat: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n d"]:
        with torch.inference_mode():
            places = torch.from_numpy(np.ascontiguousarray(lonlat, dtype=np.float64))
            return torch.cat([encode(part).float() for part in places.split(CHUNK_ROWS)]).numpy()

    return encoder


def fourier_features(seed: int = 0) -> EncoderFunction:
    """Return random Fourier features of the unit sphere at four scales, 512 columns; nothing is learned.

    Args:
        seed: Seed of the frequencies.

    Returns:
        Function of lonlat (n, 2) that returns (n, 512).
    """
    scales = [
        SphereFourierFeatures(FOURIER_FREQUENCIES, sigma, seed=seed + i) for i, sigma in enumerate(FOURIER_SIGMAS)
    ]
    return in_chunks(lambda lonlat: torch.cat([scale(lonlat) for scale in scales], dim=1))


def place_baselines(seed: int = 0) -> dict[str, EncoderFunction]:
    """Return the baselines that need no architecture: labels alone, labelled places alone, position alone."""
    return {
        "mean": NoFeatures("mean"),
        "nearest in space": NoFeatures("neighbors_in_space"),
        "inverse distance": NoFeatures("inverse_distance"),
        "xyz": xyz,
        "raw harmonics": in_chunks(SphericalHarmonics(l_max=HARMONICS_DEGREE)),
        "raw Fourier features": fourier_features(seed),
    }


def baseline_encoders(location: Any, seed: int = 0) -> dict[str, EncoderFunction]:
    """Return the baselines of one location encoder.

    Args:
        location: A `LocationEncoder`; its positional encoding and its configuration are used, not its weights.
        seed: Seed of the untrained weights and random features.

    Returns:
        Those of `place_baselines`, "raw encoding" (the positional encoding without network) and "untrained" (same
        architecture, initial weights).
    """
    # The memory is made from data, so the untrained network has none.
    config = {key: value for key, value in location.config.items() if key != "memory"}
    untrained = build_location_encoder(config, seed=seed).eval()
    return place_baselines(seed) | {
        "raw encoding": in_chunks(location.positional),
        "untrained": in_chunks(untrained.handout),
    }


def joined_with_fourier(
    encoders: Mapping[str, EncoderFunction], probes: Sequence[str], labels: Sequence[int], seed: int = 0
) -> dict[str, EncoderFunction]:
    """Join each encoder with raw Fourier features, to measure what pre-training adds to position.

    Args:
        encoders: By name.
        probes: Linear probes to judge with.
        labels: Label counts to judge at; one is enough.
        seed: Seed of the frequencies, the same as for "raw Fourier features".

    Returns:
        "NAME + Fourier features" to function.
    """
    raw = fourier_features(seed)
    return {JOINED.format(name): Joined((encoder, raw), probes, labels) for name, encoder in encoders.items()}


def is_joined(name: str) -> bool:
    """Return whether a name in a table is of an encoder joined with Fourier features."""
    return name.endswith(JOINED.format(""))
