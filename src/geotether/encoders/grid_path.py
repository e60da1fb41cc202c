"""The handout of a location encoder on a grid of latitudes and longitudes, faster than point by point."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Float32
from torch import Tensor

from geotether.devices import rows_at_once
from geotether.encoders.networks import Layered, Linear
from geotether.encoders.positional.separable import Factors, grid_factors

if TYPE_CHECKING:
    from geotether.encoders.location import LocationEncoder

# The most columns of a block: more would leave few rows, which products need.
_COLUMNS = 512


def handout_on_grid(
    encoder: "LocationEncoder", lon: Float[Tensor, " c"], lat: Float[Tensor, " r"], width: int
) -> Float32[Tensor, "r c width"]:
    """Compute what `encoder.handout` returns, on a grid, block by block.

    Where positional features are products of a function of latitude and one of longitude, linear maps of them (the
    first layer of the network and the projection of the readout) take the sum over degrees once per row. Context is
    interpolated along one axis after the other. Everything else costs what it costs point by point.

    Args:
        encoder: In evaluation mode.
        lon: Longitudes of the columns in degrees, shape (c,), float64.
        lat: Latitudes of the rows in degrees, shape (r,), float64.
        width: Length of the vectors, as `check_dim` returns it.
    """
    weight = next(encoder.network.parameters())
    with torch.autocast(lat.device.type, enabled=False):
        factors = grid_factors(encoder.positional, lon, lat, weight.dtype)
        way = _place_by_place(encoder, lon, lat, width) if factors is None else _Path(encoder, lon, lat, width, factors)
    places = rows_at_once(lat.device, encoder.numbers_per_place(width))
    vectors = torch.empty(len(lat), len(lon), width, dtype=torch.float32, device=lat.device)
    for rows, columns in _blocks(len(lat), len(lon), places):
        vectors[rows, columns] = way(rows, columns).view_as(vectors[rows, columns])
    return vectors


def _blocks(num_rows: int, num_columns: int, places: int) -> Iterator[tuple[slice, slice]]:
    for left in range(0, num_columns, _COLUMNS):
        right = min(left + _COLUMNS, num_columns)
        tall = places // (right - left)
        for top in range(0, num_rows, tall):
            yield slice(top, min(top + tall, num_rows)), slice(left, right)


def _place_by_place(
    encoder: "LocationEncoder", lon: Tensor, lat: Tensor, width: int
) -> Callable[[slice, slice], Float[Tensor, "n width"]]:
    """Return the function from a block to its vectors, for features that are not products."""

    def vectors(rows: slice, columns: slice) -> Float[Tensor, "n width"]:
        lats, lons = torch.meshgrid(lat[rows], lon[columns], indexing="ij")
        return encoder.handout(torch.stack((lons, lats), dim=-1).flatten(0, 1), width)

    return vectors


class _Path:
    """The function from a block of a grid to its vectors, with what all blocks share."""

    def __init__(self, encoder: "LocationEncoder", lon: Tensor, lat: Tensor, width: int, factors: Factors) -> None:
        self.encoder, self.lon, self.lat, self.factors = encoder, lon, lat, factors
        network, context = encoder.network, encoder.context
        seen: int = network.in_dim - (0 if context is None else context.dim_of("rasters"))  # type: ignore[assignment, operator]
        self.first: Callable[[slice, slice], Tensor] | None = None
        # A linear network whose output alone is read is one layer as well.
        only_output = isinstance(network, Linear) and encoder.part_names == ("output",)
        layer: Any = network.first if isinstance(network, Layered) else network.output if only_output else None
        if layer is not None:
            low = factors.first(seen)
            if encoder.low_degrees is not None:
                low = encoder.low_degrees.grid_factors(lon, lat, factors.rows.dtype)
            weight, self.bias = layer.weight.T, layer.bias
            self.first = low.mapped(weight[:seen])
            self.first_of_rasters = weight[seen:]
            if context is not None and context.dim_of("rasters"):
                self.first_of_rasters = self.first_of_rasters / context.spread("rasters").to(weight.dtype)[:, None]
        if encoder.projection is not None:
            matrix, self.offset = encoder.projection.matrix(width)
            self.matrices = dict(zip(encoder.part_names, matrix.split(encoder.projection.dims), strict=True))
            self.projected = factors.mapped(self.matrices["positional"])

    def __call__(self, rows: slice, columns: slice) -> Float[Tensor, "n width"]:
        """Return the vectors of a block, row by row."""
        encoder = self.encoder
        parts: dict[str, Tensor] = {}
        for source in ("rasters", "observations"):
            if source == "rasters" or source in encoder.part_names:
                parts[source] = self._context(rows, columns, source)
        if self.first is None or ("positional" in encoder.part_names and encoder.projection is None):
            parts["positional"] = self.factors.features(rows, columns)
        if self.first is None:
            parts |= encoder.network_parts(parts["positional"], parts["rasters"])
        else:
            first = self.first(rows, columns) + self.bias
            if len(self.first_of_rasters):
                first = torch.addmm(first, parts["rasters"], self.first_of_rasters)
            parts |= self._after(first)
        if encoder.projection is None:
            return torch.cat([parts[name] for name in encoder.part_names], dim=-1)
        vectors = self.projected(rows, columns) + self.offset
        for name in encoder.part_names[1:]:
            vectors = torch.addmm(vectors, parts[name], self.matrices[name])
        return vectors

    def _after(self, first: Float[Tensor, "n w"]) -> dict[str, Tensor]:
        """Return the parts of the readout that follow from the first layer."""
        network = self.encoder.network
        if not isinstance(network, Layered):
            return {"output": first}
        hidden = network.hidden_after(first)
        return {"hidden": hidden, **({"output": network.output(hidden)} if "output" in self.encoder.part_names else {})}

    def _context(self, rows: slice, columns: slice, source: str) -> Float[Tensor, "n k"]:
        context, dtype = self.encoder.context, self.factors.rows.dtype
        lon, lat = self.lon[columns], self.lat[rows]
        if context is None:
            return lat.new_zeros(len(lat) * len(lon), 0, dtype=dtype)
        with torch.autocast(lat.device.type, enabled=False):
            return context.on_grid(lon, lat, source).to(dtype)
