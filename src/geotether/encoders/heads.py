"""Modality-specific parts of a tied model: projection heads, feature decoders and specific parts."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from geotether.encoders.layers import ByteDropout
from geotether.moments import mean_and_scale, principal_axes

# Rows used to find the directions: enough for a covariance of some hundred features.
_MOST_ROWS = 20_000


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

    def fit_standardisation(self, features: Float[Any, "n in_dim"]) -> None:
        """Fit mean and standard deviation to training features (n, in_dim); both are saved with the weights.

        A constant column is only centred. The features may be a memory map.

        Raises:
            ValueError: If the width differs or there are no rows.
        """
        if features.shape[1] != self.in_dim or len(features) == 0:
            raise ValueError(f"Need rows of {self.in_dim} features, got shape {features.shape}.")
        mean, scale = mean_and_scale(features)
        self.mean.copy_(torch.from_numpy(mean))
        self.scale.copy_(torch.from_numpy(scale))

    def forward(self, features: Float[Tensor, "n in_dim"]) -> Float[Tensor, "n embed_dim"]:
        """Project features (n, in_dim), as they are in the table, to shape (n, embed_dim), not normalised."""
        return self.projection((features - self.mean) / self.scale)


class FeatureDecoder(nn.Module):
    """Predict a modality's features from the embedding of the place, along their principal directions.

    Features are standardised and turned to their principal components, the first of which are predicted by one linear
    layer. Components keep their relative size, so those that vary most have the most weight; their total variance is
    one, so a squared error of 1 is that of predicting the mean.

    Args:
        embed_dim: Size of the location's embedding.
        in_dim: Size of the modality's features.
        components: Number of components to predict, at most `in_dim`.

    Attributes:
        mean, scale: Of the features, shape (in_dim,), until fitted zeros and ones.
        directions: Shape (in_dim, k), orthonormal columns.
        size: Square root of the components' total variance.

    Raises:
        ValueError: If a size is out of range.
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

    def fit(self, features: Float[Any, "n in_dim"]) -> None:
        """Find standardisation and principal directions of training features; they are saved with the weights.

        Of more than 20,000 rows, evenly spaced ones are used. The features may be a memory map.

        Raises:
            ValueError: If the width differs or there are no rows.
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

    @classmethod
    def of(cls, features: Float[Any, "n in_dim"], components: int) -> "FeatureDecoder":
        """Return a decoder that is fitted to features, for its components alone; torch's generator is unchanged."""
        with torch.random.fork_rng(devices=[]):  # the layer draws weights, which are not used
            decoder = cls(1, features.shape[1], components)
        decoder.fit(features)
        return decoder

    def targets(self, features: Float[Tensor, "n in_dim"]) -> Float[Tensor, "n k"]:
        """Return the components to be predicted of features as they are in the table, shape (n, k)."""
        return ((features - self.mean) / self.scale) @ self.directions / self.size

    def forward(self, embedding: Float[Tensor, "n embed_dim"]) -> Float[Tensor, "n k"]:
        """Predict components from embeddings of places, shape (n, k)."""
        return self.prediction(embedding)

    def decode(self, embedding: Float[Tensor, "n embed_dim"]) -> Float[Tensor, "n in_dim"]:
        """Predict features in the table's units, shape (n, in_dim), from the predicted components."""
        return self(embedding) * self.size @ self.directions.T * self.scale + self.mean


class SpecificParts(nn.Module):
    """Per modality a specific part and a decoder from both parts, and one classifier of modalities.

    The heads of a tied model return what modality and place share. The specific part is projected from the same
    features; it learns to identify its modality and, joined with the shared part, to reconstruct the features. It can
    keep content that the contrast with the place discards.

    Args:
        in_dims: Modality to the size of its features.
        shared_dim: Size of the shared part, the heads' output.
        specific_dim: Size of the specific part.
        components: Number of principal components of the features that are reconstructed.

    Raises:
        ValueError: If there is no modality or a size is out of range.

    Source:
        Ours, after the parts of MDiCo (Mena et al. 2025, arXiv:2510.19579).
    """

    def __init__(self, in_dims: Mapping[str, int], shared_dim: int, specific_dim: int, components: int = 64) -> None:
        super().__init__()
        if not in_dims or specific_dim < 1:
            raise ValueError(f"Needs modalities and specific_dim of 1 or more, got {dict(in_dims)} and {specific_dim}.")
        self.in_dims = dict(in_dims)
        self.shared_dim = shared_dim
        self.specific_dim = specific_dim
        self.components = components
        self.projections = nn.ModuleDict({name: ProjectionHead(dim, specific_dim) for name, dim in in_dims.items()})
        self.decoders = nn.ModuleDict(
            {name: FeatureDecoder(shared_dim + specific_dim, dim, components) for name, dim in in_dims.items()}
        )
        self.classifier = nn.Linear(specific_dim, len(in_dims))

    @property
    def config(self) -> dict[str, Any]:
        """Plain values from which `SpecificParts(**config)` builds the same architecture."""
        return {
            "in_dims": self.in_dims,
            "shared_dim": self.shared_dim,
            "specific_dim": self.specific_dim,
            "components": self.components,
        }

    def fit(self, modality: str, features: Float[Any, "n in_dim"]) -> None:
        """Fit standardisation and principal directions to a modality's training rows."""
        self.projections[modality].fit_standardisation(features)  # type: ignore[operator]
        self.decoders[modality].fit(features)  # type: ignore[operator]

    def number(self, modality: str) -> int:
        """Return the index of a modality's logit."""
        return list(self.in_dims).index(modality)

    def specific(self, modality: str, features: Float[Tensor, "n in_dim"]) -> Float[Tensor, "n specific_dim"]:
        """Project a modality's features, as they are in the table, to its specific part."""
        return self.projections[modality](features)

    def rebuilt(self, modality: str, both: Float[Tensor, "n both"]) -> Float[Tensor, "n k"]:
        """Predict the features' components from shared and specific part, joined in that order."""
        return self.decoders[modality](both)

    def targets(self, modality: str, features: Float[Tensor, "n in_dim"]) -> Float[Tensor, "n k"]:
        """Return the components that `rebuilt` should predict."""
        return self.decoders[modality].targets(features)  # type: ignore[operator]
