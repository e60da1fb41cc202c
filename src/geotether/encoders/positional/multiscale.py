"""Sines and cosines of both angles at many wavelengths: Space2Vec and Sphere2Vec."""

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from geotether.geodesy.coordinates import check_lonlat, wrap_longitude
from geotether.geodesy.distance import EARTH_CIRCUMFERENCE_KM


class MultiScale(nn.Module, ABC):
    """Base of the multi-scale encodings; a subclass defines the terms of one wavelength.

    A longitude divided by a factor other than 1 does not close at the antimeridian, so these encodings have a seam
    there unless every wavelength divides the Earth's circumference.

    Args:
        num_scales: Number of wavelengths, 1 or more.
        min_wavelength_km: Shortest wavelength along a meridian; the default is 1/100 of the circumference.
        max_wavelength_km: Longest wavelength; None is the Earth's circumference.

    Attributes:
        terms_per_scale: Number of terms of one wavelength.
        out_dim: terms_per_scale * num_scales.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> Theory(num_scales=8)(torch.zeros(1, 2).double()).shape
        torch.Size([1, 48])
    """

    terms_per_scale: ClassVar[int]
    factors: Tensor

    def __init__(
        self, num_scales: int = 32, min_wavelength_km: float | int = 400.0, max_wavelength_km: float | int | None = None
    ) -> None:
        super().__init__()
        self.num_scales = num_scales
        self.min_wavelength_km = min_wavelength_km
        self.max_wavelength_km = max_wavelength_km
        self.out_dim = self.terms_per_scale * num_scales
        factors = scale_factors(num_scales, min_wavelength_km, max_wavelength_km)
        self.register_buffer("factors", factors, persistent=False)

    def forward(self, lonlat: Float[Tensor, "n 2"], dtype: torch.dtype = torch.float64) -> Float[Tensor, "n k"]:
        """Encode places (n, 2) in degrees: the terms of the shortest wavelength first, in the order of `terms`.

        Angles are computed in float64; `dtype` is the type of the result.
        """
        check_lonlat(lonlat)
        lon, lat = lonlat.double().unbind(-1)
        lon, lat = torch.deg2rad(wrap_longitude(lon))[:, None], torch.deg2rad(lat)[:, None]
        factors = self.factors.double()
        return torch.stack(self.terms(lon, lat, lon / factors, lat / factors), dim=-1).flatten(1).to(dtype)

    @abstractmethod
    def terms(self, lon: Tensor, lat: Tensor, x: Tensor, y: Tensor) -> list[Tensor]:
        """Return `terms_per_scale` tensors of shape (n, num_scales).

        `lon` and `lat` are in radians, shape (n, 1); `x` and `y` are the same divided by the factor of each wavelength.
        """


class Grid(MultiScale):
    """Cosine and sine of longitude and of latitude; the arguments are those of `MultiScale`.

    Source:
        Mai et al. (2020), ICLR, arXiv:2003.00824, section 4.2 (grid).
    """

    terms_per_scale = 4

    def terms(self, lon: Tensor, lat: Tensor, x: Tensor, y: Tensor) -> list[Tensor]:
        """Return cos x, sin x, cos y, sin y."""
        return [x.cos(), x.sin(), y.cos(), y.sin()]


class Theory(MultiScale):
    """Cosine and sine along three directions 120 degrees apart; the arguments are those of `MultiScale`.

    A model of the hexagonal firing of grid cells on the (longitude, latitude) plane.

    Source:
        Mai et al. (2020), ICLR, arXiv:2003.00824, section 4.2, eq. 4 (theory).
    """

    terms_per_scale = 6

    def terms(self, lon: Tensor, lat: Tensor, x: Tensor, y: Tensor) -> list[Tensor]:
        """Return cosine and sine along each direction."""
        found = []
        for turn in (0, 2 * math.pi / 3, 4 * math.pi / 3):
            along = math.cos(turn) * x + math.sin(turn) * y
            found += [along.cos(), along.sin()]
        return found


class SphereC(MultiScale):
    """The point on the unit sphere of both scaled angles; the arguments are those of `MultiScale`.

    At factor 1 it is the unit vector of the place.

    Source:
        Mai et al. (2023), ISPRS J. 202:439, arXiv:2306.17624, section 5.2 (sphereC).
    """

    terms_per_scale = 3

    def terms(self, lon: Tensor, lat: Tensor, x: Tensor, y: Tensor) -> list[Tensor]:
        """Return sin y, cos y cos x, cos y sin x."""
        return [y.sin(), y.cos() * x.cos(), y.cos() * x.sin()]


class SphereCPlus(MultiScale):
    """The union of sphereC and the grid, sin y only once; the arguments are those of `MultiScale`.

    Source:
        Mai et al. (2023), ISPRS J. 202:439, arXiv:2306.17624, section 5.2 (sphereC+).
    """

    terms_per_scale = 6

    def terms(self, lon: Tensor, lat: Tensor, x: Tensor, y: Tensor) -> list[Tensor]:
        """Return sin y, cos y, sin x, cos x, cos y cos x, cos y sin x."""
        return [y.sin(), y.cos(), x.sin(), x.cos(), y.cos() * x.cos(), y.cos() * x.sin()]


class SphereM(MultiScale):
    """Products in which only one of the two angles is scaled; the arguments are those of `MultiScale`.

    Source:
        Mai et al. (2023), ISPRS J. 202:439, arXiv:2306.17624, section 5.2 (sphereM).
    """

    terms_per_scale = 5

    def terms(self, lon: Tensor, lat: Tensor, x: Tensor, y: Tensor) -> list[Tensor]:
        """Return sin y, cos y cos lon, cos lat cos x, cos y sin lon, cos lat sin x."""
        return [y.sin(), *_mixed_products(lon, lat, x, y)]


class SphereMPlus(MultiScale):
    """The union of sphereM and the grid, sin y only once; the arguments are those of `MultiScale`.

    Source:
        Mai et al. (2023), ISPRS J. 202:439, arXiv:2306.17624, section 5.2 (sphereM+).
    """

    terms_per_scale = 8

    def terms(self, lon: Tensor, lat: Tensor, x: Tensor, y: Tensor) -> list[Tensor]:
        """Return sin y, cos y, sin x, cos x, and the four products of `SphereM`."""
        return [y.sin(), y.cos(), x.sin(), x.cos(), *_mixed_products(lon, lat, x, y)]


def scale_factors(
    num_scales: int, min_wavelength_km: float | int, max_wavelength_km: float | int | None
) -> Float64[Tensor, " s"]:
    """Space wavelengths geometrically and express each as the divisor of an angle, from the shortest to the longest.

    An angle in radians divided by the factor r has a period of r times the Earth's circumference, which is the
    wavelength along a meridian. The arguments are those of `MultiScale`; a single wavelength is the longest.

    Source:
        Mai et al. (2020), ICLR, arXiv:2003.00824, eq. 4: lambda_min * g ** (s / (S - 1)).

    Example:
        >>> scale_factors(3, EARTH_CIRCUMFERENCE_KM / 100, None)
        tensor([0.0100, 0.1000, 1.0000], dtype=torch.float64)
    """
    longest = EARTH_CIRCUMFERENCE_KM if max_wavelength_km is None else max_wavelength_km
    if num_scales < 1:
        raise ValueError(f"num_scales must be 1 or more, got {num_scales}.")
    if not 0 < min_wavelength_km <= longest:
        raise ValueError(
            "Wavelengths must be 0 < min_wavelength_km <= max_wavelength_km (None: the Earth's circumference, "
            f"{EARTH_CIRCUMFERENCE_KM:.0f}), got {min_wavelength_km} and {max_wavelength_km}."
        )
    exponent = torch.linspace(0, 1, num_scales, dtype=torch.float64) if num_scales > 1 else torch.ones(1).double()
    shortest = min_wavelength_km / EARTH_CIRCUMFERENCE_KM
    return shortest * (longest / min_wavelength_km) ** exponent


def _mixed_products(lon: Tensor, lat: Tensor, x: Tensor, y: Tensor) -> list[Tensor]:
    return [y.cos() * lon.cos(), lat.cos() * x.cos(), y.cos() * lon.sin(), lat.cos() * x.sin()]
