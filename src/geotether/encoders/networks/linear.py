"""One linear map: what a positional encoding can do without a network."""

from jaxtyping import Float
from torch import Tensor, nn


class Linear(nn.Module):
    """A linear map; its last hidden activations are its input.

    Args:
        in_dim: Size of the positional encoding.
        out_dim: Size of the output.

    Attributes:
        hidden_dim: The same as `in_dim`.

    Source:
        "Linear" in Russwurm et al. (2024), ICLR, arXiv:2310.06743, section 3.2.

    Example:
        >>> import torch
        >>> Linear(in_dim=100, out_dim=256)(torch.zeros(3, 100)).shape
        torch.Size([3, 256])
    """

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.in_dim = in_dim
        self.out_dim = out_dim
        self.hidden_dim = in_dim
        self.output = nn.Linear(in_dim, out_dim)

    def forward_with_hidden(
        self, x: Float[Tensor, "n in_dim"]
    ) -> tuple[Float[Tensor, "n in_dim"], Float[Tensor, "n out_dim"]]:
        """Return the input and the output."""
        return x, self.output(x)

    def forward(self, x: Float[Tensor, "n in_dim"]) -> Float[Tensor, "n out_dim"]:
        """Return the output."""
        return self.output(x)
