"""Baselines for encoders: labels alone, position alone, and networks without training."""

import copy
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
CONTEXT_ALONE = "context alone"
BASELINES = (*WITHOUT_ENCODER, *POSITION_ONLY, CONTEXT_ALONE, "untrained")
JOINED = "{} + Fourier features"
# Degree 19 as in the recipe `default`; scales from 2,000 to 250 km, between countries and valleys.
HARMONICS_DEGREE = 19
FOURIER_SIGMAS = (0.5, 1.0, 2.0, 4.0)
FOURIER_FREQUENCIES = 64


xyz = unit_vectors


def judged_only(encode: EncoderFunction, probes: Sequence[str], labels: Sequence[int] | None = None) -> EncoderFunction:
    """Return an encoder that is judged with these probes, and at these label counts, only."""

    def encoder(lonlat: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n d"]:
        return encode(lonlat)

    encoder.probes = tuple(probes)  # type: ignore[attr-defined]
    if labels is not None:
        encoder.labels = tuple(labels)  # type: ignore[attr-defined]
    return encoder


def in_chunks(encode: Callable[[torch.Tensor], torch.Tensor]) -> EncoderFunction:
    """Convert a function of tensors to one of arrays that runs on a few thousand places at a time, in float32."""

    def encoder(lonlat: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n d"]:
        with torch.inference_mode():
            places = torch.from_numpy(np.ascontiguousarray(lonlat, dtype=np.float64))
            return torch.cat([encode(part).float() for part in places.split(CHUNK_ROWS)]).numpy()

    return encoder


def fourier_features(seed: int = 0) -> EncoderFunction:
    """Return random Fourier features of the unit sphere at four scales, 512 columns; nothing is learned."""
    scales = [
        SphereFourierFeatures(FOURIER_FREQUENCIES, sigma, seed=seed + i) for i, sigma in enumerate(FOURIER_SIGMAS)
    ]
    return in_chunks(lambda lonlat: torch.cat([scale(lonlat) for scale in scales], dim=1))


def place_baselines(seed: int = 0) -> dict[str, EncoderFunction]:
    """Return the baselines that need no architecture: labels alone, labelled places alone, position alone."""
    return {
        # Probes without features: unit vectors are not used.
        "mean": judged_only(xyz, ("mean",)),
        "nearest in space": judged_only(xyz, ("neighbors_in_space",)),
        "inverse distance": judged_only(xyz, ("inverse_distance",)),
        "xyz": xyz,
        "raw harmonics": in_chunks(SphericalHarmonics(l_max=HARMONICS_DEGREE)),
        "raw Fourier features": fourier_features(seed),
    }


def baseline_encoders(location: Any, seed: int = 0) -> dict[str, EncoderFunction]:
    """Return the baselines of one location encoder.

    Args:
        location: A `LocationEncoder`; its positional encoding, context and configuration are used, not its weights.
        seed: Seed of the untrained weights and random features.

    Returns:
        Those of `place_baselines`, "raw encoding" (the positional encoding without network), "context alone" (if there
        is a context) and "untrained" (same architecture and context, initial weights, all numbers of a projected
        readout, which is fitted without responses).
    """
    config = {key: value for key, value in location.config.items() if key != "context"}
    untrained = build_location_encoder(config, seed, copy.deepcopy(location.context)).eval()
    context = {} if location.context is None else {CONTEXT_ALONE: in_chunks(location.context)}
    return place_baselines(seed) | {
        "raw encoding": in_chunks(location.positional),
        **context,
        "untrained": in_chunks(lambda lonlat: untrained.handout(lonlat, "full")),
    }


def joined_with_fourier(
    encoders: Mapping[str, EncoderFunction], probes: Sequence[str], labels: Sequence[int], seed: int = 0
) -> dict[str, EncoderFunction]:
    """Join each encoder with raw Fourier features, to measure what pre-training adds to position.

    Probes standardise columns, so both parts have equal weight. The joined encoders are judged with these (linear)
    probes at these label counts only; one count is enough.
    """
    raw = fourier_features(seed)

    def joined(encoder: EncoderFunction) -> EncoderFunction:
        return lambda lonlat: np.concatenate(
            [np.asarray(part(lonlat), dtype=np.float32) for part in (encoder, raw)], axis=1
        )

    return {JOINED.format(name): judged_only(joined(encoder), probes, labels) for name, encoder in encoders.items()}


def is_joined(name: str) -> bool:
    """Return whether a name in a table is of an encoder joined with Fourier features."""
    return name.endswith(JOINED.format(""))
