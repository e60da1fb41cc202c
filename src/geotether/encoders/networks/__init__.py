"""Networks from positional features to embeddings.

Every class has `in_dim`, `out_dim`, `hidden_dim` (width of the last hidden layer),
`forward(x)` and `forward_with_hidden(x) -> (hidden, output)`.
"""

from torch import nn

from geotether.encoders.networks.capsules import Capsules
from geotether.encoders.networks.linear import Linear
from geotether.encoders.networks.mlp import MLP
from geotether.encoders.networks.residual_mlp import ResidualMLP
from geotether.encoders.networks.siren import Siren

NETWORKS: dict[str, type[nn.Module]] = {
    "siren": Siren,
    "residual_mlp": ResidualMLP,
    "mlp": MLP,
    "linear": Linear,
    "capsules": Capsules,
}

__all__ = ["MLP", "NETWORKS", "Capsules", "Linear", "ResidualMLP", "Siren"]
