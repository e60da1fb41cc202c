"""Sine and cosine of the scaled coordinates, as in geographic priors for species."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from geotether.geodesy.coordinates import check_lonlat


class Wrap(nn.Module):
    """Sine and cosine of longitude, and of latitude stretched to a full turn.

    Seamless at the antimeridian. Latitude runs through a full turn from pole to pole, so
    the two poles share one code: a property of the published formula.

    Attributes:
        out_dim: 4.

    Source:
        Mac Aodha, Cole & Perona (2019), ICCV, arXiv:1906.05272, section 3.2.

    Example:
        >>> Wrap()(torch.tensor([[90.0, 0.0]], dtype=torch.float64)).round(decimals=6)
        tensor([[1., 0., 0., 1.]], dtype=torch.float64)
    """

    def __init__(self) -> None:
        super().__init__()
        self.out_dim = 4

    def forward(self, lonlat: Float[Tensor, "n 2"], dtype: torch.dtype = torch.float64) -> Float[Tensor, "n 4"]:
        """Encode places.

        Args:
            lonlat: Longitude and latitude in degrees, shape (n, 2).
            dtype: What to return; the work is done in float64.

        Returns:
            Shape (n, 4): sin(pi lon / 180), sin(pi lat / 90), cos(pi lon / 180), cos(pi lat / 90).
        """
        check_lonlat(lonlat)
        lon, lat = torch.deg2rad(lonlat.double()).unbind(-1)
        angles = torch.stack((lon, 2 * lat), dim=-1)
        return torch.cat((angles.sin(), angles.cos()), dim=-1).to(dtype)
