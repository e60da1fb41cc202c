"""The point on the unit sphere: three numbers without seam or pole."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from geotether.geodesy.coordinates import check_lonlat, unit_vectors


class Cartesian(nn.Module):
    """Unit vector of a place: (cos lat cos lon, cos lat sin lon, sin lat).

    Attributes:
        out_dim: 3.

    Source:
        "xyz" in Mai et al. (2023), ISPRS J. 202:439, arXiv:2306.17624, section 6.

    Example:
        >>> Cartesian()(torch.tensor([[0.0, 0.0]], dtype=torch.float64))
        tensor([[1., 0., 0.]], dtype=torch.float64)
    """

    def __init__(self) -> None:
        super().__init__()
        self.out_dim = 3

    def forward(self, lonlat: Float[Tensor, "n 2"], dtype: torch.dtype = torch.float64) -> Float[Tensor, "n 3"]:
        """Encode places.

        Args:
            lonlat: Longitude and latitude in degrees, shape (n, 2).
            dtype: What to return; the work is done in float64.

        Returns:
            Shape (n, 3), each row of length 1.
        """
        check_lonlat(lonlat)
        return unit_vectors(lonlat.double()).to(dtype)
