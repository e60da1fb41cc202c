"""Sphere2Vec's sphereM+: sphereM joined with the grid."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from geotether.encoders.positional.scales import scale_factors
from geotether.geodesy.coordinates import check_lonlat, wrap_longitude


class SphereMPlus(nn.Module):
    """The union of sphereM and the planar grid at many wavelengths.

    The sine of latitude belongs to both and is kept once. Longitude divided by a
    factor other than 1 does not close at the antimeridian, so there is a
    seam wherever the wavelength does not divide the circumference.

    Args:
        num_scales: Number of wavelengths, 1 or more.
        min_wavelength_km: Shortest wavelength along a meridian; the default is 1/100 of the circumference.
        max_wavelength_km: Longest wavelength; None stands for the Earth's circumference.

    Attributes:
        out_dim: 8 * num_scales.

    Source:
        Mai et al. (2023), ISPRS J. 202:439, arXiv:2306.17624, section 5.2 (sphereM+).

    Example:
        >>> SphereMPlus(num_scales=8)(torch.zeros(1, 2).double()).shape
        torch.Size([1, 64])
    """

    factors: Tensor

    def __init__(
        self, num_scales: int = 32, min_wavelength_km: float | int = 400.0, max_wavelength_km: float | int | None = None
    ) -> None:
        super().__init__()
        self.num_scales = num_scales
        self.min_wavelength_km = min_wavelength_km
        self.max_wavelength_km = max_wavelength_km
        self.out_dim = 8 * num_scales
        factors = scale_factors(num_scales, min_wavelength_km, max_wavelength_km)
        self.register_buffer("factors", factors, persistent=False)

    def forward(self, lonlat: Float[Tensor, "n 2"], dtype: torch.dtype = torch.float64) -> Float[Tensor, "n k"]:
        """Encode places.

        Args:
            lonlat: Longitude and latitude in degrees, shape (n, 2).
            dtype: What to return; the work is done in float64.

        Returns:
            Shape (n, out_dim); scale by scale, shortest first: sin lat', cos lat', sin lon', cos
                lon', then the four products of sphereM.
        """
        check_lonlat(lonlat)
        lon, lat = lonlat.double().unbind(-1)
        lon, lat = torch.deg2rad(wrap_longitude(lon))[:, None], torch.deg2rad(lat)[:, None]
        x, y = lon / self.factors.double(), lat / self.factors.double()
        parts = [
            y.sin(),
            y.cos(),
            x.sin(),
            x.cos(),
            y.cos() * lon.cos(),
            lat.cos() * x.cos(),
            y.cos() * lon.sin(),
            lat.cos() * x.sin(),
        ]
        return torch.stack(parts, dim=-1).flatten(1).to(dtype)
