"""A perceptron for vectors, and for whatever is laid out as one."""

import math
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from geotether.encoders.networks.dropout import ByteDropout
from geotether.encoders.sensors.normalisation import BatchNorm


class Perceptron(nn.Module):
    """Hidden layers dropout(ReLU(norm(W x + b))), then a linear map.

    A series or a chip is laid out as one long vector: what a network without any notion of time or place makes of it.

    Args:
        shape: Of one row.
        out_dim: Size of the output.
        hidden_dim: Width of every hidden layer.
        num_layers: Number of hidden layers; 0: the linear map alone, for little data.
        dropout: Share of hidden activations dropped in training, [0, 1).

    Raises:
        ValueError: If an option is out of range.

    Example:
        >>> import torch
        >>> Perceptron(shape=(40,), out_dim=128)(torch.zeros(3, 40)).shape
        torch.Size([3, 128])
    """

    kinds: ClassVar[tuple[str, ...]] = ("vector", "series", "chip")
    any_size: ClassVar[bool] = False

    def __init__(
        self,
        shape: tuple[int, ...],
        out_dim: int,
        hidden_dim: int = 256,
        num_layers: int = 2,
        dropout: float | int = 0.2,
    ) -> None:
        super().__init__()
        if num_layers < 0 or hidden_dim < 1:
            raise ValueError(f"num_layers must be 0 or more and hidden_dim 1 or more, got {num_layers}, {hidden_dim}.")
        self.shape = shape
        self.out_dim = out_dim
        self.hidden_dim = hidden_dim
        self.num_layers = num_layers
        self.dropout = dropout
        layers: list[nn.Module] = []
        widths = [math.prod(shape)] + [hidden_dim] * num_layers
        for width in widths[:-1]:
            layers += [nn.Linear(width, hidden_dim), BatchNorm(hidden_dim), nn.ReLU(), ByteDropout(dropout)]
        self.layers = nn.Sequential(*layers)
        self.output = nn.Linear(widths[-1], out_dim)

    def forward(self, x: Float[Tensor, "n *row"]) -> Float[Tensor, "n out_dim"]:
        """Return the output."""
        return self.output(self.layers(x.flatten(1)))
