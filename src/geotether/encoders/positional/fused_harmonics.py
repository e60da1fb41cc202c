"""Spherical harmonics on a GPU with two small products and one kernel.

Harmonics of order m and -m have the same latitude part, and those of even degree consist of even multiples of the
colatitude, those of odd degree of odd ones. So the products here compute each latitude part once, from half of the
multiples: a fourth of the arithmetic of one product for all. The kernel, written in Triton, multiplies every latitude
part by both longitude parts and rounds the result while it is written. Without it, three passes over memory are needed.
"""

from functools import lru_cache
from typing import NamedTuple, no_type_check

import torch
from jaxtyping import Float, Float32, Float64, Int32
from torch import Tensor

from geotether.devices import compiles_kernels
from geotether.encoders.positional.legendre import coefficient_tables

try:
    import triton
    import triton.language as tl
except ImportError:  # a torch for CPUs or another system
    triton = None

# Of a program of the kernel; other sizes were not tried. On an H100 degree 40 takes 5.5 ns per place in float32, which
# is two thirds of the bandwidth of a copy.
_ROWS, _COLUMNS, _WARPS = 4, 256, 4
_ALIGNED = 8


class Parities(NamedTuple):
    """Latitude parts by the parity of the degree, and where each harmonic finds its factors.

    Attributes:
        tables: For even and for odd degrees: from cosine and sine of each multiple of that parity to latitude parts of
            orders 0 and more, with columns of zeros up to a multiple of 8.
        north: Column of each harmonic's latitude part among those of both tables, shape (k,).
        east: Column of each harmonic's longitude part, of orders -l_max to l_max, shape (k,).
    """

    tables: tuple[Float32[Tensor, "_ e"], Float32[Tensor, "_ o"]]
    north: Int32[Tensor, " k"]
    east: Int32[Tensor, " k"]


def is_available(device: torch.device) -> bool:
    """Return whether the kernel can be compiled for a device."""
    return triton is not None and compiles_kernels(device)


def write_harmonics(places: Float64[Tensor, "n 2"], weights: tuple[float, ...], out: Float[Tensor, "n k"]) -> None:
    """Write the harmonics of places, in degrees, computed in float32 from float64 angles.

    The device must compute float32 products in float32, see `exact_in_float32`.

    Args:
        places: Longitude and latitude in degrees, shape (n, 2).
        weights: Factor on each degree.
        out: Where they go; in its rows, neighbouring columns are neighbours in memory.
    """
    l_max, device = len(weights) - 1, places.device
    parities = joined_by_parity(weights, device)
    orders = torch.arange(-l_max, l_max + 1, dtype=torch.float64, device=device).abs()
    turns = torch.outer(torch.deg2rad(places[:, 0]), orders)
    east = torch.empty(turns.shape, device=device)
    torch.sin(turns[:, :l_max], out=east[:, :l_max])
    torch.cos(turns[:, l_max:], out=east[:, l_max:])
    fall = torch.deg2rad(90 - places[:, 1])
    north = torch.empty(len(places), sum(table.shape[1] for table in parities.tables), device=device)
    column = 0
    for parity, table in enumerate(parities.tables):
        falls = torch.outer(fall, orders[l_max + parity :: 2])
        waves = torch.empty(*falls.shape, 2, device=device)
        torch.cos(falls, out=waves[..., 0])
        torch.sin(falls, out=waves[..., 1])
        torch.mm(waves.flatten(1), table, out=north[:, column : column + table.shape[1]])
        column += table.shape[1]
    _multiplied(north, east, parities, out)


@lru_cache(maxsize=32)  # recorded training steps read them again, so they must not be released
def joined_by_parity(weights: tuple[float, ...], device: torch.device) -> Parities:
    """Join the coefficient tables of all degrees of the same parity."""
    l_max, cpu = len(weights) - 1, torch.device("cpu")
    joined: tuple[list[Tensor], list[Tensor]] = ([], [])
    first = []  # column of order 0 of each degree, in the table of its parity
    for degree, table in enumerate(coefficient_tables(l_max, weights, torch.float64, cpu)):
        rows = 2 * ((l_max - degree % 2) // 2 + 1)
        own = table[:, degree:]
        first.append(sum(one.shape[1] for one in joined[degree % 2]))
        joined[degree % 2].append(torch.cat((own, own.new_zeros(rows - len(own), own.shape[1]))))
    with torch.inference_mode(False):
        tables = []
        for parity, parts in enumerate(joined):
            rows = 2 * ((l_max - parity) // 2 + 1)
            whole = torch.cat(parts, dim=1) if parts else torch.zeros(rows, 0, dtype=torch.float64)
            tables.append(torch.cat((whole, whole.new_zeros(rows, -whole.shape[1] % _ALIGNED)), dim=1))
        start = (0, tables[0].shape[1])
        orders = [(degree, order) for degree in range(l_max + 1) for order in range(-degree, degree + 1)]
        north = torch.tensor([start[degree % 2] + first[degree] + abs(order) for degree, order in orders])
        east = torch.tensor([order + l_max for _, order in orders])
        even, odd = (table.to(device, torch.float32) for table in tables)
        return Parities((even, odd), north.to(device, torch.int32), east.to(device, torch.int32))


def _multiplied(north: Tensor, east: Tensor, parities: Parities, out: Tensor) -> None:
    """Write the product of latitude and longitude parts."""
    rows, columns = out.shape
    if not rows:
        return
    with torch.cuda.device_of(out):
        _multiply[(triton.cdiv(rows, _ROWS), triton.cdiv(columns, _COLUMNS))](
            north, east, parities.north, parities.east, out, rows, columns,
            north.stride(0), east.stride(0), out.stride(0),
            ROWS=_ROWS, COLUMNS=_COLUMNS, num_warps=_WARPS,
        )  # fmt: skip


if triton is not None:

    @triton.jit
    @no_type_check
    def _multiply(
        north, east, of_north, of_east, out, n, k, north_step, east_step, out_step,
        ROWS: tl.constexpr, COLUMNS: tl.constexpr,
    ):  # fmt: skip
        rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
        columns = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
        inside = columns < k
        from_north = tl.load(of_north + columns, mask=inside, other=0)
        from_east = tl.load(of_east + columns, mask=inside, other=0)
        both = (rows[:, None] < n) & inside[None, :]
        rows = rows.to(tl.int64)[:, None]
        latitude_part = tl.load(north + rows * north_step + from_north[None, :], mask=both, other=0.0)
        longitude_part = tl.load(east + rows * east_step + from_east[None, :], mask=both, other=0.0)
        found = (latitude_part * longitude_part).to(out.dtype.element_ty)
        tl.store(out + rows * out_step + columns[None, :], found, mask=both)
