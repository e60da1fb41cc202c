"""Ties between modalities and their places: the losses of MELT, SALT and pairwise CLIP."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from geotether.objectives.info_nce import info_nce
from geotether.objectives.masks import PairMask, as_pair_mask, shifted
from geotether.objectives.negatives import check_negatives
from geotether.objectives.pairs import check_partners, own_logits, pair_logsumexp, unit_rows
from geotether.objectives.sigmoid import sigmoid_loss


def plain_tying_loss(
    location: Float[Tensor, "n d"],
    modality: Float[Tensor, "m d"],
    group: Sequence[slice],
    logit_scale: Sequence[Float[Tensor, ""] | float],
    negatives: str,
) -> list[Float[Tensor, ""]]:
    """Compute `tying_loss` as it is defined: a matrix of similarities, and its log-sum-exp minus the row's own entry.

    This is the formula to read. `tying_loss` gives the same value and gradient in less time and memory.

    Example:
        >>> apart = torch.eye(4)
        >>> text, image = plain_tying_loss(
        ...     apart, apart, [slice(0, 1), slice(1, 4)], [1.0, 100.0], "modality_to_location"
        ... )
        >>> round(text.item(), 4), round(image.item(), 4)
        (0.7437, 0.0)
    """
    place, observed = unit_rows(location), unit_rows(modality)
    anchor, partner = (place, observed) if negatives == "location_to_modality" else (observed, place)
    losses = []
    for rows, scale in zip(group, logit_scale, strict=True):
        if negatives == "within_modality":  # the CLIP loss of each modality, in both directions
            logits = scale * observed[rows] @ place[rows].T
            loss = (logits.logsumexp(dim=1) + logits.logsumexp(dim=0)) / 2 - logits.diagonal()
        else:
            logits = scale * anchor[rows] @ partner.T
            own = logits.diagonal(rows.start)
            if negatives == "all_pairs":
                others = (scale * anchor[rows] @ anchor.T).diagonal_scatter(own * 0 - torch.inf, rows.start)
                logits = torch.cat([logits, others], dim=1)
            loss = logits.logsumexp(dim=1) - own
        losses.append(loss.mean())
    return losses


def tying_loss(
    location: Float[Tensor, "n d"],
    modality: Float[Tensor, "m d"],
    group: Sequence[slice],
    logit_scale: Sequence[Float[Tensor, ""] | float],
    negatives: str,
    ignore: Bool[Tensor, "n n"] | PairMask | None = None,
    chunk_rows: int | None = None,
) -> list[Float[Tensor, ""]]:
    """Tie every observation of a merged batch to its place, by softmax.

    MELT passes one group of rows per modality; SALT and pairwise CLIP pass a single group.

    Args:
        location: Embeddings of the places, shape (n, d), of any length; they are normalised here.
        modality: Embeddings of what was observed there, in the same row order.
        group: Rows of each modality, in sequence, together all n.
        logit_scale: Inverse temperature of each group, applied to the softmax of its rows.
        negatives: One of `NEGATIVES`.
        ignore: True where a negative is left out: a matrix over the rows of the batch, or `NearbyPairs`. The row's
            own pair is always kept.
        chunk_rows: Rows of the matrix of pairs in memory at once; None chooses. Same value and gradient.

    Returns:
        Mean loss over the rows of each group, in nats, in the order of `group`; the loss of the batch is
        `mean_over_rows` of them.

    Raises:
        ValueError: If `negatives` is unknown, shapes differ, or groups, scales or mask do not fit the rows.

    Source:
        Hecht et al. (2026), "Multi-Modal Contrastive Learning for Implicit Earth Embeddings via Location Tying"; the
        choice of negatives is ours where the paper does not give its formula, see `NEGATIVES`.
    """
    check_negatives(negatives)
    check_partners(location, modality, "location", "modality")
    check_groups(group, len(location), logit_scale=logit_scale)
    mask = as_pair_mask(ignore, len(location))
    if negatives == "within_modality":
        return [
            info_nce(modality[rows], location[rows], scale, shifted(mask, rows.start), chunk_rows)
            for rows, scale in zip(group, logit_scale, strict=True)
        ]

    place, observed = unit_rows(location), unit_rows(modality)
    anchor, partner = (place, observed) if negatives == "location_to_modality" else (observed, place)
    # The anchors are multiplied by the scale, so that its gradient costs n x d and not n x n.
    scaled = torch.cat([scale * anchor[rows] for rows, scale in zip(group, logit_scale, strict=True)])
    if negatives == "all_pairs":
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

    Args and errors are those of `tying_loss`; `bias` is the bias of each group.

    Returns:
        Loss per row of each group, in the order of `group`.

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
    """Average the means of groups so that every row of the batch has the same weight.

    Example:
        >>> mean_over_rows([torch.tensor(1.0), torch.tensor(4.0)], [slice(0, 1), slice(1, 3)])
        tensor(3.)
    """
    rows = [part.stop - part.start for part in group]
    return torch.stack([loss * count for loss, count in zip(losses, rows, strict=True)]).sum() / sum(rows)


def check_groups(group: Sequence[slice], rows: int, **per_group: Sequence[Tensor | float]) -> None:
    """Raise ValueError if groups do not cover all rows in sequence, or a sequence has not one value per group."""
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
    for name, values in per_group.items():
        if len(values) != len(group):
            raise ValueError(f"{name} has {len(values)} entries for {len(group)} groups; pass one for each.")
