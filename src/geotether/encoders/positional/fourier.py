"""Random Fourier features of the unit sphere: no seam, no poles."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from geotether.geodesy.coordinates import check_lonlat, unit_vectors


class SphereFourierFeatures(nn.Module):
    """Cosine and sine of random projections of the unit vector.

    Inner products of codes approximate a Gaussian kernel of the chord between two places,
    exp(-2 (pi sigma chord)**2), so similarity falls off alike everywhere on Earth.

    Args:
        num_features: Number of random frequencies, 1 or more; each gives a cosine and a sine.
        sigma: Standard deviation of the frequencies in cycles per Earth radius, more than 0.
            The kernel's length scale is 6371 km / (2 pi sigma): sigma 1 reaches 1014 km.
        seed: Seed of the frequencies, which are saved with the weights.

    Attributes:
        out_dim: 2 * num_features.

    Source:
        Rahimi & Recht (2007), NeurIPS, section 3; the form cos, sin of 2 pi B v with Gaussian B is
        Tancik et al. (2020), NeurIPS, arXiv:2006.10739, section 6.1.

    Example:
        >>> SphereFourierFeatures(num_features=64, sigma=2.0, seed=0)(torch.zeros(1, 2).double()).shape
        torch.Size([1, 128])
    """

    frequencies: Tensor

    def __init__(self, num_features: int = 256, sigma: float | int = 2.0, seed: int = 0) -> None:
        super().__init__()
        if num_features < 1 or not sigma > 0:
            raise ValueError(f"num_features must be 1 or more and sigma more than 0, got {num_features} and {sigma}.")
        self.num_features = num_features
        self.sigma = sigma
        self.seed = seed
        self.out_dim = 2 * num_features
        generator = torch.Generator().manual_seed(seed)
        frequencies = sigma * torch.randn(num_features, 3, generator=generator, dtype=torch.float64)
        self.register_buffer("frequencies", frequencies)

    def forward(self, lonlat: Float[Tensor, "n 2"], dtype: torch.dtype = torch.float64) -> Float[Tensor, "n k"]:
        """Encode places.

        Args:
            lonlat: Longitude and latitude in degrees, shape (n, 2).
            dtype: What to return; the work is done in float64.

        Returns:
            Shape (n, out_dim): all cosines, then all sines.
        """
        check_lonlat(lonlat)
        turns = unit_vectors(lonlat.double()) @ self.frequencies.double().T
        angles = 2 * math.pi * turns
        return torch.cat((angles.cos(), angles.sin()), dim=-1).to(dtype)
