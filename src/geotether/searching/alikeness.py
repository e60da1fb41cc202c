"""How alike places are, in words and by what a model expects of each modality."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from geotether.encoders.heads import ProjectionHead
from geotether.searching.query import unit

# Least cosine of each word. Observations are compared with places in another space, where good matches have lower ones.
_OF_PLACES = (
    (0.97, "nearly the same"),
    (0.9, "very alike"),
    (0.75, "alike"),
    (0.5, "somewhat alike"),
    (0.25, "little alike"),
    (-np.inf, "not alike"),
)
_OF_OBSERVATIONS = ((0.6, "strong match"), (0.4, "fair match"), (-np.inf, "weak match"))


def in_words(similarity: float, of_places: bool) -> str:
    """Return a cosine similarity in words.

    Args:
        similarity: From -1 to 1.
        of_places: Whether it is of two places, not of an observation and a place.

    Example:
        >>> in_words(0.55, of_places=True), in_words(0.55, of_places=False)
        ('somewhat alike', 'fair match')
    """
    return next(words for least, words in (_OF_PLACES if of_places else _OF_OBSERVATIONS) if similarity >= least)


def alikeness(
    encoder: Any,
    place: Float[np.ndarray, "1 2"],
    others: Float[np.ndarray, "k 2"],
    embeddings: Float32[np.ndarray, "_ e"] | None = None,
) -> dict[str, Float32[np.ndarray, " k"]]:
    """Compare what a model expects to be observed at a place and at others, modality by modality.

    A modality's decoder predicts the leading components of its features from the embedding of a place, relative to
    their mean; the cosine of two predictions is 1 where both depart from the mean in the same way and 0 where they have
    nothing in common. Without a decoder, a linear head tells how much each feature speaks for a place (the product of
    the embedding with the head's column); these are compared in the same way.

    Args:
        encoder: An `Encoder`.
        place: Degrees, shape (1, 2).
        others: Degrees, shape (k, 2).
        embeddings: Of the place and the others in the shared space, if they are known, shape (1 + k, e).

    Returns:
        Modality to cosine, from -1 to 1, shape (k,); without modalities that have neither.
    """
    with torch.inference_mode():
        if embeddings is None:
            embedding = encoder.module(torch.tensor(np.concatenate([place, others]), device=encoder.device))
        else:
            embedding = torch.tensor(embeddings, device=encoder.device)
        found = {}
        for name in encoder.modalities:
            expected = expectation(encoder, name, embedding)
            if expected is not None:
                vectors = unit(expected.cpu().numpy())
                found[name] = vectors[1:] @ vectors[0]
    return found


def expectation(encoder: Any, modality: str, embedding: Float[Tensor, "n d"]) -> Float[Tensor, "n k"] | None:
    """Return what a model expects of a modality at places with these embeddings; None if it cannot tell."""
    if modality in encoder.decoders:
        return encoder.decoders[modality](embedding)
    head = encoder.heads.get(modality)
    if isinstance(head, ProjectionHead) and not head.hidden_dim:
        return embedding @ head.projection[-1].weight  # type: ignore[operator]
    return None
