"""Space2Vec's grid: sines of longitude and latitude at many wavelengths."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from geotether.encoders.positional.scales import scale_factors
from geotether.geodesy.coordinates import check_lonlat, wrap_longitude


class Grid(nn.Module):
    """Cosine and sine of longitude and of latitude at geometrically spaced wavelengths.

    A planar encoding. Longitude divided by a factor other than 1 does not close at the antimeridian, so there is a
    seam wherever the wavelength does not divide the circumference.

    Args:
        num_scales: Number of wavelengths, 1 or more.
        min_wavelength_km: Shortest wavelength along a meridian; the default is 1/100 of the circumference.
        max_wavelength_km: Longest wavelength; None stands for the Earth's circumference.

    Attributes:
        out_dim: 4 * num_scales.

    Source:
        Mai et al. (2020), ICLR, arXiv:2003.00824, section 4.2 (grid).

    Example:
        >>> Grid(num_scales=8)(torch.zeros(1, 2).double()).shape
        torch.Size([1, 32])
    """

    factors: Tensor

    def __init__(
        self, num_scales: int = 32, min_wavelength_km: float | int = 400.0, max_wavelength_km: float | int | None = None
    ) -> None:
        super().__init__()
        self.num_scales = num_scales
        self.min_wavelength_km = min_wavelength_km
        self.max_wavelength_km = max_wavelength_km
        self.out_dim = 4 * num_scales
        factors = scale_factors(num_scales, min_wavelength_km, max_wavelength_km)
        self.register_buffer("factors", factors, persistent=False)

    def forward(self, lonlat: Float[Tensor, "n 2"], dtype: torch.dtype = torch.float64) -> Float[Tensor, "n k"]:
        """Encode places.

        Args:
            lonlat: Longitude and latitude in degrees, shape (n, 2).
            dtype: What to return; the work is done in float64.

        Returns:
            Shape (n, out_dim); scale by scale, shortest first: cos lon, sin lon, cos lat, sin lat.
        """
        check_lonlat(lonlat)
        lon, lat = lonlat.double().unbind(-1)
        lon, lat = torch.deg2rad(wrap_longitude(lon))[:, None], torch.deg2rad(lat)[:, None]
        x, y = lon / self.factors.double(), lat / self.factors.double()
        parts = [x.cos(), x.sin(), y.cos(), y.sin()]
        return torch.stack(parts, dim=-1).flatten(1).to(dtype)
