"""Random Fourier features, of the unit sphere and of the Equal Earth map."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from geotether.geodesy.coordinates import check_lonlat, unit_vectors, wrap_longitude
from geotether.geodesy.crs import equal_earth

# GeoCLIP scales the map to about [-1, 1] by this factor; see its published code.
MAP_SCALE = 66.50336 / 180


class SphereFourierFeatures(nn.Module):
    """Cosine and sine of random projections of the unit vector.

    Inner products of codes approximate a Gaussian kernel of the chord between two places,
    exp(-2 (pi sigma chord)**2), so similarity decreases with distance in the same way everywhere on Earth.

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
        """Encode places (n, 2) in degrees to (n, out_dim): all cosines, then all sines, in float64."""
        check_lonlat(lonlat)
        turns = unit_vectors(lonlat.double()) @ self.frequencies.double().T
        angles = 2 * math.pi * turns
        return torch.cat((angles.cos(), angles.sin()), dim=-1).to(dtype)


class EqualEarthFourierFeatures(nn.Module):
    """Random Fourier features of the Equal Earth map at several bandwidths.

    The map is cut at the antimeridian: places a kilometre apart on either side of it get unrelated codes. It is the
    published baseline; prefer `SphereFourierFeatures`. GeoCLIP feeds each bandwidth to its own network and adds the
    results; the network `Capsules` does so.

    Args:
        sigmas: Standard deviations of the frequencies in cycles per unit of the scaled map
            (one unit is half the equator), each more than 0.
        num_features: Frequencies for each bandwidth, 1 or more; each gives a cosine and a sine.
        seed: Seed of the frequencies, which are saved with the weights.
        keep_edge: Whether longitude 180 stays on the eastern edge of the map, as in GeoCLIP's own code, so that this
            meridian has two codes; otherwise it is treated as -180.

    Attributes:
        out_dim: 2 * num_features * len(sigmas).

    Source:
        Vivanco Cepeda, Nayak & Shah (2023), NeurIPS, arXiv:2309.16020, section 3.2.
    """

    frequencies: Tensor

    def __init__(
        self,
        sigmas: Sequence[float | int] = (1, 16, 256),
        num_features: int = 256,
        seed: int = 0,
        keep_edge: bool = False,
    ) -> None:
        super().__init__()
        if num_features < 1 or not len(sigmas) or not all(sigma > 0 for sigma in sigmas):
            raise ValueError(
                f"num_features must be 1 or more and every sigma more than 0, got {num_features} and {tuple(sigmas)}."
            )
        self.sigmas = tuple(sigmas)
        self.num_features = num_features
        self.seed = seed
        self.keep_edge = keep_edge
        self.out_dim = 2 * num_features * len(self.sigmas)
        generator = torch.Generator().manual_seed(seed)
        bands = [s * torch.randn(num_features, 2, generator=generator, dtype=torch.float64) for s in self.sigmas]
        self.register_buffer("frequencies", torch.stack(bands))

    def forward(self, lonlat: Float[Tensor, "n 2"], dtype: torch.dtype = torch.float64) -> Float[Tensor, "n k"]:
        """Encode places (n, 2) in degrees to (n, out_dim): per sigma all cosines, then all sines, in float64."""
        check_lonlat(lonlat)
        lon, lat = lonlat.double().unbind(-1)
        lon = lon if self.keep_edge else wrap_longitude(lon)
        place = MAP_SCALE * equal_earth(torch.stack((lon, lat), dim=-1))
        parts = []
        for frequencies in self.frequencies.double().unbind(0):
            angles = 2 * math.pi * place @ frequencies.T
            parts += [angles.cos(), angles.sin()]
        return torch.cat(parts, dim=-1).to(dtype)
