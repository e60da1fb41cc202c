"""Networks from positional features to embeddings.

Every class takes `in_dim` (size of the positional encoding), `out_dim` (size of the output) and plain arguments, keeps
them as attributes of the same name, and has `hidden_dim` (width of the last hidden layer) and
`forward_with_hidden(x) -> (hidden, output)`.
"""

import math
from abc import ABC, abstractmethod
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from geotether.encoders.layers import ByteDropout
from geotether.plugins import Registry


class Network(nn.Module, ABC):
    """Base of the networks: `forward` returns the output of `forward_with_hidden`."""

    @abstractmethod
    def forward_with_hidden(self, x: Float[Tensor, "n in_dim"]) -> tuple[Tensor, Tensor]:
        """Return the last hidden activations, shape (n, hidden_dim), and the output, shape (n, out_dim)."""

    def forward(self, x: Float[Tensor, "n in_dim"]) -> Float[Tensor, "n out_dim"]:
        """Return the output."""
        return self.forward_with_hidden(x)[1]

    def last_hidden(self, x: Float[Tensor, "n in_dim"]) -> Float[Tensor, "n hidden_dim"]:
        """Return the last hidden activations."""
        return self.forward_with_hidden(x)[0]

    def _keep(self, in_dim: int, out_dim: int, hidden_dim: int, num_layers: int, dropout: float | int) -> None:
        """Check and keep the arguments of a network of equal hidden layers with dropout."""
        if num_layers < 1 or hidden_dim < 1:
            raise ValueError(f"num_layers and hidden_dim must be 1 or more, got {num_layers} and {hidden_dim}.")
        self.in_dim, self.out_dim = in_dim, out_dim
        self.hidden_dim, self.num_layers = hidden_dim, num_layers
        self.dropout = dropout
        self.drop = ByteDropout(dropout)


class Layered(Network):
    """Base of the networks whose output is a linear map, `output`, of the last hidden layer."""

    output: nn.Linear

    @property
    @abstractmethod
    def first(self) -> nn.Linear:
        """The layer that reads the input; nothing else does."""

    @abstractmethod
    def hidden_after(self, x: Float[Tensor, "n width"]) -> Float[Tensor, "n hidden_dim"]:
        """Return the last hidden activations from what the first layer returned."""

    def last_hidden(self, x: Float[Tensor, "n in_dim"]) -> Float[Tensor, "n hidden_dim"]:
        """Return the last hidden activations."""
        return self.hidden_after(self.first(x))

    def forward_with_hidden(self, x: Float[Tensor, "n in_dim"]) -> tuple[Tensor, Tensor]:
        """Return the last hidden activations and the output."""
        hidden = self.last_hidden(x)
        return hidden, self.output(hidden)


class Linear(Network):
    """A linear map, the baseline of what a positional encoding does without a network; the hidden layer is the input.

    Source:
        "Linear" in Russwurm et al. (2024), ICLR, arXiv:2310.06743, section 3.2.
    """

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.in_dim = in_dim
        self.out_dim = out_dim
        self.hidden_dim = in_dim
        self.output = nn.Linear(in_dim, out_dim)

    def forward_with_hidden(self, x: Float[Tensor, "n in_dim"]) -> tuple[Tensor, Tensor]:
        """Return the input and the output."""
        return x, self.output(x)


class MLP(Layered):
    """Hidden layers GELU(W x + b), then a linear map.

    Args:
        hidden_dim: Width of every hidden layer.
        num_layers: Number of hidden layers, 1 or more.
        dropout: Share of hidden activations dropped in training, [0, 1).

    Source:
        Hendrycks & Gimpel (2016), arXiv:1606.08415 (GELU).
    """

    def __init__(
        self, in_dim: int, out_dim: int, hidden_dim: int = 512, num_layers: int = 2, dropout: float | int = 0.0
    ) -> None:
        super().__init__()
        self._keep(in_dim, out_dim, hidden_dim, num_layers, dropout)
        widths = [in_dim] + [hidden_dim] * num_layers
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.output = nn.Linear(hidden_dim, out_dim)

    @property
    def first(self) -> nn.Linear:
        """The layer that reads the input."""
        return self.layers[0]  # type: ignore[return-value]

    def hidden_after(self, x: Float[Tensor, "n width"]) -> Float[Tensor, "n hidden_dim"]:
        """Return the last hidden activations from what the first layer returned."""
        x = self.drop(F.gelu(x))
        for layer in self.layers[1:]:
            x = self.drop(F.gelu(layer(x)))
        return x


class ResidualMLP(Layered):
    """A linear map in, residual blocks x + W2 GELU(W1 norm(x)), and a linear map out.

    Args:
        hidden_dim: Width of the blocks, inside and out.
        num_layers: Number of residual blocks, 1 or more.
        dropout: Share of each block's inner activations dropped in training, [0, 1).

    Source:
        He et al. (2016), ECCV, arXiv:1603.05027 (normalisation before the block);
        Mac Aodha, Cole & Perona (2019), ICCV, arXiv:1906.05272 (residual location network).
    """

    def __init__(
        self, in_dim: int, out_dim: int, hidden_dim: int = 512, num_layers: int = 2, dropout: float | int = 0.0
    ) -> None:
        super().__init__()
        self._keep(in_dim, out_dim, hidden_dim, num_layers, dropout)
        self.input = nn.Linear(in_dim, hidden_dim)
        self.norms = nn.ModuleList(nn.LayerNorm(hidden_dim) for _ in range(num_layers))
        self.inner = nn.ModuleList(nn.Linear(hidden_dim, hidden_dim) for _ in range(num_layers))
        self.outer = nn.ModuleList(nn.Linear(hidden_dim, hidden_dim) for _ in range(num_layers))
        self.norm = nn.LayerNorm(hidden_dim)
        self.output = nn.Linear(hidden_dim, out_dim)

    @property
    def first(self) -> nn.Linear:
        """The layer that reads the input."""
        return self.input

    def hidden_after(self, x: Float[Tensor, "n width"]) -> Float[Tensor, "n hidden_dim"]:
        """Return the last hidden activations, after their normalisation, from what the first layer returned."""
        for norm, inner, outer in zip(self.norms, self.inner, self.outer, strict=True):
            x = x + outer(self.drop(F.gelu(inner(norm(x)))))
        return self.norm(x)


class Siren(Layered):
    """Hidden layers sin(omega (W x + b)), then a linear map.

    Args:
        hidden_dim: Width of every hidden layer.
        num_layers: Number of hidden sine layers, 1 or more; SatCLIP's released encoders have two.
        omega_0: Frequency of the first layer.
        omega_0_hidden: Frequency of the other hidden layers; SatCLIP uses 1, Sitzmann et al. 30.
        dropout: Share of hidden activations dropped in training, [0, 1); SatCLIP uses 0.5.

    Source:
        Sitzmann et al. (2020), NeurIPS, arXiv:2006.09661, section 3.2 (layers and initial weights);
        Klemmer et al. (2025), AAAI, arXiv:2311.17179 (frequencies and dropout).
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
        self._keep(in_dim, out_dim, hidden_dim, num_layers, dropout)
        self.omega_0 = omega_0
        self.omega_0_hidden = omega_0_hidden
        widths = [in_dim] + [hidden_dim] * num_layers
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.output = nn.Linear(hidden_dim, out_dim)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw initial weights from the global generator; see Sitzmann et al., section 3.2."""
        for number, layer in enumerate([*self.layers, self.output]):
            bound = 1 / layer.in_features if number == 0 else math.sqrt(6 / layer.in_features) / self.omega_0_hidden
            nn.init.uniform_(layer.weight, -bound, bound)
            nn.init.uniform_(layer.bias, -bound, bound)

    @property
    def first(self) -> nn.Linear:
        """The layer that reads the input."""
        return self.layers[0]  # type: ignore[return-value]

    def hidden_after(self, x: Float[Tensor, "n width"]) -> Float[Tensor, "n hidden_dim"]:
        """Return the last hidden activations from what the first layer returned."""
        x = self.drop(torch.sin(self.omega_0 * x))
        for layer in self.layers[1:]:
            x = self.drop(torch.sin(self.omega_0_hidden * layer(x)))
        return x


class Capsules(Network):
    """Equal parts of the input, each through its own perceptron, with the outputs added: GeoCLIP's location network.

    Each capsule has hidden layers ReLU(W x + b) and a linear map. After `equal_earth_fourier`, whose bandwidths
    are adjacent columns, every bandwidth has its own capsule, as in GeoCLIP.

    Args:
        num_capsules: Number of parts, 1 or more, by which `in_dim` is divisible; GeoCLIP has three, one per bandwidth.
        capsule_dim: Width of every hidden layer of a capsule.
        num_layers: Number of hidden layers of a capsule, 1 or more.

    Attributes:
        hidden_dim: Width of all last hidden layers together, num_capsules * capsule_dim.

    Source:
        Vivanco Cepeda, Nayak & Shah (2023), NeurIPS, arXiv:2309.16020, section 3.2.
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
            raise ValueError(f"{in_dim} positional features cannot be split into {num_capsules} equal capsules.")
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

    def forward_with_hidden(self, x: Float[Tensor, "n in_dim"]) -> tuple[Tensor, Tensor]:
        """Return the last hidden activations of all capsules, joined, and the sum of their outputs."""
        hidden, output = [], x.new_zeros(x.shape[0], self.out_dim)
        for part, layers, last in zip(x.chunk(self.num_capsules, dim=1), self.layers, self.outputs, strict=True):
            for layer in layers:  # type: ignore[attr-defined]
                part = torch.relu(layer(part))
            hidden.append(part)
            output = output + last(part)
        return torch.cat(hidden, dim=1), output


NETWORKS = Registry(
    "network",
    "geotether.networks",
    {
        "siren": Siren,
        "residual_mlp": ResidualMLP,
        "mlp": MLP,
        "linear": Linear,
        "capsules": Capsules,
    },
)
register_network = NETWORKS.register
"""Class decorator `@register_network("name")`; see docs/extend.md."""
