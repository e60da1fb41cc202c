"""The handout of a location encoder at places on a GPU, in few operations and few passes over memory."""

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Float32
from torch import Tensor
from torch.nn import functional as F

from geotether.devices import products_in
from geotether.encoders.context import LEAST_KNOWN, LocalContext
from geotether.encoders.networks import Layered
from geotether.encoders.positional import SphericalHarmonics

if TYPE_CHECKING:
    from geotether.encoders.location import LocationEncoder

# Tensor cores read factors in vectors of this many numbers: columns of parts begin at a multiple of it.
_ALIGNED = 16


class PointPath:
    """The function from places to vectors that `LocationEncoder.handout` is, with what all chunks of a call share.

    Observations, rasters and positional features are written side by side into one matrix, and each linear map of them
    (the first layer of the network, the projection of the readout) is one product with it, whose other factor has zeros
    where the map does not use a column. Equal to `handout` to 1e-5 of the largest number.

    Args:
        encoder: In evaluation mode, with a layered network.
        width: Length of the vectors, as `check_dim` returns it.
        rows: Largest number of places in one call.
        precision: See `products_in`.
    """

    def __init__(self, encoder: "LocationEncoder", width: int, rows: int, precision: str = "float32") -> None:
        self.encoder, self.width, self.precision = encoder, width, precision
        network, context = encoder.network, encoder.context
        assert isinstance(network, Layered)
        self.network, weight = network, network.first.weight.detach()
        self.device = weight.device
        # As under autocast, a network in double precision stays in it.
        kept = torch.bfloat16 if precision == "bf16" and weight.dtype == torch.float32 else weight.dtype
        widths = {name: 0 if context is None else context.dim_of(name) for name in ("observations", "rasters")}
        if "observations" not in encoder.part_names:
            widths["observations"] = 0
        widths["positional"] = encoder.positional.out_dim  # type: ignore[assignment]
        self.columns, total = {}, 0
        for name, count in widths.items():
            self.columns[name] = slice(total, total + count)
            total = aligned(total + count)
        self.samplers = {
            name: Sampler(context, name) for name in ("observations", "rasters") if context is not None and widths[name]
        }
        # Columns between the parts stay 0.
        self.features = torch.zeros(rows, total, dtype=kept, device=self.device)

        rasters, positional = self.columns["rasters"], self.columns["positional"]
        seen = network.first.in_features - widths["rasters"]
        self.seen = slice(rasters.start, aligned(positional.start + seen))
        first = weight.new_zeros(total, network.first.out_features)
        first[positional.start : positional.start + seen] = weight.T[:seen]
        if context is not None and widths["rasters"]:
            first[rasters] = weight.T[seen:] / context.spread("rasters").to(weight.dtype)[:, None]
        self.first = first[self.seen].to(kept)
        bias = network.first.bias
        self.bias = weight.new_zeros(network.first.out_features) if bias is None else bias.detach()

        if encoder.projection is not None:
            matrix, self.offset = encoder.projection.matrix(width)
            parts = dict(zip(encoder.part_names, matrix.split(encoder.projection.dims), strict=True))
            self.hidden_matrix = parts.pop("hidden").to(kept)
            projected = matrix.new_zeros(total, width)
            for name, part in parts.items():
                projected[self.columns[name]] = part
            self.projected = projected.to(kept)

    def __call__(
        self, lonlat: Float[Tensor, "n 2"], out: Float32[Tensor, "n width"] | None = None
    ) -> Float32[Tensor, "n width"]:
        """Return the vectors of places, at most `rows` of them; in `out`, if they are computed in float32."""
        encoder, features = self.encoder, self.features[: len(lonlat)]
        for source, sampler in self.samplers.items():
            sampler.write(lonlat, features[:, self.columns[source]])
        positional, own = encoder.positional, features[:, self.columns["positional"]]
        if isinstance(positional, SphericalHarmonics):
            positional.write(lonlat, own)
        else:
            own.copy_(positional(lonlat, dtype=self.bias.dtype))
        with products_in(self.precision, self.device):
            hidden = self.network.hidden_after(torch.addmm(self.bias, features[:, self.seen], self.first))
            if encoder.projection is not None:
                if out is None or features.dtype != torch.float32:
                    out = torch.addmm(self.offset, features, self.projected)
                else:
                    torch.addmm(self.offset, features, self.projected, out=out)
                return out.addmm_(hidden.to(out.dtype), self.hidden_matrix).float()
            parts = {name: features[:, columns] for name, columns in self.columns.items()} | {"hidden": hidden}
            if "output" in encoder.part_names:
                parts["output"] = self.network.output(hidden)
            joined = [parts[name].float() for name in encoder.part_names]
            return joined[0] if len(joined) == 1 else torch.cat(joined, dim=-1)


class Sampler:
    """The sampling of all levels of a source at once: what `LocalContext.forward` returns, to rounding.

    Args:
        context: The context.
        source: "rasters" or "observations", with at least one level.
    """

    def __init__(self, context: LocalContext, source: str) -> None:
        numbers = context.levels_of(source)
        device = context.get_buffer(f"unit/{numbers[0]}").device
        grids = [context.cells_of(number) for number in numbers]
        # One row per level; the nodes of all levels are in one index.
        self.west, self.gap, self.north, self.step, self.rows, self.columns = (
            torch.tensor([float(grid[key]) for grid in grids], dtype=torch.float64, device=device)[:, None]
            for key in ("west", "gap", "north", "step", "rows", "columns")
        )
        sizes = (self.rows + 2) * (self.columns + 2)
        self.before = sizes.cumsum(0) - sizes + self.columns + 3
        zero, one, below = torch.zeros_like(self.columns), torch.ones_like(self.columns), self.columns + 2
        self.corners = torch.cat((zero, one, below, below + 1), dim=1).long()[:, None]
        self.index = torch.cat([context.get_buffer(f"index/{number}") for number in numbers])
        self.values = [context.get_buffer(f"values/{n}").float() * context.get_buffer(f"unit/{n}") for n in numbers]
        self.last_row, self.last_column, self.outside = self.rows - 1, self.columns - 1, -one

    def write(self, lonlat: Float[Tensor, "n 2"], out: Float[Tensor, "n k"]) -> None:
        """Write the values around places."""
        lon, lat = lonlat.unbind(-1)
        x = ((lon - (self.west - self.gap)).remainder(360.0) - self.gap) / self.step
        x, y = x.clamp(self.outside, self.columns), ((self.north - lat) / self.step).clamp(self.outside, self.rows)
        left, top = x.floor().minimum(self.last_column), y.floor().minimum(self.last_row)
        start = (top * (self.columns + 2) + left + self.before).long()
        index = self.index[start[..., None] + self.corners]
        right, low = (x - left).float(), (y - top).float()
        right, low = torch.stack((1 - right, right), dim=-1), torch.stack((1 - low, low), dim=-1)
        known = (low[..., None] * right[..., None, :]).flatten(2) * (index > 0)
        share = known / known.sum(-1, keepdim=True).clamp(min=LEAST_KNOWN)
        nodes, column = (index - 1).clamp(min=0), 0
        for node, own, values in zip(nodes, share, self.values, strict=True):
            width = values.shape[1]
            out[:, column : column + width] = F.embedding_bag(node, values, mode="sum", per_sample_weights=own)
            column += width


def aligned(count: int) -> int:
    """Round up to a multiple of the alignment."""
    return -(-count // _ALIGNED) * _ALIGNED
