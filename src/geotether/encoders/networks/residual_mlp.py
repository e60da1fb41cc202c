"""A perceptron with residual blocks and layer normalisation."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from geotether.encoders.networks.dropout import ByteDropout


class ResidualMLP(nn.Module):
    """A linear map in, residual blocks x + W2 GELU(W1 norm(x)), and a linear map out.

    Args:
        in_dim: Size of the positional encoding.
        out_dim: Size of the output.
        hidden_dim: Width of the blocks, inside and out.
        num_layers: Number of residual blocks, 1 or more.
        dropout: Share of each block's inner activations dropped in training, [0, 1).

    Source:
        He et al. (2016), ECCV, arXiv:1603.05027 (normalisation before the block);
        Mac Aodha, Cole & Perona (2019), ICCV, arXiv:1906.05272 (residual location network).

    Example:
        >>> import torch
        >>> ResidualMLP(in_dim=100, out_dim=256)(torch.zeros(3, 100)).shape
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
        self.input = nn.Linear(in_dim, hidden_dim)
        self.norms = nn.ModuleList(nn.LayerNorm(hidden_dim) for _ in range(num_layers))
        self.inner = nn.ModuleList(nn.Linear(hidden_dim, hidden_dim) for _ in range(num_layers))
        self.outer = nn.ModuleList(nn.Linear(hidden_dim, hidden_dim) for _ in range(num_layers))
        self.drop = ByteDropout(dropout)
        self.norm = nn.LayerNorm(hidden_dim)
        self.output = nn.Linear(hidden_dim, out_dim)

    def forward_with_hidden(
        self, x: Float[Tensor, "n in_dim"]
    ) -> tuple[Float[Tensor, "n hidden_dim"], Float[Tensor, "n out_dim"]]:
        """Return the last hidden activations (after their normalisation) and the output."""
        x = self.input(x)
        for norm, inner, outer in zip(self.norms, self.inner, self.outer, strict=True):
            x = x + outer(self.drop(F.gelu(inner(norm(x)))))
        x = self.norm(x)
        return x, self.output(x)

    def forward(self, x: Float[Tensor, "n in_dim"]) -> Float[Tensor, "n out_dim"]:
        """Return the output."""
        return self.forward_with_hidden(x)[1]
