"""Disentangling: a shared part of a modality's embedding, contrasted with the place, and a specific part."""

from collections.abc import Collection, Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from geotether.objectives.masks import PairMask
from geotether.objectives.supervised import regression_loss
from geotether.objectives.tying import check_groups, mean_over_rows, sizes, tying_loss

TERMS = ("location", "discrimination", "reconstruction")
"""Tie place and shared part; classify the modality from the specific part; predict features from both parts."""


def join_parts(
    shared: Float[Tensor, "n s"], specific: Float[Tensor, "m r"], teach_shared: bool = True
) -> Float[Tensor, "n d"]:
    """Concatenate both parts, (n, s) and (n, r), for the decoder that predicts the modality's features.

    With `teach_shared` the gradient of reconstruction reaches the shared part. Without, the shared part learns from the
    place alone, and the specific part has to contain everything else.

    Raises:
        ValueError: If the rows differ.
    """
    if len(shared) != len(specific):
        raise ValueError(f"the shared part has {len(shared)} rows, the specific one {len(specific)}; pass the same.")
    return torch.cat([shared if teach_shared else shared.detach(), specific], dim=1)


def disentangling_terms(
    location: Float[Tensor, "n d"],
    shared: Float[Tensor, "m d"],
    group: Sequence[slice],
    logit_scale: Sequence[Float[Tensor, ""] | float],
    negatives: str,
    modality_of_specific: Float[Tensor, "l g"] | None = None,
    rebuilt: Sequence[Float[Tensor, "_ _"]] | None = None,
    features: Sequence[Float[Tensor, "_ _"]] | None = None,
    modality: Sequence[int] | None = None,
    ignore: Bool[Tensor, "n n"] | PairMask | None = None,
    chunk_rows: int | None = None,
    terms: Collection[str] = TERMS,
) -> dict[str, Float[Tensor, ""]]:
    """Compute the terms of location tying with a shared and a specific part, for one merged batch.

    The specific part is not an argument, so no gradient of the term "location" can reach it.

    Args:
        location: Embeddings of the places, shape (n, d); normalised here.
        shared: Shared parts (projected to the same width) of what was observed there, in the same row order.
        group: Rows of each modality, in sequence, together all n; see `tying_loss`.
        logit_scale: Inverse temperature of each group.
        negatives: One of `NEGATIVES`.
        modality_of_specific: Logits over all modalities from the specific part, shape (n, modalities).
        rebuilt: For each group the features predicted from `join_parts`, shape (rows of the group, features).
        features: For each group the features to predict, the same shape, scaled so that the variances of its columns
            add up to one; predicting the mean then scores 1.
        modality: Index of each group's modality among the logits; None: k for the k-th group. A batch of SALT has one
            group, whose modality changes.
        ignore: True where a negative is left out; see `tying_loss`.
        chunk_rows: Rows of the matrix of pairs in memory at once; None chooses.
        terms: Which of `TERMS` to compute; arguments of the others may be left out.

    Returns:
        Means over the rows of the batch:

        * "location": `tying_loss` of place and shared part.
        * "discrimination": cross-entropy of the modality predicted from the specific part, in nats.
        * "reconstruction": `regression_loss` of the features.

    Raises:
        ValueError: If a term is unknown or lacks an argument, or shapes, groups, scales or mask do not fit.

    Source:
        Ours, following the parts of MDiCo (Mena et al. 2025, arXiv:2510.19579); the location term as in `tying_loss`.

    Example:
        >>> apart = torch.eye(4)
        >>> group = [slice(0, 1), slice(1, 4)]
        >>> found = disentangling_terms(apart, apart, group, [1.0, 100.0], "modality_to_location", terms=["location"])
        >>> round(found["location"].item(), 4)
        0.1859
    """
    if not terms or set(terms) - set(TERMS):
        raise ValueError(f"terms must be one or more of {', '.join(TERMS)}; got {', '.join(terms) or 'none'}.")
    check_groups(group, len(location), logit_scale=logit_scale)
    found = {}
    if "location" in terms:
        tied = tying_loss(location, shared, group, logit_scale, negatives, ignore, chunk_rows)
        found["location"] = mean_over_rows(tied, group)
    if "discrimination" in terms:
        found["discrimination"] = _discrimination(modality_of_specific, group, modality)
    if "reconstruction" in terms:
        if rebuilt is None or features is None:
            raise ValueError("the term 'reconstruction' needs `rebuilt` and `features`; pass them or leave it out.")
        found["reconstruction"] = _reconstruction(rebuilt, features, group)
    return found


def _discrimination(logits: Tensor | None, group: Sequence[slice], modality: Sequence[int] | None) -> Tensor:
    """Compute the cross-entropy of the modality of each row's group."""
    if logits is None:
        raise ValueError("the term 'discrimination' needs `modality_of_specific`; pass it or leave the term out.")
    numbers = list(range(len(group))) if modality is None else list(modality)
    check_groups(group, len(logits), modality=numbers)
    if not all(0 <= number < logits.shape[1] for number in numbers):
        raise ValueError(
            f"the groups are the modalities {numbers}, but modality_of_specific has logits for {logits.shape[1]}; "
            "give it one for each modality, including those that are not in the batch."
        )
    return F.cross_entropy(logits, _of_rows(tuple(numbers), sizes(group), logits.device))


@lru_cache(maxsize=64)
def _of_rows(numbers: tuple[int, ...], rows: tuple[int, ...], device: torch.device) -> Int64[Tensor, " n"]:
    """Return the number of each row's group on a device, where recorded steps read it again."""
    with torch.inference_mode(False):
        return torch.tensor(numbers).repeat_interleave(torch.tensor(rows)).to(device)


def _reconstruction(rebuilt: Sequence[Tensor], features: Sequence[Tensor], group: Sequence[slice]) -> Tensor:
    """Compute the squared error of each group, averaged over the rows of the batch."""
    check_groups(group, group[-1].stop, rebuilt=rebuilt, features=features)
    for place, (found, wanted, rows) in enumerate(zip(rebuilt, features, group, strict=True)):
        if found.shape != wanted.shape or len(found) != rows.stop - rows.start:
            raise ValueError(
                f"group {place} has {rows.stop - rows.start} rows, but rebuilt has shape {tuple(found.shape)} and "
                f"features {tuple(wanted.shape)}; pass the same shape for the rows of the group."
            )
    # Detached, so that the loss cannot fall by making the target easier to predict.
    losses = [regression_loss(found, wanted.detach()) for found, wanted in zip(rebuilt, features, strict=True)]
    return mean_over_rows(losses, group)
