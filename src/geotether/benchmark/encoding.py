"""What the benchmark asks of an encoder: a function from places to rows of numbers, checked once for every table."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float

from geotether.embed import EarthEmbedding

Encoder = Callable[[Float[np.ndarray, "n 2"]], Float[np.ndarray, "n d"]]


def encode(name: str, encoder: Any, lonlat: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n d"]:
    """Encode the places of a task and check the answer.

    Args:
        name: Name of the encoder, for messages.
        encoder: Function of lonlat (degrees, shape (n, 2)) that returns numbers of shape (n, d).
        lonlat: Places, shape (n, 2).

    Returns:
        Features, shape (n, d), float32 or float64.

    Raises:
        ValueError: If the answer has another shape or holds NaN or infinite values.
        TypeError: If the encoder is not callable or the answer is not numbers.
    """
    if not callable(encoder):
        raise TypeError(f"encoder {name!r} is a {type(encoder).__name__}; give a function of lonlat (n, 2) -> (n, d).")
    features = np.asarray(encoder(lonlat))
    if features.ndim != 2 or len(features) != len(lonlat) or features.shape[1] == 0:
        raise ValueError(f"encoder {name!r} returned shape {features.shape} for {len(lonlat)} places; wanted (n, d).")
    if features.dtype.kind not in "fiu":
        raise TypeError(f"encoder {name!r} returned {features.dtype}; wanted real numbers.")
    if features.dtype not in (np.float32, np.float64):
        features = features.astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if len(bad):
        lon, lat = lonlat[bad[0]]
        raise ValueError(
            f"encoder {name!r} returned NaN or infinity for {len(bad)} of {len(lonlat)} places, "
            f"first for row {bad[0]} at lon={lon:g}, lat={lat:g}."
        )
    return features


def encoder_of(model: EarthEmbedding) -> Encoder:
    """See a loaded model as the benchmark does: a function of lonlat (n, 2)."""
    return lambda lonlat: model.encode(lon=lonlat[:, 0], lat=lonlat[:, 1])
