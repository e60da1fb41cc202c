"""Spherical harmonics with the signs and scales that SatCLIP's published weights expect."""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from geotether.encoders.positional.harmonics import MAX_DEGREE, SphericalHarmonics
from geotether.encoders.positional.separable import Factors

CALCULATIONS = ("analytic", "closed-form")


class SatCLIPHarmonics(nn.Module):
    """The spherical harmonics of SatCLIP, exact at every latitude.

    SatCLIP turns longitudes by 180 degrees and measures the colatitude from the south pole, so every function
    of odd degree l has the opposite sign. Its "analytic" functions have no Condon-Shortley phase, and those of order
    0 are pi times the orthonormal ones, because their factor is written sqrt((2l + 1) / 4 * pi). Its
    "closed-form" functions are orthonormal and carry the phase (-1)**m.

    Args:
        legendre_polys: SatCLIP's L, the number of degrees, 1 to 200; the released encoders have 10 and 40.
        harmonics_calculation: "analytic" (the released encoders) or "closed-form".

    Attributes:
        out_dim: legendre_polys**2, ordered (l, m) = (0, 0), (1, -1), (1, 0), (1, 1), (2, -2), ...

    Note:
        The published code adds powers of the cosine, which cancel: in float64 at L=40 its functions are off
        by 4e-4 at 60 degrees of latitude and by 2e-2 near the poles. These are accurate to 1e-11 everywhere.

    Source:
        Klemmer et al. (2025), AAAI, arXiv:2311.17179; the scales and signs are those of its published code.

    Example:
        >>> SatCLIPHarmonics(legendre_polys=2)(torch.tensor([[60.0, 45.0]])).round(decimals=4)
        tensor([[ 0.8862, -0.2992, -1.0854, -0.1727]], dtype=torch.float64)
    """

    factors: Tensor

    def __init__(self, legendre_polys: int, harmonics_calculation: str = "analytic") -> None:
        super().__init__()
        whole = isinstance(legendre_polys, int) and not isinstance(legendre_polys, bool)
        if not whole or not 1 <= legendre_polys <= MAX_DEGREE + 1:
            raise ValueError(f"legendre_polys must be an integer from 1 to {MAX_DEGREE + 1}, got {legendre_polys!r}.")
        if harmonics_calculation not in CALCULATIONS:
            raise ValueError(
                f"Unknown harmonics_calculation {harmonics_calculation!r}; choose {' or '.join(CALCULATIONS)}."
            )
        self.legendre_polys = legendre_polys
        self.harmonics_calculation = harmonics_calculation
        self.out_dim = legendre_polys**2
        self.harmonics = SphericalHarmonics(legendre_polys - 1)
        degree = np.concatenate([np.full(2 * l + 1, l) for l in range(legendre_polys)])
        order = np.concatenate([np.arange(-l, l + 1) for l in range(legendre_polys)])
        if harmonics_calculation == "analytic":
            factors = (-1.0) ** degree * np.where(order == 0, math.pi, 1.0)
        else:
            factors = (-1.0) ** (degree + order)
        # Derived from the arguments, so it is not saved.
        self.register_buffer("factors", torch.from_numpy(factors), persistent=False)

    def forward(self, lonlat: Float[Tensor, "n 2"], dtype: torch.dtype = torch.float64) -> Float[Tensor, "n k"]:
        """Encode places (n, 2) in degrees to (n, out_dim), computed in float64."""
        return (self.harmonics(lonlat) * self.factors).to(dtype)

    def grid_factors(self, lon: Float[Tensor, " c"], lat: Float[Tensor, " r"], dtype: torch.dtype) -> Factors:
        """Return the factors of the harmonics on a grid; see `separable`."""
        factors = self.harmonics.grid_factors(lon, lat, torch.float64)
        return Factors((factors.rows * self.factors).to(dtype), factors.columns.to(dtype), factors.of)
