"""Longitude and latitude as they are: the simplest baseline."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from geotether.geodesy.coordinates import check_lonlat, wrap_longitude


class Direct(nn.Module):
    """Longitude and latitude scaled to [-1, 1].

    It has a seam at the antimeridian and stretches the poles, as any map does.

    Attributes:
        out_dim: 2.

    Source:
        "direct" in Mai et al. (2020), ICLR, arXiv:2003.00824, section 5.1.

    Example:
        >>> Direct()(torch.tensor([[90.0, -45.0]], dtype=torch.float64))
        tensor([[ 0.5000, -0.5000]], dtype=torch.float64)
    """

    def __init__(self) -> None:
        super().__init__()
        self.out_dim = 2

    def forward(self, lonlat: Float[Tensor, "n 2"], dtype: torch.dtype = torch.float64) -> Float[Tensor, "n 2"]:
        """Encode places.

        Args:
            lonlat: Longitude and latitude in degrees, shape (n, 2).
            dtype: What to return; the work is done in float64.

        Returns:
            Shape (n, 2): longitude / 180 and latitude / 90.
        """
        check_lonlat(lonlat)
        lon, lat = lonlat.double().unbind(-1)
        return torch.stack((wrap_longitude(lon) / 180, lat / 90), dim=-1).to(dtype)
