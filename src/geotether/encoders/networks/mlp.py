"""A plain multi-layer perceptron."""

from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from geotether.encoders.networks.dropout import ByteDropout


class MLP(nn.Module):
    """Hidden layers GELU(W x + b), then a linear map.

    Args:
        in_dim: Size of the positional encoding.
        out_dim: Size of the output.
        hidden_dim: Width of every hidden layer.
        num_layers: Number of hidden layers, 1 or more.
        dropout: Share of hidden activations dropped in training, [0, 1).

    Source:
        Hendrycks & Gimpel (2016), arXiv:1606.08415 (GELU).

    Example:
        >>> import torch
        >>> MLP(in_dim=100, out_dim=256)(torch.zeros(3, 100)).shape
        torch.Size([3, 256])
    """

    def __init__(
        self, in_dim: int, out_dim: int, hidden_dim: int = 512, num_layers: int = 2, dropout: float | int = 0.0
    ) -> None:
        super().__init__()
        if num_layers < 1 or hidden_dim < 1:
            raise ValueError(f"num_layers and hidden_dim must be 1 or more, got {num_layers} and {hidden_dim}.")
        self.in_dim = in_dim
        self.out_dim = out_dim
        self.hidden_dim = hidden_dim
        self.num_layers = num_layers
        self.dropout = dropout
        widths = [in_dim] + [hidden_dim] * num_layers
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.drop = ByteDropout(dropout)
        self.output = nn.Linear(hidden_dim, out_dim)

    def forward_with_hidden(
        self, x: Float[Tensor, "n in_dim"]
    ) -> tuple[Float[Tensor, "n hidden_dim"], Float[Tensor, "n out_dim"]]:
        """Return the last hidden activations and the output."""
        for layer in self.layers:
            x = self.drop(F.gelu(layer(x)))
        return x, self.output(x)

    def forward(self, x: Float[Tensor, "n in_dim"]) -> Float[Tensor, "n out_dim"]:
        """Return the output."""
        return self.forward_with_hidden(x)[1]
