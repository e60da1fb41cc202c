"""The sigmoid loss: every pair of the batch is classified by itself, as a match or not."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from geotether.objectives.masks import PairMask, as_pair_mask
from geotether.objectives.pairs import PairLogits, check_partners, own_logits, rows_per_block, unit_rows
from geotether.processes import Processes


def sigmoid_loss(
    left: Float[Tensor, "n d"],
    right: Float[Tensor, "m d"],
    logit_scale: Float[Tensor, ""] | float,
    bias: Float[Tensor, ""] | float,
    ignore: Bool[Tensor, "n n"] | PairMask | None = None,
    chunk_rows: int | None = None,
) -> Float[Tensor, ""]:
    """Compute the sigmoid loss between two modalities, in nats per row.

    Rows do not compete, so the loss suits small batches and batches with unequal shares of modalities.

    Args:
        left: Embeddings of one modality, of any length; they are normalised here.
        right: Embeddings of the other modality, in the same row order.
        logit_scale: Inverse temperature, 1 / tau; the paper starts at 10.
        bias: Added to every logit; the paper starts at -10, because nearly all pairs are negatives.
        ignore: True where a negative is left out: a matrix, or `NearbyPairs`. The diagonal is always kept.
        chunk_rows: Rows of the matrix of pairs in memory at once; None chooses. Same value and gradient.

    Returns:
        The sum over all pairs, divided by the number of rows.

    Raises:
        ValueError: If the shapes differ, there are no rows, or the mask is of another size.

    Source:
        Zhai et al. (2023), "Sigmoid Loss for Language Image Pre-Training", arXiv:2303.15343, eq. in section 3.2.

    Example:
        >>> apart = torch.eye(4)
        >>> round(sigmoid_loss(apart, apart, logit_scale=20.0, bias=-10.0).item(), 4)
        0.0002
    """
    check_partners(left, right, "left", "right")
    anchors, candidates = with_bias(logit_scale * unit_rows(left), unit_rows(right), bias)
    mask = as_pair_mask(ignore, len(anchors))
    sums = pair_softplus(anchors[None], candidates[None], None if mask is None else [mask], chunk_rows)[0]
    return (sums - own_logits(anchors, candidates)).mean()


def with_bias(
    anchors: Float[Tensor, "n d"], candidates: Float[Tensor, "n d"], bias: Float[Tensor, "*n"] | float
) -> tuple[Float[Tensor, "n e"], Float[Tensor, "n e"]]:
    """Give embeddings one more coordinate, which adds the bias in the same matrix product, gradient included."""
    ones = torch.ones_like(anchors[:, :1])
    own = ones * (bias[:, None] if isinstance(bias, Tensor) and bias.ndim else bias)
    return torch.cat([anchors, own], dim=1), torch.cat([candidates, ones], dim=1)


def pair_softplus(
    anchors: Float[Tensor, "g n d"],
    candidates: Float[Tensor, "g n d"],
    masks: Sequence[PairMask] | None = None,
    chunk_rows: int | None = None,
    half: bool = False,
) -> Float[Tensor, "g n"]:
    """Sum softplus(logit) over the candidates of each anchor; arguments as for `pair_logsumexp_both`.

    -log sigmoid(-x) = softplus(x) for a negative, softplus(x) - x for a match.
    """
    height = rows_per_block(anchors.shape[1], anchors.shape[0] * anchors.shape[1], chunk_rows)
    return _PairSoftplus.apply(anchors, candidates, masks, height, half)


class _PairSoftplus(torch.autograd.Function):
    """The sum of softplus of each anchor's logits over the candidates, in blocks of rows."""

    @staticmethod
    def forward(
        ctx: Any, anchors: Tensor, candidates: Tensor, masks: Sequence[PairMask] | None, height: int, half: bool
    ) -> Tensor:
        processes = Processes.that_divide()
        sums = anchors.new_zeros(anchors.shape[:2])
        if half:
            anchors, candidates = anchors.bfloat16(), candidates.bfloat16()
        pairs, block = PairLogits(anchors, candidates, masks, False, height, processes), None
        for rows in pairs.blocks():
            block = pairs.logits(rows)
            sums[:, rows] = F.softplus(block).sum(dim=2)
        (sums,) = processes.total(sums)
        ctx.pairs = (masks, False, height, processes)
        ctx.save_for_backward(anchors, candidates, block if pairs.is_whole else None)
        return sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, sums_grad: Tensor) -> tuple[Tensor | None, ...]:
        anchors, candidates, kept = ctx.saved_tensors
        pairs = PairLogits(anchors, candidates, *ctx.pairs)
        anchors_grad, candidates_grad = (
            torch.zeros_like(part, dtype=sums_grad.dtype) for part in (anchors, candidates)
        )
        (sums_grad,) = pairs.processes.total(sums_grad)
        for rows in pairs.blocks():
            block = pairs.logits(rows) if kept is None else kept
            weight = block.sigmoid().mul_(sums_grad[:, rows, None])
            pairs.add_products(weight, rows, anchors_grad, candidates_grad)
        return anchors_grad, candidates_grad, None, None, None
