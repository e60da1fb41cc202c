"""Several perceptrons side by side whose outputs are added: GeoCLIP's location network."""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Capsules(nn.Module):
    """Cut the input into equal parts, send each through a perceptron of its own, and add the outputs.

    Each capsule has hidden layers ReLU(W x + b) and a linear map. After `equal_earth_fourier`, whose bandwidths
    lie side by side, every bandwidth gets its own capsule, as in GeoCLIP.

    Args:
        in_dim: Size of the positional encoding, a multiple of `num_capsules`.
        out_dim: Size of the output.
        num_capsules: Number of parts, 1 or more; GeoCLIP has three, one a bandwidth.
        capsule_dim: Width of every hidden layer of a capsule.
        num_layers: Number of hidden layers of a capsule, 1 or more.

    Attributes:
        hidden_dim: Width of all last hidden layers together, num_capsules * capsule_dim.

    Source:
        Vivanco Cepeda, Nayak & Shah (2023), NeurIPS, arXiv:2309.16020, section 3.2.

    Example:
        >>> Capsules(in_dim=1536, out_dim=512, num_capsules=3)(torch.zeros(3, 1536)).shape
        torch.Size([3, 512])
    """

    def __init__(
        self, in_dim: int, out_dim: int, num_capsules: int = 1, capsule_dim: int = 1024, num_layers: int = 3
    ) -> None:
        super().__init__()
        if num_capsules < 1 or capsule_dim < 1 or num_layers < 1:
            raise ValueError(
                f"num_capsules, capsule_dim and num_layers must be 1 or more, got {num_capsules}, {capsule_dim} "
                f"and {num_layers}."
            )
        if in_dim % num_capsules:
            raise ValueError(f"{in_dim} positional features cannot be dealt equally to {num_capsules} capsules.")
        self.in_dim = in_dim
        self.out_dim = out_dim
        self.num_capsules = num_capsules
        self.capsule_dim = capsule_dim
        self.num_layers = num_layers
        self.hidden_dim = num_capsules * capsule_dim
        widths = [in_dim // num_capsules] + [capsule_dim] * num_layers
        self.layers = nn.ModuleList(
            nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths)) for _ in range(num_capsules)
        )
        self.outputs = nn.ModuleList(nn.Linear(capsule_dim, out_dim) for _ in range(num_capsules))

    def forward_with_hidden(
        self, x: Float[Tensor, "n in_dim"]
    ) -> tuple[Float[Tensor, "n hidden_dim"], Float[Tensor, "n out_dim"]]:
        """Return the last hidden activations of all capsules, side by side, and the sum of their outputs."""
        hidden, output = [], x.new_zeros(len(x), self.out_dim)
        for part, layers, last in zip(x.chunk(self.num_capsules, dim=1), self.layers, self.outputs, strict=True):
            for layer in layers:  # type: ignore[attr-defined]
                part = torch.relu(layer(part))
            hidden.append(part)
            output = output + last(part)
        return torch.cat(hidden, dim=1), output

    def forward(self, x: Float[Tensor, "n in_dim"]) -> Float[Tensor, "n out_dim"]:
        """Return the output."""
        return self.forward_with_hidden(x)[1]
