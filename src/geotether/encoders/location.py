"""The location encoder: positional encoding, network and readout."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from geotether.encoders.memory import PlaceMemory
from geotether.encoders.mixing import BlockMixing
from geotether.encoders.networks import NETWORKS
from geotether.encoders.positional import POSITIONAL
from geotether.geodesy.blocks import block_center, block_count
from geotether.plugins import constructor_arguments

# The parts of each readout, in the order in which they are joined.
READOUTS: dict[str, tuple[str, ...]] = {
    "output": ("output",),
    "hidden": ("hidden",),
    "hidden_and_output": ("hidden", "output"),
    "positional_hidden_and_output": ("positional", "hidden", "output"),
    "mixed_positional_and_output": ("positional", "output"),
    "mixed_positional_hidden_and_output": ("positional", "hidden", "output"),
}
# Total standard deviation of each part of a mixed readout; the modalities of a memory share one unit.
_SIZES = {"positional": 2.0, "hidden": 1.0, "output": 1.0}
# Side of the equal-area blocks at whose centres a mixed readout is fitted: about 4,000 places.
_SETTLING_BLOCK_KM = 350.0


class LocationEncoder(nn.Module):
    """A map from places to embeddings.

    Objectives see the network's output (`forward`). Users get what `handout` returns,
    because the layer before the output often contains more information than the output.

    Args:
        positional: Positional encoding, one of `POSITIONAL` or a module like them.
        network: Network, one of `NETWORKS` or a module like them; its `in_dim` must be the
            encoding's `out_dim`.
        readout: What users get: "output", "hidden" (the last hidden layer), "hidden_and_output" (the
            two joined in that order), "positional_hidden_and_output" (the positional encoding before them), or one
            of these after "mixed_": the parts are brought to given sizes and rotated together, so that a probe that
            standardises columns keeps their proportions; see `BlockMixing`.
        memory: Observations by place, as further parts of a mixed readout, or None.

    Attributes:
        embed_dim: Size of the output.
        handout_dim: Size of what `handout` returns.

    Raises:
        ValueError: If the sizes do not fit or the readout is unknown.
    """

    def __init__(
        self, positional: nn.Module, network: nn.Module, readout: str = "output", memory: PlaceMemory | None = None
    ) -> None:
        super().__init__()
        if readout not in READOUTS:
            raise ValueError(f"Unknown readout {readout!r}; choose one of {', '.join(READOUTS)}.")
        if positional.out_dim != network.in_dim:
            raise ValueError(
                f"The positional encoding gives {positional.out_dim} features and the network takes "
                f"{network.in_dim}; build the network with in_dim={positional.out_dim}."
            )
        self.positional = positional
        self.network = network
        self.readout = readout
        self.embed_dim: int = network.out_dim  # type: ignore[assignment]
        self.mixing: BlockMixing | None = None
        self.remember(memory)

    def remember(self, memory: PlaceMemory | None) -> None:
        """Add a filled memory to the readout, or remove it (None); call `settle` afterwards.

        Raises:
            ValueError: If the readout is not a mixed one: a memory cannot be joined without scaling.
        """
        dims = {"positional": self.positional.out_dim, "hidden": self.network.hidden_dim, "output": self.embed_dim}
        widths: list[int] = [dims[part] for part in READOUTS[self.readout]]  # type: ignore[misc]
        self.memory = memory
        if not self.readout.startswith("mixed_"):
            if memory is not None:
                raise ValueError(f"A memory needs a readout that starts with mixed_, got {self.readout!r}.")
            self.handout_dim: int = sum(widths)
            return
        sizes = [_SIZES[part] for part in READOUTS[self.readout]]
        if memory is not None:
            widths, sizes = widths + memory.dims, sizes + [len(memory.dims) ** -0.5] * len(memory.dims)
        self.mixing = BlockMixing(widths, sizes)
        self.handout_dim = self.mixing.out_dim
        self.to(next(self.network.parameters()).device)

    @property
    def config(self) -> dict[str, Any]:
        """Plain values from which `build_location_encoder` builds the same; TypeError if a part is not registered."""
        network = named_arguments(self.network, NETWORKS)
        del network["in_dim"], network["out_dim"]
        return {
            "positional": named_arguments(self.positional, POSITIONAL),
            "network": network,
            "embed_dim": self.embed_dim,
            "readout": self.readout,
            **({} if self.memory is None else {"memory": self.memory.config}),
        }

    def features(self, lonlat: Float[Tensor, "n 2"]) -> Float[Tensor, "n k"]:
        """Return the positional features of places (n, 2) in degrees, in the network's dtype.

        Angles are computed in float64 regardless of autocast; only the features are rounded.
        """
        weight = next(self.network.parameters())
        with torch.autocast(lonlat.device.type, enabled=False):
            return self.positional(lonlat, dtype=weight.dtype)

    def forward(self, lonlat: Float[Tensor, "n 2"]) -> Float32[Tensor, "n d"]:
        """Embed places as the objectives see them.

        Args:
            lonlat: Longitude and latitude in degrees, shape (n, 2), float64.

        Returns:
            Shape (n, embed_dim), float32, not normalised.

        Raises:
            ValueError: If a row is not a coordinate.
        """
        return self.network(self.features(lonlat)).float()

    def handout(self, lonlat: Float[Tensor, "n 2"]) -> Float32[Tensor, "n d"]:
        """Embed places as users get them; see `readout`. As `forward`, but of shape (n, handout_dim)."""
        parts = self._parts(lonlat)
        return (torch.cat(parts, dim=-1) if self.mixing is None else self.mixing(parts)).float()

    def settle(self) -> None:
        """Fit a mixed readout to the current weights, on places spread evenly over the Earth.

        Call it when the weights have their final values. Other readouts are not fitted.
        """
        if self.mixing is None:
            return
        places = block_center(np.arange(block_count(_SETTLING_BLOCK_KM)), _SETTLING_BLOCK_KM)
        was_training = self.training
        self.eval()
        with torch.no_grad():
            self.mixing.fit(self._parts(torch.tensor(places, device=self.mixing.centre.device)))
        self.train(was_training)

    def _parts(self, lonlat: Float[Tensor, "n 2"]) -> list[Tensor]:
        """The parts of the readout, in order."""
        positional = self.features(lonlat)
        hidden, output = self.network.forward_with_hidden(positional)  # type: ignore[operator]
        parts = {"positional": positional, "hidden": hidden, "output": output}
        remembered = [] if self.memory is None else self.memory(lonlat)
        return [*(parts[name] for name in READOUTS[self.readout]), *remembered]


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
