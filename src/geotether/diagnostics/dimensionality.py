"""Intrinsic dimension of an encoder over the Earth: overall, and per place for a map."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from geotether.loading import EncoderFunction, encode_places
from geotether.probes.dimension import (
    Dimension,
    effective_rank,
    local_dimension,
    mle_dimension,
    participation_ratio,
    two_nn,
)

LOCAL_NEIGHBORS = 100


@dataclass(frozen=True, eq=False)
class Dimensionality:
    """Dimensions of the embeddings of places.

    Attributes:
        dim: Length of an embedding.
        two_nn, mle: Intrinsic dimension by TwoNN, and by maximum likelihood over 20 neighbours.
        effective_rank, participation_ratio: Of the centred embeddings.
        lonlat: Places, shape (n, 2).
        local: Intrinsic dimension around each place, shape (n,); NaN where undefined.
        local_neighbors: Number of neighbours of the local estimates.
    """

    dim: int
    two_nn: Dimension
    mle: Dimension
    effective_rank: float
    participation_ratio: float
    lonlat: Float[np.ndarray, "n 2"]
    local: Float64[np.ndarray, " n"]
    local_neighbors: int

    @property
    def local_quartiles(self) -> tuple[float, float, float]:
        """Lower quartile, median and upper quartile of the local dimension; NaN if undefined everywhere."""
        known = self.local[np.isfinite(self.local)]
        if not len(known):
            return (float("nan"),) * 3
        low, middle, high = np.quantile(known, [0.25, 0.5, 0.75])
        return float(low), float(middle), float(high)


def dimensionality(
    encoder: EncoderFunction, lonlat: Float[np.ndarray, "n 2"], local_neighbors: int = LOCAL_NEIGHBORS
) -> Dimensionality:
    """Estimate the intrinsic dimension of the raw embeddings of places.

    Args:
        encoder: Function of lonlat.
        lonlat: Places, degrees, shape (n, 2), n at least 3, drawn at random (on a regular grid the nearest two
            neighbours are equally far, which looks like a high dimension); time grows with n squared.
        local_neighbors: Neighbours for the local estimates, 2 or more.

    Raises:
        ValueError: If there are too few places, or the encoder does not return numbers (n, d).

    Source:
        "Measuring the intrinsic dimension of earth representations" (2025), arXiv:2511.02101.
    """
    features = encode_places(encoder, lonlat)
    return Dimensionality(
        dim=features.shape[1],
        two_nn=two_nn(features),
        mle=mle_dimension(features),
        effective_rank=effective_rank(features),
        participation_ratio=participation_ratio(features),
        lonlat=lonlat,
        local=local_dimension(features, local_neighbors),
        local_neighbors=local_neighbors,
    )
