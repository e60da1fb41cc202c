"""What any pre-trained encoder has to beat, from the same places and labels: position alone, or no training."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from geotether.benchmark.encoding import Encoder
from geotether.encoders.build import build_location_encoder
from geotether.geodesy.coordinates import unit_vectors

CHUNK_ROWS = 8192


def xyz(lonlat: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 3"]:
    """The place itself: its unit vector."""
    return unit_vectors(lonlat)


class NearestInSpace:
    """No features at all: judged by the labelled rows nearest on the Earth."""

    probes = ("neighbors_in_space",)

    def __call__(self, lonlat: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 3"]:
        """Return unit vectors, which its probe does not read."""
        return unit_vectors(lonlat)


def in_chunks(encode: Callable[[torch.Tensor], torch.Tensor]) -> Encoder:
    """Turn a function of tensors into one of arrays, a few thousand places at a time, in float32.

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


def baseline_encoders(location: Any, seed: int = 0) -> dict[str, Encoder]:
    """The baselines of one location encoder.

    Args:
        location: A `LocationEncoder`; its positional encoding and its configuration are used, not its weights.
        seed: Seed of the untrained weights.

    Returns:
        "xyz" (unit vector), "raw encoding" (the positional encoding without network), "nearest in space" (nearest
        labelled places), "untrained" (same architecture, initial weights).
    """
    untrained = build_location_encoder(location.config, seed=seed).eval()
    return {
        "xyz": xyz,
        "raw encoding": in_chunks(location.positional),
        "nearest in space": NearestInSpace(),
        "untrained": in_chunks(untrained.handout),
    }
