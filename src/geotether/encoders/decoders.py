"""Decoders: from the location's embedding to what would be observed there."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from geotether.moments import mean_and_scale, principal_axes

# Rows that the directions are found on: plenty for a covariance of some hundred features.
_MOST_ROWS = 20_000


class FeatureDecoder(nn.Module):
    """Predict a modality's features from the embedding of the place, along their principal directions.

    Features are standardised and turned to their principal components, of which the first are predicted by one linear
    layer. Components keep their size, so that what varies most counts most; together they have a variance of one, so
    a squared error of 1 is that of knowing nothing.

    Args:
        embed_dim: Size of the location's embedding.
        in_dim: Size of the modality's features.
        components: Number of components to predict; at most `in_dim` are.

    Attributes:
        mean, scale: Of the features, shape (in_dim,), until fitted zeros and ones.
        directions: Shape (in_dim, k), orthonormal columns.
        size: Square root of the components' total variance.

    Raises:
        ValueError: If a size is out of range.

    Example:
        >>> decoder = FeatureDecoder(embed_dim=256, in_dim=40, components=8)
        >>> decoder(torch.zeros(3, 256)).shape, decoder.decode(torch.zeros(3, 256)).shape
        (torch.Size([3, 8]), torch.Size([3, 40]))
    """

    mean: Tensor
    scale: Tensor
    directions: Tensor
    size: Tensor

    def __init__(self, embed_dim: int, in_dim: int, components: int = 64) -> None:
        super().__init__()
        if min(embed_dim, in_dim, components) < 1:
            raise ValueError(
                f"embed_dim, in_dim and components must be 1 or more, got {embed_dim}, {in_dim} and {components}."
            )
        self.embed_dim = embed_dim
        self.in_dim = in_dim
        self.components = min(components, in_dim)
        self.register_buffer("mean", torch.zeros(in_dim))
        self.register_buffer("scale", torch.ones(in_dim))
        self.register_buffer("directions", torch.eye(in_dim)[:, : self.components].contiguous())
        self.register_buffer("size", torch.ones(()))
        self.prediction = nn.Linear(embed_dim, self.components)

    def fit(self, features: Float[np.ndarray, "n in_dim"]) -> None:
        """Find standardisation and principal directions; they are saved with the weights.

        Args:
            features: Training rows, shape (n, in_dim), at least one; may be a memory map. Of more than 20,000, rows
                at even steps are taken.

        Raises:
            ValueError: If the width is another one or there is no row.
        """
        if features.shape[1] != self.in_dim or len(features) == 0:
            raise ValueError(f"Need rows of {self.in_dim} features, got shape {features.shape}.")
        rows = np.asarray(features[:: -(-len(features) // _MOST_ROWS)], dtype=np.float64)
        mean, scale = mean_and_scale(rows)
        standardised = (rows - mean) / scale
        variances, leading = principal_axes(standardised.T @ standardised / len(rows), self.components)
        self.mean.copy_(torch.from_numpy(mean))
        self.scale.copy_(torch.from_numpy(scale))
        self.directions.copy_(torch.from_numpy(np.ascontiguousarray(leading)))
        self.size.fill_(max(float(variances.sum()), 1e-12) ** 0.5)

    def targets(self, features: Float[Tensor, "n in_dim"]) -> Float[Tensor, "n k"]:
        """Turn features, as they are in the table, into the components to be predicted, shape (n, k)."""
        return ((features - self.mean) / self.scale) @ self.directions / self.size

    def forward(self, embedding: Float[Tensor, "n embed_dim"]) -> Float[Tensor, "n k"]:
        """Predict components from embeddings of places, shape (n, k)."""
        return self.prediction(embedding)

    def decode(self, embedding: Float[Tensor, "n embed_dim"]) -> Float[Tensor, "n in_dim"]:
        """Predict features in the table's own units, shape (n, in_dim): those of the components, back in place."""
        return self(embedding) * self.size @ self.directions.T * self.scale + self.mean
