"""The location encoder: positional encoding, local context, network and readout."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from geotether.encoders.context import LocalContext
from geotether.encoders.grid_path import handout_on_grid
from geotether.encoders.networks import NETWORKS
from geotether.encoders.positional import POSITIONAL, SphericalHarmonics
from geotether.encoders.readout import Readout, Response
from geotether.geodesy.blocks import block_center, block_count
from geotether.geodesy.coordinates import check_lonlat, checked_places
from geotether.plugins import constructor_arguments

# The parts of each readout, in the order in which they are joined.
READOUTS: dict[str, tuple[str, ...]] = {
    "output": ("output",),
    "hidden": ("hidden",),
    "hidden_and_output": ("hidden", "output"),
    "positional_hidden_and_output": ("positional", "hidden", "output"),
    "projected": ("positional", "rasters", "observations", "hidden"),
}
# Total standard deviation of each part of a projected readout.
_SIZES = {"positional": 2.0, "rasters": 1.0, "observations": 1.0, "hidden": 1.0}
# Columns that a projected readout returns by default.
_DIM = 256
# Places at which a projected readout is fitted: centres of equal-area blocks of this side, about 4,000; or, with a
# context, this number of places among the nodes that it stores.
_SETTLING_BLOCK_KM = 350.0
_SETTLING_PLACES = 8000
_ROWS = 4096


class LocationEncoder(nn.Module):
    """A map from places to embeddings.

    Objectives see the network's output (`forward`). Users get what `handout` returns,
    because the layer before the output often contains more information than the output.

    The network's input is the positional encoding (of spherical harmonics the degrees up to `network_degree`) and, if
    the context has rasters, their values around the place, standardised. Observations are not an input of the network;
    they are a part of a projected readout.

    Args:
        positional: Positional encoding, one of `POSITIONAL` or a module like them.
        network: Network, one of `NETWORKS` or a module like them; its `in_dim` must be that of the input.
        readout: What users get: "output", "hidden" (the last hidden layer), "hidden_and_output" (the
            two joined in that order), "positional_hidden_and_output" (the positional encoding before them), or
            "projected": positional encoding, context and hidden layer, projected on few directions; see `Readout`.
        context: What rasters and observations show around a place, or None.
        network_degree: Highest degree of spherical harmonics that the network sees; None for the whole encoding.
        dim: Columns that a projected readout returns by default; None for 256.

    Attributes:
        embed_dim: Size of the output.
        full_dim: Largest size of what `handout` returns.
        handout_dim: Its size by default; smaller than `full_dim` only if the readout is projected.
        part_names: Names of the parts of the readout, in order.

    Raises:
        ValueError: If the sizes do not fit or the readout is unknown.
    """

    def __init__(
        self,
        positional: nn.Module,
        network: nn.Module,
        readout: str = "output",
        context: LocalContext | None = None,
        network_degree: int | None = None,
        dim: int | None = None,
    ) -> None:
        super().__init__()
        if readout not in READOUTS:
            raise ValueError(f"Unknown readout {readout!r}; choose one of {', '.join(READOUTS)}.")
        if dim is not None and (readout != "projected" or isinstance(dim, bool) or not isinstance(dim, int) or dim < 1):
            raise ValueError(f"dim must be an integer of 1 or more and needs the readout projected, got {dim!r}.")
        in_dim = network_input_dim(positional, network_degree, context)
        if in_dim != network.in_dim:
            parts = "the positional encoding gives" if context is None else "positional encoding and context give"
            raise ValueError(
                f"For the network {parts} {in_dim} features and it takes {network.in_dim}; build the network with "
                f"in_dim={in_dim}."
            )
        self.positional = positional
        self.network = network
        # The degrees that the network sees, so that training does not compute the others.
        self.low_degrees = None if network_degree is None else degrees_up_to(positional, network_degree)
        self.context = context
        self.readout = readout
        self.network_degree = network_degree
        self.embed_dim: int = network.out_dim  # type: ignore[assignment]
        widths = {
            "positional": positional.out_dim,
            "rasters": 0 if context is None else context.dim_of("rasters"),
            "observations": 0 if context is None else context.dim_of("observations"),
            "hidden": network.hidden_dim,
            "output": network.out_dim,
        }
        self.part_names = tuple(name for name in READOUTS[readout] if widths[name])
        dims: list[int] = [widths[name] for name in self.part_names]  # type: ignore[misc]
        self.projection = Readout(dims, [_SIZES[name] for name in self.part_names]) if readout == "projected" else None
        self.full_dim = sum(dims) if self.projection is None else self.projection.out_dim
        self.handout_dim = self.full_dim if self.projection is None else min(dim or _DIM, self.full_dim)

    @property
    def config(self) -> dict[str, Any]:
        """Plain values from which `build_location_encoder` builds the same; TypeError if a part is not registered."""
        network = named_arguments(self.network, NETWORKS)
        del network["in_dim"], network["out_dim"]
        optional = {
            "network_degree": self.network_degree,
            "dim": None if self.projection is None else self.handout_dim,
            "context": None if self.context is None else self.context.config,
        }
        return {
            "positional": named_arguments(self.positional, POSITIONAL),
            "network": network,
            "embed_dim": self.embed_dim,
            "readout": self.readout,
            **{key: value for key, value in optional.items() if value is not None},
        }

    def features(self, lonlat: Float[Tensor, "n 2"], of_network: bool = False) -> Float[Tensor, "n k"]:
        """Return the positional features of places (n, 2) in degrees, in the network's dtype.

        Angles are computed in float64 regardless of autocast; only the features are rounded. With `of_network`, only
        those that the network sees.
        """
        weight = next(self.network.parameters())
        positional = self.low_degrees if of_network and self.low_degrees is not None else self.positional
        with torch.autocast(lonlat.device.type, enabled=False):
            return positional(lonlat, dtype=weight.dtype)

    def forward(
        self,
        lonlat: Float[Tensor, "n 2"],
        keep: Float[Tensor, "n levels"] | None = None,
        noise: Float[Tensor, "n rasters"] | None = None,
    ) -> Float32[Tensor, "n d"]:
        """Embed places as the objectives see them.

        Args:
            lonlat: Longitude and latitude in degrees, shape (n, 2), float64.
            keep: Factors on the standardised values of each level of rasters, shape (n, number of such levels): 0
                leaves a level out, which training does at random. By default 1.
            noise: Added to these values before that, shape (n, number of their columns). By default 0.

        Returns:
            Shape (n, embed_dim), float32, not normalised.

        Raises:
            ValueError: If a row is not a coordinate.
        """
        rasters = self._fields("rasters", lonlat)
        return self.network(self._input(self.features(lonlat, of_network=True), rasters, keep, noise)).float()

    def layers(self, lonlat: Float[Tensor, "n 2"]) -> tuple[Float[Tensor, "n hidden"], Float32[Tensor, "n d"]]:
        """Return what the network makes of places: its last hidden layer, and the output as `forward` returns it."""
        network_input = self._input(self.features(lonlat, of_network=True), self._fields("rasters", lonlat))
        hidden, output = self.network.forward_with_hidden(network_input)  # type: ignore[operator]
        return hidden, output.float()

    def handout(self, lonlat: Float[Tensor, "n 2"], dim: int | str | None = None) -> Float32[Tensor, "n d"]:
        """Embed places as users get them; see `readout`.

        Args:
            lonlat: As in `forward`.
            dim: Number of columns, from 1 to `full_dim`, if the readout is projected; "full" for all; by default
                `handout_dim`.

        Returns:
            Shape (n, dim), float32, not normalised.

        Raises:
            ValueError: If a row is not a coordinate, or the readout does not have so many columns.
        """
        width = self.check_dim(dim)
        parts = self.parts(lonlat)
        return (torch.cat(parts, dim=-1) if self.projection is None else self.projection(parts, width)).float()

    def handout_grid(
        self,
        lon: Float[Tensor, " c"],
        lat: Float[Tensor, " r"],
        dim: int | str | None = None,
    ) -> Float32[Tensor, "r c d"]:
        """Embed a grid of places as `handout` does, faster; equal to 1e-5 of the largest number.

        Args:
            lon: Longitudes of the columns in degrees, shape (c,), [-180, 360].
            lat: Latitudes of the rows in degrees, shape (r,), [-90, 90].
            dim: As in `handout`.

        Returns:
            Shape (r, c, dim), float32, without gradient; call it in evaluation mode.

        Raises:
            ValueError: As `handout` does.
        """
        width = self.check_dim(dim)
        lon, lat = lon.double(), lat.double()
        check_lonlat(torch.stack((lon, torch.zeros_like(lon)), dim=-1))
        check_lonlat(torch.stack((torch.zeros_like(lat), lat), dim=-1))
        with torch.no_grad(), checked_places():
            return handout_on_grid(self, lon, lat, width)

    def handout_and_embedding(
        self, lonlat: Float[Tensor, "n 2"]
    ) -> tuple[Float32[Tensor, "n d"], Float32[Tensor, "n e"]]:
        """Embed places as `handout` and as `forward` do, in one pass; call it in evaluation mode.

        Raises:
            ValueError: If a row is not a coordinate.
        """
        known = {"positional": self.features(lonlat), "rasters": self._fields("rasters", lonlat)}
        network_input = self._input(known["positional"], known["rasters"])
        known["hidden"], known["output"] = self.network.forward_with_hidden(network_input)  # type: ignore[operator]
        if "observations" in self.part_names:
            known["observations"] = self._fields("observations", lonlat)
        parts = [known[name] for name in self.part_names]
        vectors = torch.cat(parts, dim=-1) if self.projection is None else self.projection(parts, self.handout_dim)
        return vectors.float(), known["output"].float()

    def check_dim(self, dim: int | str | None) -> int:
        """Return the number of columns of `handout`; ValueError if the readout does not have so many."""
        if dim is None or dim == "full":
            return self.handout_dim if dim is None else self.full_dim
        if self.projection is None and dim != self.full_dim:
            raise ValueError(
                f"This model's readout is not projected: its vectors have {self.full_dim} numbers, not {dim}. "
                "Leave dim out, or train a model with encoder.readout: projected."
            )
        if isinstance(dim, bool) or not isinstance(dim, int) or not 1 <= dim <= self.full_dim:
            raise ValueError(f"dim must be an integer from 1 to {self.full_dim} or 'full', got {dim!r}.")
        return dim

    def numbers_per_place(self, width: int) -> int:
        """Return about how many numbers are in memory per place while vectors of a length are computed."""
        network: Any = self.network
        return 3 * (self.positional.out_dim + network.in_dim + network.hidden_dim + width)  # type: ignore[operator]

    def settle(
        self, places: Float[Tensor, "n 2"] | None = None, responses: Iterable[Response] = (), share: float = 0.5
    ) -> None:
        """Fit a projected readout to the current weights; other readouts are not fitted.

        Call it when the weights have their final values.

        Args:
            places: Representative places, shape (n, 2) in degrees; by default drawn evenly from the nodes that the
                context stores (usually land), or spread evenly over the Earth if there is none.
            responses: What the readout should predict; their parts are those of `parts`.
            share: See `Readout.fit`.
        """
        if self.projection is None:
            return
        if places is None:
            places = None if self.context is None else self.context.places(_SETTLING_PLACES)
        if places is None:
            places = torch.from_numpy(block_center(np.arange(block_count(_SETTLING_BLOCK_KM)), _SETTLING_BLOCK_KM))
        was_training = self.training
        self.eval()
        with torch.no_grad():
            self.projection.fit(self.parts_of_many(places), responses, share)
        self.train(was_training)

    def parts(self, lonlat: Float[Tensor, "n 2"]) -> list[Tensor]:
        """Return the parts of the readout at places, in the order of `part_names`; call it in evaluation mode."""
        parts = {"positional": self.features(lonlat), "rasters": self._fields("rasters", lonlat)}
        if "observations" in self.part_names:
            parts["observations"] = self._fields("observations", lonlat)
        parts |= self.network_parts(parts["positional"], parts["rasters"])
        return [parts[name] for name in self.part_names]

    def network_parts(self, positional: Float[Tensor, "n k"], rasters: Float[Tensor, "n j"]) -> dict[str, Tensor]:
        """Return the parts of the readout that the network computes, from its input: "hidden", and "output" if used."""
        network_input = self._input(positional, rasters)
        if "output" not in self.part_names:
            return {"hidden": last_hidden(self.network, network_input)}
        hidden, output = self.network.forward_with_hidden(network_input)  # type: ignore[operator]
        return {"hidden": hidden, "output": output}

    def parts_of_many(self, lonlat: Float[Tensor, "n 2"]) -> list[Tensor]:
        """Return the parts at any number of places on any device, some thousand at a time and without gradient."""
        with torch.no_grad():
            chunks = lonlat.to(next(self.network.parameters()).device).split(_ROWS)
            return [torch.cat(part) for part in zip(*(self.parts(chunk) for chunk in chunks), strict=True)]

    def _fields(self, source: str, lonlat: Tensor) -> Float[Tensor, "n k"]:
        """Return the context of a source, (n, k) in the network's dtype; no columns without a context."""
        weight = next(self.network.parameters())
        if self.context is None or not self.context.dim_of(source):
            return weight.new_zeros(lonlat.shape[0], 0)
        with torch.autocast(lonlat.device.type, enabled=False):
            return self.context(lonlat, source).to(weight.dtype)

    def _input(
        self, positional: Tensor, rasters: Tensor, keep: Tensor | None = None, noise: Tensor | None = None
    ) -> Float[Tensor, "n k"]:
        """Return the network's input: positional features and standardised context."""
        positional = positional[:, : self.network.in_dim - rasters.shape[1]]  # type: ignore[operator]
        if self.context is None or not rasters.shape[1]:
            return positional
        rasters = rasters / self.context.spread("rasters").to(rasters.dtype)
        if noise is not None:
            rasters = rasters + noise.to(rasters.dtype)
        if keep is not None:
            dims = [self.context.dims[level] for level in self.context.levels_of("rasters")]
            levels = [part.expand(-1, dim) for part, dim in zip(keep.to(rasters.dtype).split(1, 1), dims, strict=True)]
            rasters = rasters * torch.cat(levels, dim=1)
        return torch.cat((positional, rasters), dim=1)


def network_input_dim(positional: nn.Module, network_degree: int | None, context: LocalContext | None) -> int:
    """Return the number of features that a location encoder gives its network.

    Raises:
        ValueError: If `network_degree` is negative, or the positional encoding is not spherical harmonics.
    """
    rasters = 0 if context is None else context.dim_of("rasters")
    seen = positional if network_degree is None else degrees_up_to(positional, network_degree)
    return seen.out_dim + rasters  # type: ignore[operator, return-value]


def degrees_up_to(positional: nn.Module, network_degree: int) -> SphericalHarmonics:
    """Return the first degrees of a positional encoding by spherical harmonics.

    Raises:
        ValueError: If the degree is negative, or the encoding is another.
    """
    if not isinstance(positional, SphericalHarmonics) or isinstance(network_degree, bool) or network_degree < 0:
        raise ValueError(
            f"network_degree must be a degree of the positional encoding spherical_harmonics, or null for all of an "
            f"encoding; got {network_degree!r} with {type(positional).__name__}."
        )
    degree = min(network_degree, positional.l_max)
    return SphericalHarmonics(degree, positional.taper_degree, positional.taper_power, positional.scale)


def last_hidden(network: Any, network_input: Float[Tensor, "n in_dim"]) -> Float[Tensor, "n hidden_dim"]:
    """Return the last hidden layer, without computing the output where the network can; plug-ins need not."""
    own = getattr(network, "last_hidden", None)
    return network.forward_with_hidden(network_input)[0] if own is None else own(network_input)


def named_arguments(module: nn.Module, registry: dict[str, type[nn.Module]]) -> dict[str, Any]:
    """Return {"name": ..., argument: value, ...} of a registered module; tuples become lists, as in JSON.

    Raises:
        TypeError: If the module's class is not in the registry.
    """
    names = [name for name, kind in registry.items() if type(module) is kind]
    if not names:
        raise TypeError(f"{type(module).__name__} is not registered; known: {', '.join(registry)}.")
    arguments = {key: getattr(module, key) for key in constructor_arguments(type(module))}
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in arguments.items()}
    return {"name": names[0], **plain}
