"""The simplest encodings: the two angles themselves, their sine and cosine, and the point on the unit sphere."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from geotether.encoders.positional.separable import Factors
from geotether.geodesy.coordinates import check_lonlat, unit_vectors, wrap_longitude


class Direct(nn.Module):
    """Longitude and latitude scaled to [-1, 1], with a seam at the antimeridian and stretched poles.

    Attributes:
        out_dim: 2.

    Source:
        "direct" in Mai et al. (2020), ICLR, arXiv:2003.00824, section 5.1.

    Example:
        >>> Direct()(torch.tensor([[90.0, -45.0]], dtype=torch.float64))
        tensor([[ 0.5000, -0.5000]], dtype=torch.float64)
    """

    out_dim = 2

    def forward(self, lonlat: Float[Tensor, "n 2"], dtype: torch.dtype = torch.float64) -> Float[Tensor, "n 2"]:
        """Return longitude / 180 and latitude / 90 of places in degrees, shape (n, 2), computed in float64."""
        check_lonlat(lonlat)
        lon, lat = lonlat.double().unbind(-1)
        return torch.stack((wrap_longitude(lon) / 180, lat / 90), dim=-1).to(dtype)

    def grid_factors(self, lon: Float[Tensor, " c"], lat: Float[Tensor, " r"], dtype: torch.dtype) -> Factors:
        """Return the factors of the features on a grid; see `separable`."""
        lon = wrap_longitude(lon) / 180
        return _factors([torch.ones_like(lat), lat / 90], [lon, torch.ones_like(lon)], [0, 1], dtype)


class Wrap(nn.Module):
    """Sine and cosine of longitude, and of latitude stretched to a full turn.

    Continuous at the antimeridian. Both poles have the same code, a property of the published formula.

    Attributes:
        out_dim: 4.

    Source:
        Mac Aodha, Cole & Perona (2019), ICCV, arXiv:1906.05272, section 3.2.

    Example:
        >>> Wrap()(torch.tensor([[90.0, 0.0]], dtype=torch.float64)).round(decimals=6)
        tensor([[1., 0., 0., 1.]], dtype=torch.float64)
    """

    out_dim = 4

    def forward(self, lonlat: Float[Tensor, "n 2"], dtype: torch.dtype = torch.float64) -> Float[Tensor, "n 4"]:
        """Return sin(pi lon / 180), sin(pi lat / 90), cos(pi lon / 180), cos(pi lat / 90), computed in float64."""
        check_lonlat(lonlat)
        lon, lat = torch.deg2rad(lonlat.double()).unbind(-1)
        angles = torch.stack((lon, 2 * lat), dim=-1)
        return torch.cat((angles.sin(), angles.cos()), dim=-1).to(dtype)

    def grid_factors(self, lon: Float[Tensor, " c"], lat: Float[Tensor, " r"], dtype: torch.dtype) -> Factors:
        """Return the factors of the features on a grid; see `separable`."""
        lon, lat = torch.deg2rad(lon), torch.deg2rad(lat)
        one = torch.ones_like(lat)
        north = [one, (2 * lat).sin(), one, (2 * lat).cos()]
        return _factors(north, [lon.sin(), torch.ones_like(lon), lon.cos()], [0, 1, 2, 1], dtype)


class Cartesian(nn.Module):
    """Unit vector of a place: (cos lat cos lon, cos lat sin lon, sin lat), without seam or pole.

    Attributes:
        out_dim: 3.

    Source:
        "xyz" in Mai et al. (2023), ISPRS J. 202:439, arXiv:2306.17624, section 6.

    Example:
        >>> Cartesian()(torch.tensor([[0.0, 0.0]], dtype=torch.float64))
        tensor([[1., 0., 0.]], dtype=torch.float64)
    """

    out_dim = 3

    def forward(self, lonlat: Float[Tensor, "n 2"], dtype: torch.dtype = torch.float64) -> Float[Tensor, "n 3"]:
        """Return unit vectors of places in degrees, shape (n, 2), computed in float64."""
        check_lonlat(lonlat)
        return unit_vectors(lonlat.double()).to(dtype)

    def grid_factors(self, lon: Float[Tensor, " c"], lat: Float[Tensor, " r"], dtype: torch.dtype) -> Factors:
        """Return the factors of the features on a grid; see `separable`."""
        lon, lat = torch.deg2rad(lon), torch.deg2rad(lat)
        return _factors(
            [lat.cos(), lat.cos(), lat.sin()], [lon.cos(), lon.sin(), torch.ones_like(lon)], [0, 1, 2], dtype
        )


def _factors(north: list[Tensor], east: list[Tensor], of: list[int], dtype: torch.dtype) -> Factors:
    index = torch.tensor(of, device=north[0].device)
    return Factors(torch.stack(north, dim=1).to(dtype), torch.stack(east, dim=1).to(dtype), index)
