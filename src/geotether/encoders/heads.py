"""Projection heads: from a modality's features to the shared space."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from geotether.encoders.networks.dropout import ByteDropout
from geotether.moments import mean_and_scale


class ProjectionHead(nn.Module):
    """Standardise features, then project them into the shared space.

    Args:
        in_dim: Size of the features.
        embed_dim: Size of the embedding.
        hidden_dim: Width of one GELU layer in between; 0 makes the head linear.
        dropout: Share of hidden activations (or of features, if linear) dropped in training, [0, 1).

    Attributes:
        mean: Subtracted from the features, shape (in_dim,); zeros until fitted.
        scale: Divides them afterwards, shape (in_dim,); ones until fitted.

    Raises:
        ValueError: If a size is out of range.

    Source:
        Chen et al. (2020), ICML, arXiv:2002.05709, section 4.2 (head with one hidden layer).

    Example:
        >>> ProjectionHead(in_dim=64, embed_dim=256)(torch.zeros(3, 64)).shape
        torch.Size([3, 256])
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, in_dim: int, embed_dim: int, hidden_dim: int = 0, dropout: float | int = 0.0) -> None:
        super().__init__()
        if in_dim < 1 or embed_dim < 1 or hidden_dim < 0:
            raise ValueError(
                "in_dim and embed_dim must be 1 or more and hidden_dim 0 (linear) or more, "
                f"got {in_dim}, {embed_dim} and {hidden_dim}."
            )
        self.in_dim = in_dim
        self.embed_dim = embed_dim
        self.hidden_dim = hidden_dim
        self.dropout = dropout
        self.register_buffer("mean", torch.zeros(in_dim))
        self.register_buffer("scale", torch.ones(in_dim))
        if hidden_dim:
            layers = [nn.Linear(in_dim, hidden_dim), nn.GELU(), ByteDropout(dropout), nn.Linear(hidden_dim, embed_dim)]
        else:
            layers = [ByteDropout(dropout), nn.Linear(in_dim, embed_dim)]
        self.projection = nn.Sequential(*layers)

    def fit_standardisation(self, features: Float[np.ndarray, "n in_dim"]) -> None:
        """Take mean and standard deviation from training features; both are saved with the weights.

        A column that never varies is centred and otherwise left alone.

        Args:
            features: Shape (n, in_dim), at least one row; may be a memory map.

        Raises:
            ValueError: If the width is another one or there is no row.
        """
        if features.shape[1] != self.in_dim or len(features) == 0:
            raise ValueError(f"Need rows of {self.in_dim} features, got shape {features.shape}.")
        mean, scale = mean_and_scale(features)
        self.mean.copy_(torch.from_numpy(mean))
        self.scale.copy_(torch.from_numpy(scale))

    def forward(self, features: Float[Tensor, "n in_dim"]) -> Float[Tensor, "n embed_dim"]:
        """Project features.

        Args:
            features: Shape (n, in_dim), as they are in the table.

        Returns:
            Shape (n, embed_dim), not normalised.
        """
        return self.projection((features - self.mean) / self.scale)
