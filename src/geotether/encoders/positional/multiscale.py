"""Sines and cosines of both angles at many wavelengths: Space2Vec and Sphere2Vec."""

import math
from typing import ClassVar

import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from geotether.encoders.positional.separable import Factors
from geotether.geodesy.coordinates import check_lonlat, wrap_longitude
from geotether.geodesy.distance import EARTH_CIRCUMFERENCE_KM


class MultiScale(nn.Module):
    """Base of the multi-scale encodings; a subclass lists the terms of one wavelength.

    A longitude divided by a factor other than 1 does not close at the antimeridian, so these encodings have a seam
    there unless every wavelength divides the Earth's circumference.

    Args:
        num_scales: Number of wavelengths, 1 or more.
        min_wavelength_km: Shortest wavelength along a meridian; the default is 1/100 of the circumference.
        max_wavelength_km: Longest wavelength; None is the Earth's circumference.

    Attributes:
        products: The terms of one wavelength, each a function of latitude times a function of longitude: "cos" and
            "sin" of the angle, "cos scaled" and "sin scaled" of the angle divided by the wavelength's factor, or "1".
        terms_per_scale: Number of terms of one wavelength.
        out_dim: terms_per_scale * num_scales.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> Theory(num_scales=8)(torch.zeros(1, 2).double()).shape
        torch.Size([1, 48])
    """

    products: ClassVar[tuple[tuple[str, str], ...]] = ()
    terms_per_scale: ClassVar[int] = 0
    factors: Tensor

    def __init__(
        self, num_scales: int = 32, min_wavelength_km: float | int = 400.0, max_wavelength_km: float | int | None = None
    ) -> None:
        super().__init__()
        self.num_scales = num_scales
        self.min_wavelength_km = min_wavelength_km
        self.max_wavelength_km = max_wavelength_km
        self.out_dim = (self.terms_per_scale or len(self.products)) * num_scales
        factors = scale_factors(num_scales, min_wavelength_km, max_wavelength_km)
        self.register_buffer("factors", factors, persistent=False)

    def forward(self, lonlat: Float[Tensor, "n 2"], dtype: torch.dtype = torch.float64) -> Float[Tensor, "n k"]:
        """Encode places (n, 2) in degrees: the terms of the shortest wavelength first, in the order of `terms`.

        Angles are computed in float64; `dtype` is the type of the result.
        """
        check_lonlat(lonlat)
        lon, lat = lonlat.double().unbind(-1)
        lon, lat = torch.deg2rad(wrap_longitude(lon)), torch.deg2rad(lat)
        return torch.stack(self.terms(lon, lat), dim=-1).flatten(1).to(dtype)

    def terms(self, lon: Float64[Tensor, " n"], lat: Float64[Tensor, " n"]) -> list[Float64[Tensor, "n s"]]:
        """Return the terms of places in radians: `terms_per_scale` tensors of shape (n, num_scales)."""
        north, east = self._waves(lat), self._waves(lon)
        terms = []
        for of_lat, of_lon in self.products:
            factors = [waves[name] for waves, name in ((north, of_lat), (east, of_lon)) if name != "1"]
            terms.append(factors[0] if len(factors) == 1 else factors[0] * factors[1])
        return terms

    def grid_factors(self, lon: Float[Tensor, " c"], lat: Float[Tensor, " r"], dtype: torch.dtype) -> Factors | None:
        """Return the factors of the features on a grid; see `separable`. None if the terms are not products."""
        if not self.products:
            return None
        north, east = self._waves(torch.deg2rad(lat)), self._waves(torch.deg2rad(wrap_longitude(lon)))
        names = sorted({of_lon for _, of_lon in self.products})
        columns = torch.cat([east[name] for name in names], dim=1)
        rows = torch.stack([north[of_lat] for of_lat, _ in self.products], dim=-1).flatten(1)
        first = self.num_scales * torch.tensor([names.index(of_lon) for _, of_lon in self.products], device=lat.device)
        scale = torch.arange(self.num_scales, device=lat.device)[:, None]
        return Factors(rows.to(dtype), columns.to(dtype), (first + scale).flatten())

    def _waves(self, angle: Float64[Tensor, " n"]) -> dict[str, Float64[Tensor, "n s"]]:
        """Return the functions of an angle in radians that `products` names, each of shape (n, num_scales)."""
        scaled = angle[:, None] / self.factors.double()
        return {
            "1": torch.ones_like(scaled),
            "cos": angle.cos()[:, None].expand_as(scaled),
            "sin": angle.sin()[:, None].expand_as(scaled),
            "cos scaled": scaled.cos(),
            "sin scaled": scaled.sin(),
        }


class Grid(MultiScale):
    """Cosine and sine of longitude and of latitude; the arguments are those of `MultiScale`.

    Source:
        Mai et al. (2020), ICLR, arXiv:2003.00824, section 4.2 (grid).
    """

    products = (
        ("1", "cos scaled"),
        ("1", "sin scaled"),
        ("cos scaled", "1"),
        ("sin scaled", "1"),
    )


class Theory(MultiScale):
    """Cosine and sine along three directions 120 degrees apart; the arguments are those of `MultiScale`.

    A model of the hexagonal firing of grid cells on the (longitude, latitude) plane.

    Source:
        Mai et al. (2020), ICLR, arXiv:2003.00824, section 4.2, eq. 4 (theory).
    """

    terms_per_scale = 6

    def terms(self, lon: Float64[Tensor, " n"], lat: Float64[Tensor, " n"]) -> list[Float64[Tensor, "n s"]]:
        """Return cosine and sine along each direction."""
        x, y = lon[:, None] / self.factors.double(), lat[:, None] / self.factors.double()
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

    products = (
        ("sin scaled", "1"),
        ("cos scaled", "cos scaled"),
        ("cos scaled", "sin scaled"),
    )


class SphereCPlus(MultiScale):
    """The union of sphereC and the grid, sin y only once; the arguments are those of `MultiScale`.

    Source:
        Mai et al. (2023), ISPRS J. 202:439, arXiv:2306.17624, section 5.2 (sphereC+).
    """

    products = (
        ("sin scaled", "1"),
        ("cos scaled", "1"),
        ("1", "sin scaled"),
        ("1", "cos scaled"),
        ("cos scaled", "cos scaled"),
        ("cos scaled", "sin scaled"),
    )


class SphereM(MultiScale):
    """Products in which only one of the two angles is scaled; the arguments are those of `MultiScale`.

    Source:
        Mai et al. (2023), ISPRS J. 202:439, arXiv:2306.17624, section 5.2 (sphereM).
    """

    products = (
        ("sin scaled", "1"),
        ("cos scaled", "cos"),
        ("cos", "cos scaled"),
        ("cos scaled", "sin"),
        ("cos", "sin scaled"),
    )


class SphereMPlus(MultiScale):
    """The union of sphereM and the grid, sin y only once; the arguments are those of `MultiScale`.

    Source:
        Mai et al. (2023), ISPRS J. 202:439, arXiv:2306.17624, section 5.2 (sphereM+).
    """

    products = (
        ("sin scaled", "1"),
        ("cos scaled", "1"),
        ("1", "sin scaled"),
        ("1", "cos scaled"),
        ("cos scaled", "cos"),
        ("cos", "cos scaled"),
        ("cos scaled", "sin"),
        ("cos", "sin scaled"),
    )


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
