"""The sigmoid loss: every pair of the batch is classified by itself, as a match or not."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from geotether.objectives.masks import PairMask, as_pair_mask
from geotether.objectives.pairs import PairLogits, check_partners, own_logits, rows_per_block, unit_rows


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
    anchors, candidates = logit_scale * unit_rows(left), unit_rows(right)
    # One more coordinate adds the bias in the same matrix product, gradient included.
    ones = torch.ones_like(anchors[:, :1])
    anchors, candidates = torch.cat([anchors, bias * ones], dim=1), torch.cat([candidates, ones], dim=1)
    height = rows_per_block(len(anchors), len(candidates), chunk_rows)
    # -log sigmoid(-x) = softplus(x) for a negative, softplus(x) - x for a match.
    negatives = _PairSoftplus.apply(anchors, candidates, as_pair_mask(ignore, len(anchors)), height)
    return (negatives - own_logits(anchors, candidates)).mean()


class _PairSoftplus(torch.autograd.Function):
    """The sum of softplus of each anchor's logits over the candidates, in blocks of rows."""

    @staticmethod
    def forward(ctx: Any, anchors: Tensor, candidates: Tensor, mask: PairMask | None, height: int) -> Tensor:
        pairs = PairLogits(anchors, candidates, mask, False, height)
        sums = anchors.new_empty(len(anchors))
        block = None
        for rows in pairs.blocks():
            block = pairs.logits(rows, out=block)
            torch.sum(F.softplus(block), dim=1, out=sums[rows])
        ctx.pairs = (mask, False, height)
        ctx.save_for_backward(anchors, candidates, block if pairs.is_whole else None)
        return sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, sums_grad: Tensor) -> tuple[Tensor | None, ...]:
        anchors, candidates, kept = ctx.saved_tensors
        pairs = PairLogits(anchors, candidates, *ctx.pairs)
        anchors_grad, candidates_grad = torch.zeros_like(anchors), torch.zeros_like(candidates)
        computed = None
        for rows in pairs.blocks():
            if kept is None:
                computed = pairs.logits(rows, out=computed)
                weight = computed.sigmoid_()
            else:
                weight = kept.sigmoid()
            pairs.add_products(weight, rows, anchors_grad, candidates_grad, sums_grad[rows, None])
        return anchors_grad, candidates_grad, None, None
