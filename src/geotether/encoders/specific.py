"""What a modality keeps for itself beside location tying: a part of it that no place ever meets."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor, nn

from geotether.encoders.decoders import FeatureDecoder
from geotether.encoders.heads import ProjectionHead


class SpecificParts(nn.Module):
    """A specific part a modality, a classifier that tells modalities by it, and decoders from both parts.

    The heads of a tied model give what modality and place share. The specific part is projected from the same features;
    it learns to tell its modality and, joined with the shared part, to give the features back. If contrast with the
    place throws content away, this is where it goes.

    Args:
        in_dims: Modality to the size of its features.
        shared_dim: Size of the shared part, the heads' output.
        specific_dim: Size of the specific part.
        components: Principal components of the features that are given back.

    Raises:
        ValueError: If there is no modality or a size is out of range.

    Source:
        Ours, after the parts of MDiCo (Mena et al. 2025, arXiv:2510.19579).

    Example:
        >>> import torch
        >>> parts = SpecificParts({"text": 64, "light": 40}, shared_dim=16, specific_dim=4)
        >>> parts.specific("text", torch.zeros(3, 64)).shape, parts.rebuilt("light", torch.zeros(2, 20)).shape
        (torch.Size([3, 4]), torch.Size([2, 40]))
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
        """Plain values from which `SpecificParts(**config)` makes the same architecture."""
        return {
            "in_dims": self.in_dims,
            "shared_dim": self.shared_dim,
            "specific_dim": self.specific_dim,
            "components": self.components,
        }

    def fit(self, modality: str, features: Float[np.ndarray, "n in_dim"]) -> None:
        """Take standardisation and principal directions from a modality's training rows."""
        self.projections[modality].fit_standardisation(features)  # type: ignore[operator]
        self.decoders[modality].fit(features)  # type: ignore[operator]

    def number(self, modality: str) -> int:
        """A modality's place among the classifier's logits."""
        return list(self.in_dims).index(modality)

    def specific(self, modality: str, features: Float[Tensor, "n in_dim"]) -> Float[Tensor, "n specific_dim"]:
        """Project a modality's features, as they are in the table, to its specific part."""
        return self.projections[modality](features)

    def rebuilt(self, modality: str, both: Float[Tensor, "n both"]) -> Float[Tensor, "n k"]:
        """Predict the features' components from shared and specific part, joined in that order."""
        return self.decoders[modality](both)

    def targets(self, modality: str, features: Float[Tensor, "n in_dim"]) -> Float[Tensor, "n k"]:
        """The components that `rebuilt` is to give."""
        return self.decoders[modality].targets(features)  # type: ignore[operator]
