"""Ties between modalities and their places: the losses of MELT, SALT and pairwise CLIP."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from geotether.objectives.masks import PairMask, as_pair_mask, shifted
from geotether.objectives.negatives import check_negatives
from geotether.objectives.pairs import check_partners, own_logits, pair_logsumexp, pair_logsumexp_both, unit_rows
from geotether.objectives.sigmoid import pair_softplus, with_bias
from geotether.processes import Split


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
    logit_scale: Float[Tensor, " g"] | Sequence[Float[Tensor, ""] | float],
    negatives: str,
    ignore: Bool[Tensor, "n n"] | PairMask | None = None,
    chunk_rows: int | None = None,
    half: bool = False,
    split: Split | None = None,
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
        half: Round the factors of the pairs' products to bfloat16; see `pair_logsumexp`.
        split: With several processes, the rows of the batch that `location` and `modality` contain. `group` and
            `ignore` still refer to the whole batch, and the losses are estimates; see `Split.mean`.

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
    here = rows_here(group, split)
    check_groups(here, len(location), logit_scale=logit_scale)
    mask = as_pair_mask(ignore, group[-1].stop)
    place, observed = unit_rows(location), unit_rows(modality)
    anchor, partner = (place, observed) if negatives == "location_to_modality" else (observed, place)
    # The anchors are multiplied by the scale, so that its gradient costs n x d and not n x n.
    scaled = anchor * by_row(logit_scale, here, anchor)[:, None]
    own = own_logits(scaled, partner)
    if split is not None:
        if negatives == "within_modality":  # a process divides each group as it divides the pairs
            scaled, partner = split.place(scaled), split.gather(partner)
        elif negatives == "all_pairs":
            scaled, partner, anchor = split.gather_all(scaled, partner, anchor)
        else:
            scaled, partner = split.gather_all(scaled, partner)
    if negatives == "within_modality":
        parts = []
        for anchors, candidates, masks in equal_groups(scaled, partner, group, mask):
            rows, columns = pair_logsumexp_both(anchors, candidates, masks, chunk_rows, half)
            parts.append((rows + columns).flatten() / 2)
        denominator = torch.cat(parts)
    elif negatives == "all_pairs":
        everyone = torch.cat([partner, anchor])
        denominator = pair_logsumexp(scaled, everyone, mask, without_self=True, chunk_rows=chunk_rows, half=half)
    else:
        denominator = pair_logsumexp(scaled, partner, mask, chunk_rows=chunk_rows, half=half)
    return means_here(denominator, own, here, split)


def sigmoid_tying_loss(
    location: Float[Tensor, "n d"],
    modality: Float[Tensor, "m d"],
    group: Sequence[slice],
    logit_scale: Float[Tensor, " g"] | Sequence[Float[Tensor, ""] | float],
    bias: Float[Tensor, " g"] | Sequence[Float[Tensor, ""] | float],
    ignore: Bool[Tensor, "n n"] | PairMask | None = None,
    chunk_rows: int | None = None,
    half: bool = False,
    split: Split | None = None,
) -> list[Float[Tensor, ""]]:
    """Tie every observation to its place by the sigmoid loss, each modality by itself.

    Args and errors are those of `tying_loss`; `bias` is the bias of each group.

    Returns:
        Loss per row of each group, in the order of `group`.

    Source:
        Zhai et al. (2023), arXiv:2303.15343; see `sigmoid_loss`.
    """
    check_partners(location, modality, "location", "modality")
    here = rows_here(group, split)
    check_groups(here, len(location), logit_scale=logit_scale, bias=bias)
    mask = as_pair_mask(ignore, group[-1].stop)
    observed, place = unit_rows(modality), unit_rows(location)
    scaled = observed * by_row(logit_scale, here, observed)[:, None]
    scaled, partner = with_bias(scaled, place, by_row(bias, here, observed))
    own = own_logits(scaled, partner)
    if split is not None:
        scaled, partner = split.place(scaled), split.gather(partner)
    sums = [
        pair_softplus(anchors, candidates, masks, chunk_rows, half).flatten()
        for anchors, candidates, masks in equal_groups(scaled, partner, group, mask)
    ]
    return means_here(torch.cat(sums), own, here, split)


def rows_here(group: Sequence[slice], split: Split | None) -> list[slice]:
    """Return the rows of each group among those that are here."""
    return list(group) if split is None else list(split.local.values())


def means_here(
    whole: Float[Tensor, " n"], own: Float[Tensor, " r"], here: Sequence[slice], split: Split | None
) -> list[Float[Tensor, ""]]:
    """Average `whole - own` over the rows of each group that are here; `whole` has the values of the whole batch."""
    if split is None:
        return group_means(whole - own, here)
    return split.means(group_means(whole[split.own] - own, here))


def equal_groups(
    anchors: Float[Tensor, "n d"], candidates: Float[Tensor, "n d"], group: Sequence[slice], mask: PairMask | None
) -> Iterator[tuple[Float[Tensor, "g r d"], Float[Tensor, "g r d"], list[PairMask] | None]]:
    """Yield adjacent groups of the same number of rows together, with the mask of each, for batched products.

    Equal shares of a batch differ by at most one row, so that these come as at most two runs.
    """
    runs: list[list[slice]] = []
    for rows in group:
        if runs and rows.stop - rows.start == runs[-1][0].stop - runs[-1][0].start:
            runs[-1].append(rows)
        else:
            runs.append([rows])
    lengths = [run[-1].stop - run[0].start for run in runs]
    for run, left, right in zip(runs, anchors.split(lengths), candidates.split(lengths), strict=True):
        masks = None if mask is None else [shifted(mask, rows.start) for rows in run]
        yield left.unflatten(0, (len(run), -1)), right.unflatten(0, (len(run), -1)), masks


def by_row(
    values: Float[Tensor, " g"] | Sequence[Float[Tensor, ""] | float], group: Sequence[slice], like: Tensor
) -> Float[Tensor, " n"]:
    """Return the value of each row's group, in the dtype and on the device of `like`."""
    if not isinstance(values, Tensor):
        values = torch.stack([torch.as_tensor(value, dtype=like.dtype, device=like.device) for value in values])
    return membership(sizes(group), like.dtype, like.device) @ values.to(like.dtype)


def group_means(values: Float[Tensor, " n"], group: Sequence[slice]) -> list[Float[Tensor, ""]]:
    """Return the mean over the rows of each group, computed by one product."""
    of = membership(sizes(group), values.dtype, values.device)
    return list((values @ (of / of.sum(dim=0))).unbind())


def sizes(group: Sequence[slice]) -> tuple[int, ...]:
    """Return the number of rows of each group."""
    return tuple(rows.stop - rows.start for rows in group)


@lru_cache(maxsize=64)
def membership(rows: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Float[Tensor, "n g"]:
    """Return a matrix with a 1 where a row belongs to a group, given the number of rows of each.

    As many are kept as recorded steps may read again.
    """
    with torch.inference_mode(False), torch.no_grad():
        return torch.block_diag(*(torch.ones(count, 1, dtype=dtype) for count in rows)).to(device)


def mean_over_rows(losses: Sequence[Float[Tensor, ""]], group: Sequence[slice]) -> Float[Tensor, ""]:
    """Average the means of groups so that every row of the batch has the same weight.

    Example:
        >>> mean_over_rows([torch.tensor(1.0), torch.tensor(4.0)], [slice(0, 1), slice(1, 3)])
        tensor(3.)
    """
    each = torch.stack(list(losses))
    weights = membership(sizes(group), each.dtype, each.device).mean(dim=0)
    return (each * weights).sum()


def check_groups(group: Sequence[slice], rows: int, **per_group: Tensor | Sequence[Tensor | float]) -> None:
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
