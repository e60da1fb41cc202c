"""SIREN: a network of sine layers, as SatCLIP uses it."""

import math
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from geotether.encoders.networks.dropout import ByteDropout


class Siren(nn.Module):
    """Hidden layers sin(omega (W x + b)), then a linear map.

    Args:
        in_dim: Size of the positional encoding.
        out_dim: Size of the output.
        hidden_dim: Width of every hidden layer.
        num_layers: Number of hidden sine layers, 1 or more; SatCLIP's released encoders have two.
        omega_0: Frequency of the first layer.
        omega_0_hidden: Frequency of the other hidden layers; SatCLIP uses 1, Sitzmann et al. 30.
        dropout: Share of hidden activations dropped in training, [0, 1); SatCLIP uses 0.5.

    Source:
        Sitzmann et al. (2020), NeurIPS, arXiv:2006.09661, section 3.2 (layers and initial weights);
        Klemmer et al. (2025), AAAI, arXiv:2311.17179 (frequencies and dropout).

    Example:
        >>> Siren(in_dim=100, out_dim=256)(torch.zeros(3, 100)).shape
        torch.Size([3, 256])
    """

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        hidden_dim: int = 512,
        num_layers: int = 2,
        omega_0: float | int = 30.0,
        omega_0_hidden: float | int = 1.0,
        dropout: float | int = 0.0,
    ) -> None:
        super().__init__()
        if num_layers < 1 or hidden_dim < 1:
            raise ValueError(f"num_layers and hidden_dim must be 1 or more, got {num_layers} and {hidden_dim}.")
        self.in_dim = in_dim
        self.out_dim = out_dim
        self.hidden_dim = hidden_dim
        self.num_layers = num_layers
        self.omega_0 = omega_0
        self.omega_0_hidden = omega_0_hidden
        self.dropout = dropout
        widths = [in_dim] + [hidden_dim] * num_layers
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.drop = ByteDropout(dropout)
        self.output = nn.Linear(hidden_dim, out_dim)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw initial weights from the global generator; see Sitzmann et al., section 3.2."""
        for number, layer in enumerate([*self.layers, self.output]):
            bound = 1 / layer.in_features if number == 0 else math.sqrt(6 / layer.in_features) / self.omega_0_hidden
            nn.init.uniform_(layer.weight, -bound, bound)
            nn.init.uniform_(layer.bias, -bound, bound)

    def forward_with_hidden(
        self, x: Float[Tensor, "n in_dim"]
    ) -> tuple[Float[Tensor, "n hidden_dim"], Float[Tensor, "n out_dim"]]:
        """Return the last hidden activations and the output."""
        for number, layer in enumerate(self.layers):
            omega = self.omega_0 if number == 0 else self.omega_0_hidden
            x = self.drop(torch.sin(omega * layer(x)))
        return x, self.output(x)

    def forward(self, x: Float[Tensor, "n in_dim"]) -> Float[Tensor, "n out_dim"]:
        """Return the output."""
        return self.forward_with_hidden(x)[1]
