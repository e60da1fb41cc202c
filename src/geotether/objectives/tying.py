"""Tying modalities to places: the losses of MELT, SALT and pairwise CLIP."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from geotether.objectives.chunked import pair_logsumexp
from geotether.objectives.info_nce import info_nce
from geotether.objectives.masks import PairMask, as_pair_mask, shifted
from geotether.objectives.pairs import check_partners, own_logits, unit_rows
from geotether.objectives.readings import check_reading
from geotether.objectives.sigmoid import sigmoid_loss


def tying_loss(
    location: Float[Tensor, "n d"],
    modality: Float[Tensor, "m d"],
    group: Sequence[slice],
    logit_scale: Sequence[Float[Tensor, ""] | float],
    reading: str,
    ignore: Bool[Tensor, "n n"] | PairMask | None = None,
    chunk_rows: int | None = None,
) -> list[Float[Tensor, ""]]:
    """Tie every observation of a merged batch to its place, by softmax.

    MELT passes one group of rows a modality; SALT and pairwise CLIP pass a single group.

    Args:
        location: Embeddings of the places, shape (n, d). Normalised here, so any length will do.
        modality: Embeddings of what was observed there, in the same row order.
        group: Rows of each modality, one after the other, together all n.
        logit_scale: Inverse temperature of each group; a row's softmax has that of its own modality.
        reading: One of `READINGS`.
        ignore: True where a negative is left out: a matrix over the rows of the batch, or
            `NearbyPairs`. The row's own pair is always kept.
        chunk_rows: Rows of the matrix of pairs in memory at once; None chooses. Same value and gradient.

    Returns:
        Mean loss over the rows of each group, in nats, in the order of `group`; the loss of the batch
        is `mean_over_rows` of them.

    Raises:
        ValueError: If the reading is unknown, shapes differ, or groups, scales or mask do not fit the rows.

    Source:
        Hecht et al. (2026), "Multi-Modal Contrastive Learning for Implicit Earth Embeddings via Location
        Tying"; the readings are ours where the paper leaves its formula open, see `READINGS`.

    Example:
        >>> apart = torch.eye(4)
        >>> text, image = tying_loss(apart, apart, [slice(0, 1), slice(1, 4)], [1.0, 100.0], "modality_to_location")
        >>> round(text.item(), 4), round(image.item(), 4)
        (0.7437, 0.0)
    """
    check_reading(reading)
    check_partners(location, modality, "location", "modality")
    check_groups(group, len(location), logit_scale=logit_scale)
    mask = as_pair_mask(ignore, len(location))
    if reading == "within_modality":
        return [
            info_nce(modality[rows], location[rows], scale, shifted(mask, rows.start), chunk_rows)
            for rows, scale in zip(group, logit_scale, strict=True)
        ]

    place, observation = unit_rows(location), unit_rows(modality)
    anchor, partner = (place, observation) if reading == "location_to_modality" else (observation, place)
    # The scale goes into the anchors, so that its gradient costs n x d and not n x n.
    scaled = torch.cat([scale * anchor[rows] for rows, scale in zip(group, logit_scale, strict=True)])
    if reading == "all_pairs":
        everyone = torch.cat([partner, anchor])
        denominator = pair_logsumexp(scaled, everyone, mask, without_self=True, chunk_rows=chunk_rows)
    else:
        denominator = pair_logsumexp(scaled, partner, mask, chunk_rows=chunk_rows)
    loss = denominator - own_logits(scaled, partner)
    return [loss[rows].mean() for rows in group]


def sigmoid_tying_loss(
    location: Float[Tensor, "n d"],
    modality: Float[Tensor, "m d"],
    group: Sequence[slice],
    logit_scale: Sequence[Float[Tensor, ""] | float],
    bias: Sequence[Float[Tensor, ""] | float],
    ignore: Bool[Tensor, "n n"] | PairMask | None = None,
    chunk_rows: int | None = None,
) -> list[Float[Tensor, ""]]:
    """Tie every observation to its place by the sigmoid loss, each modality by itself.

    Args:
        location: Embeddings of the places, shape (n, d).
        modality: Embeddings of what was observed there, in the same row order.
        group: Rows of each modality, one after the other, together all n.
        logit_scale: Inverse temperature of each group.
        bias: Bias of each group.
        ignore: True where a negative is left out; see `tying_loss`.
        chunk_rows: Rows of the matrix of pairs in memory at once; None chooses.

    Returns:
        Loss a row of each group, in the order of `group`.

    Raises:
        ValueError: If shapes differ, or groups, scales, biases or mask do not fit the rows.

    Source:
        Zhai et al. (2023), arXiv:2303.15343; see `sigmoid_loss`.
    """
    check_partners(location, modality, "location", "modality")
    check_groups(group, len(location), logit_scale=logit_scale, bias=bias)
    mask = as_pair_mask(ignore, len(location))
    return [
        sigmoid_loss(modality[rows], location[rows], scale, offset, shifted(mask, rows.start), chunk_rows)
        for rows, scale, offset in zip(group, logit_scale, bias, strict=True)
    ]


def mean_over_rows(losses: Sequence[Float[Tensor, ""]], group: Sequence[slice]) -> Float[Tensor, ""]:
    """Average per-group means so that every row of the batch counts the same.

    Args:
        losses: Mean loss of each group, in the order of `group`.
        group: Rows of each group.

    Returns:
        The mean over all rows.

    Example:
        >>> mean_over_rows([torch.tensor(1.0), torch.tensor(4.0)], [slice(0, 1), slice(1, 3)])
        tensor(3.)
    """
    rows = [part.stop - part.start for part in group]
    return torch.stack([loss * count for loss, count in zip(losses, rows, strict=True)]).sum() / sum(rows)


def check_groups(group: Sequence[slice], rows: int, **one_a_group: Sequence[Tensor | float]) -> None:
    """Raise if groups do not follow one another over all rows, or do not have one value each.

    Args:
        group: Rows of each modality.
        rows: Number of rows of the batch.
        one_a_group: Sequences that need one entry a group, by name.

    Raises:
        ValueError: If a group is empty, out of order or missing rows, or a sequence has another length.
    """
    end = 0
    for part in group:
        if part.start != end or part.stop is None or part.stop <= end or part.step not in (None, 1):
            raise ValueError(
                f"Groups must follow one another without gap and have a row each, got {list(group)}; "
                "pass slices such as [slice(0, 683), slice(683, 1366)]."
            )
        end = part.stop
    if end != rows:
        raise ValueError(f"The groups cover {end} rows, but the batch has {rows}.")
    for name, values in one_a_group.items():
        if len(values) != len(group):
            raise ValueError(f"{name} has {len(values)} entries for {len(group)} groups; pass one for each.")
