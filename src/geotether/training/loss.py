"""The loss of one batch, as the configuration's objective says."""

from collections.abc import Mapping

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from geotether.encoders.model import TiedModel
from geotether.encoders.specific import SpecificParts
from geotether.objectives.disentangling import disentangling_terms, join_parts
from geotether.objectives.masks import NearbyPairs
from geotether.objectives.supervised import regression_loss
from geotether.objectives.tying import mean_over_rows, sigmoid_tying_loss, tying_loss
from geotether.training.config import ObjectiveConfig


def batch_loss(
    model: TiedModel,
    location: Float[Tensor, "n d"],
    modality: Float[Tensor, "m d"],
    lonlat: Float64[Tensor, "n 2"],
    groups: Mapping[str, slice],
    objective: ObjectiveConfig,
) -> tuple[Float[Tensor, ""], list[Float[Tensor, ""]]]:
    """Compute the loss of a batch and of each modality in it, in float32.

    Args:
        model: Holds the logit scale and bias of every modality.
        location: Embeddings of the places.
        modality: Embeddings of what was observed there, in the same row order.
        lonlat: The places, degrees; only the mask of false negatives looks at them.
        groups: Modality to its rows, one after the other.
        objective: Which loss, and which negatives to leave out.

    Returns:
        The mean over all rows, and the mean over each modality's rows in the order of `groups`.
    """
    rows = list(groups.values())
    scales = [model.logit_scale(name) for name in groups]
    ignore = None if objective.ignore_km is None else NearbyPairs(lonlat, objective.ignore_km)
    if objective.reading == "sigmoid":
        biases = [model.sigmoid_bias[name] for name in groups]
        losses = sigmoid_tying_loss(location, modality, rows, scales, biases, ignore, objective.chunk_rows)
    else:
        losses = tying_loss(location, modality, rows, scales, objective.reading, ignore, objective.chunk_rows)
    return mean_over_rows(losses, rows), losses


def batch_regression(
    model: TiedModel,
    location: Float[Tensor, "n d"],
    features: Mapping[str, Float[Tensor, "_ _"]],
    groups: Mapping[str, slice],
) -> list[Float[Tensor, ""]]:
    """Compute how far each modality's features are from those predicted for their places, in float32.

    Args:
        model: With decoders.
        location: Embeddings of the places.
        features: Modality to what was observed there, as it is in the tables.
        groups: Modality to its rows of `location`, one after the other.

    Returns:
        One squared error a modality, in the order of `groups`; 1 is that of knowing nothing.
    """
    errors = []
    for name, rows in groups.items():
        decoder = model.decoders[name]
        errors.append(regression_loss(decoder(location[rows]), decoder.targets(features[name])))  # type: ignore[operator]
    return errors


def batch_specific(
    parts: SpecificParts,
    shared: Float[Tensor, "n d"],
    features: Mapping[str, Float[Tensor, "_ _"]],
    groups: Mapping[str, slice],
) -> dict[str, Float[Tensor, ""]]:
    """Compute the terms of the specific parts, in float32; the place is no part of them.

    Args:
        parts: What each modality keeps for itself.
        shared: What the heads gave, all groups one after the other.
        features: Modality to its rows, as they are in the tables.
        groups: Modality to its rows of `shared`.

    Returns:
        "discrimination" and "reconstruction"; see `disentangling_terms`.
    """
    own = {name: parts.specific(name, rows).float() for name, rows in features.items()}
    return disentangling_terms(
        shared,
        shared,
        list(groups.values()),
        [1.0] * len(groups),
        "within_modality",
        modality_of_specific=parts.classifier(torch.cat(list(own.values()))).float(),
        rebuilt=[parts.rebuilt(name, join_parts(shared[rows], own[name])).float() for name, rows in groups.items()],
        features=[parts.targets(name, features[name]) for name in groups],
        modality=[parts.number(name) for name in groups],
        terms=("discrimination", "reconstruction"),
    )


def mean_regression(errors: list[Float[Tensor, ""]]) -> Float[Tensor, ""]:
    """Average over modalities: each counts alike, however many rows it has in the batch."""
    return torch.stack(errors).mean()
