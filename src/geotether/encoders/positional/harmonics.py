"""Real spherical harmonics, the Fourier basis of the sphere."""

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor, nn

from geotether.encoders.positional.legendre import coefficient_tables
from geotether.encoders.positional.separable import Factors
from geotether.geodesy.coordinates import check_lonlat

MAX_DEGREE = 199

# Rows processed at a time, so that intermediate results stay in the processor's cache.
ROWS = 2048
_ROWS_OF_PRODUCT = 2**16  # where they are computed by one product


class SphericalHarmonics(nn.Module):
    """Positional encoding by every real spherical harmonic up to a degree.

    The functions are orthonormal on the unit sphere, carry no Condon-Shortley phase and are
    ordered (l, m) = (0, 0), (1, -1), (1, 0), (1, 1), (2, -2), ...; negative orders are the
    sines of longitude. A taper weighs degree l by 1 / (1 + (l / taper_degree)**taper_power):
    a smooth prior that keeps fine detail without letting it dominate.

    Speed: a harmonic's latitude part is a trigonometric polynomial in colatitude,
    so one small matrix product per degree turns cosines and sines of multiples of the
    colatitude into all orders. The coefficients come from the Legendre recurrence, once.
    Nothing is divided by the cosine of latitude, so nothing overflows at the poles.

    Args:
        l_max: Highest degree, inclusive, 0 to 199. The finest wavelength is about
            40 030 km / `l_max`: 40 resolves 1000 km.
        taper_degree: Degree at which the weight is one half, more than 0; None for no taper.
        taper_power: Steepness of the taper, more than 0.
        scale: Factor on all functions, such as sqrt(4 pi) = 3.545 for functions whose mean
            square over the sphere is one, which suits networks that expect unit variance.

    Attributes:
        out_dim: (l_max + 1)**2.

    Note:
        SatCLIP's `legendre_polys=L` counts degrees, so it equals `l_max = L - 1` here.

    Source:
        Holmes & Featherstone (2002), J. Geodesy 76:279, eq. 11 (recurrence);
        Russwurm et al. (2024), ICLR, arXiv:2310.06743 (use as a positional encoding).

    Example:
        >>> SphericalHarmonics(l_max=1)(torch.tensor([[0.0, 90.0]])).round(decimals=4)
        tensor([[0.2821, 0.0000, 0.4886, 0.0000]], dtype=torch.float64)
    """

    def __init__(
        self,
        l_max: int,
        taper_degree: float | int | None = None,
        taper_power: float | int = 2.0,
        scale: float | int = 1.0,
    ) -> None:
        super().__init__()
        if isinstance(l_max, bool) or not isinstance(l_max, int) or not 0 <= l_max <= MAX_DEGREE:
            raise ValueError(f"l_max must be an integer from 0 to {MAX_DEGREE}, got {l_max!r}.")
        if taper_degree is not None and not taper_degree > 0:
            raise ValueError(f"taper_degree must be more than 0, or None for no taper, got {taper_degree}.")
        if not taper_power > 0 or not math.isfinite(scale):
            raise ValueError(f"taper_power must be more than 0 and scale finite, got {taper_power} and {scale}.")
        self.l_max = l_max
        self.taper_degree = taper_degree
        self.taper_power = taper_power
        self.scale = scale
        self.out_dim = (l_max + 1) ** 2

    def weights(self) -> Float64[np.ndarray, "l"]:
        """Return the factor on each degree, shape (l_max + 1,)."""
        degree = np.arange(self.l_max + 1, dtype=np.float64)
        if self.taper_degree is None:
            return np.full(len(degree), float(self.scale))
        return self.scale / (1 + (degree / self.taper_degree) ** self.taper_power)

    def forward(self, lonlat: Float[Tensor, "n 2"], dtype: torch.dtype = torch.float64) -> Float[Tensor, "n k"]:
        """Encode places (n, 2) in degrees to (n, out_dim); angles are always computed in float64.

        On a CPU, rows are processed 2048 at a time, so memory beyond the result stays below 50 MB; the result itself
        can be large (1,000,000 rows of 900 float32 numbers are 3.6 GB). With a gradient, all rows are processed at
        once.
        """
        check_lonlat(lonlat)
        if (lonlat.requires_grad and torch.is_grad_enabled()) or torch.compiler.is_compiling():
            # An exported model takes any number of rows.
            tables = self._tables(torch.float64, lonlat.device)
            blocks = [north * east for north, east in degree_factors(lonlat.double(), tables)]
            return torch.cat(blocks, dim=-1).to(dtype)
        out = torch.empty(len(lonlat), self.out_dim, dtype=dtype, device=lonlat.device)
        self.write(lonlat, out)
        return out

    def write(self, lonlat: Float[Tensor, "n 2"], out: Float[Tensor, "n k"]) -> None:
        """Write the harmonics of valid places, (n, 2) in degrees, into a tensor on the same device; no gradient."""
        places = lonlat.detach().double()
        work = torch.float32 if out.dtype.itemsize <= 4 and exact_in_float32(places.device) else torch.float64
        if work == torch.float32 and places.device.type == "cuda":
            from geotether.encoders.positional import fused_harmonics

            if fused_harmonics.is_available(places.device):
                fused_harmonics.write_harmonics(places, tuple(self.weights().tolist()), out)
                return
        if places.device.type != "cpu":
            for start in range(0, len(places), _ROWS_OF_PRODUCT):
                rows = slice(start, start + _ROWS_OF_PRODUCT)
                by_one_product(places[rows], tuple(self.weights().tolist()), work, out[rows])
            return
        tables = self._tables(work, places.device)
        for start in range(0, len(places), ROWS):
            rows, column = slice(start, start + ROWS), 0
            for north, east in degree_factors(places[rows], tables):
                torch.mul(north, east, out=out[rows, column : column + east.shape[1]])
                column += east.shape[1]

    def _tables(self, dtype: torch.dtype, device: torch.device) -> list[Tensor]:
        return coefficient_tables(self.l_max, tuple(self.weights().tolist()), dtype, device)

    def grid_factors(self, lon: Float[Tensor, " c"], lat: Float[Tensor, " r"], dtype: torch.dtype) -> Factors:
        """Return the factors of the harmonics on a grid: Legendre functions, and sines and cosines; see `separable`."""
        tables = self._tables(torch.float64, lat.device)
        rows = torch.cat(list(latitude_parts(lat, tables)), dim=-1)
        of = [order + self.l_max for degree in range(self.l_max + 1) for order in range(-degree, degree + 1)]
        columns = longitude_parts(lon, self.l_max)
        return Factors(rows.to(dtype), columns.to(dtype), torch.tensor(of, device=lat.device))


def degree_factors(
    places: Float64[Tensor, "n 2"], tables: list[Tensor]
) -> Iterator[tuple[Float[Tensor, "n w"], Float[Tensor, "n w"]]]:
    """Yield, degree by degree, the latitude and longitude parts of the harmonics, both of shape (n, 2l + 1).

    Orders run from -l to l; the product of both parts is the degree's harmonics. `tables` are `coefficient_tables`,
    whose dtype the parts have.
    """
    l_max = len(tables) - 1
    east = longitude_parts(places[:, 0], l_max).to(tables[0].dtype)
    for degree, north in enumerate(latitude_parts(places[:, 1], tables)):
        yield north, east[:, l_max - degree : l_max + degree + 1]


def longitude_parts(lon: Float64[Tensor, " n"], l_max: int) -> Float64[Tensor, "n w"]:
    """Return the sines (orders -l_max to -1) and cosines (0 to l_max) of multiples of longitudes in degrees."""
    turns = torch.outer(torch.deg2rad(lon), torch.arange(l_max + 1, dtype=lon.dtype, device=lon.device))
    return torch.cat((turns[:, 1:].sin().flip(-1), turns.cos()), dim=-1)


def latitude_waves(lat: Float64[Tensor, " n"], count: int) -> Float64[Tensor, "n count 2"]:
    """Return cosine and sine of the first multiples, from 0, of the colatitude of latitudes in degrees."""
    # Subtracting before the conversion keeps the poles exact: colatitude 0 is 0.
    falls = torch.outer(torch.deg2rad(90 - lat), torch.arange(count, dtype=lat.dtype, device=lat.device))
    return torch.stack((falls.cos(), falls.sin()), dim=-1)


def latitude_parts(lat: Float64[Tensor, " n"], tables: list[Tensor]) -> Iterator[Float[Tensor, "n w"]]:
    """Yield, degree by degree, the latitude parts of the harmonics of orders -l to l, shape (n, 2l + 1)."""
    waves = latitude_waves(lat, len(tables)).to(tables[0].dtype)
    # Degree l needs only the multiples of its own parity, in pairs of cosine and sine.
    of_parity = [waves[:, parity::2].flatten(1) for parity in (0, 1)]
    for degree, table in enumerate(tables):
        yield of_parity[degree % 2][:, : len(table)] @ table


def exact_in_float32(device: torch.device) -> bool:
    """Return whether a device computes float32 products in float32; a GPU may be allowed to round factors to 10 bits.

    In float32 the products of harmonics cost half as much as in float64, with errors below 2e-6.
    """
    if device.type != "cuda":
        return device.type == "cpu"
    try:
        return not torch.backends.cuda.matmul.allow_tf32
    except RuntimeError:  # set by torch's newer interface
        return False


def by_one_product(
    places: Float64[Tensor, "n 2"], weights: tuple[float, ...], work: torch.dtype, out: Float[Tensor, "n k"]
) -> None:
    """Write the harmonics by one product for all degrees, computed in the type `work`.

    That is more arithmetic than one product for each degree, but in far fewer calls: a GPU is idle while small
    operations are prepared for it.
    """
    table, orders = joined_table(weights, work, places.device)
    l_max, count = len(weights) - 1, len(weights)
    multiples = torch.arange(-l_max, count, dtype=torch.float64, device=places.device).abs()
    falls = torch.outer(torch.deg2rad(90 - places[:, 1]), multiples[l_max:])
    turns = torch.outer(torch.deg2rad(places[:, 0]), multiples)
    # Sines and cosines are rounded while they are written: fewer passes over memory than `latitude_waves` needs.
    waves = torch.empty(len(places), count, 2, dtype=work, device=places.device)
    east = torch.empty(len(places), len(multiples), dtype=work, device=places.device)
    torch.cos(falls, out=waves[..., 0])
    torch.sin(falls, out=waves[..., 1])
    torch.sin(turns[:, :l_max], out=east[:, :l_max])
    torch.cos(turns[:, l_max:], out=east[:, l_max:])
    torch.mul(waves.flatten(1) @ table, east.index_select(1, orders), out=out)


@lru_cache(maxsize=32)  # recorded training steps read them again, so they must not be released
def joined_table(
    weights: tuple[float, ...], dtype: torch.dtype, device: torch.device
) -> tuple[Float[Tensor, "w k"], Int64[Tensor, " k"]]:
    """Join the coefficient tables of all degrees, zero elsewhere; also return the longitude part of each column."""
    l_max = len(weights) - 1
    with torch.inference_mode(False):
        table = torch.zeros(2 * (l_max + 1), (l_max + 1) ** 2, dtype=torch.float64)
        for degree, own in enumerate(coefficient_tables(l_max, weights, torch.float64, torch.device("cpu"))):
            pairs = table.view(l_max + 1, 2, -1)[degree % 2 : degree + 1 : 2]
            pairs[..., degree**2 : (degree + 1) ** 2] = own.view(-1, 2, own.shape[1])
        orders = torch.cat([torch.arange(l_max - degree, l_max + degree + 1) for degree in range(l_max + 1)])
        return table.to(device, dtype), orders.to(device)
