"""The softmax denominators of a large batch, a block of rows at a time.

Every softmax loss here is `logsumexp of a row - the row's own logit`. Only the first term touches all n x n
pairs, so it is the only one that needs care. Three things keep it close to the cost of its matrix products:

* The logit scale is multiplied into the anchors, (n, d), so its gradient needs no pass over the pairs.
* Cosines are bounded, so logits up to about 70 are exponentiated as they are: one pass gives the sums of
  rows and of columns, and what is kept is the very weights that the backward pass multiplies with.
  Larger logits, where that would leave float32, take the usual detour over the maxima.
* A batch that fits keeps its matrix for the backward pass; a larger one is made again, block by block.
"""

import math
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from geotether.objectives.masks import PairMask, as_pair_mask
from geotether.objectives.pairs import PairLogits, rows_at_once


def pair_logsumexp(
    anchors: Float[Tensor, "n d"],
    candidates: Float[Tensor, "m d"],
    ignore: Bool[Tensor, "n n"] | PairMask | None = None,
    without_self: bool = False,
    chunk_rows: int | None = None,
) -> Float[Tensor, "n"]:
    """Sum the exponentials of each anchor's logits over the candidates, and take the logarithm.

    Args:
        anchors: Unit embeddings times their logit scale, shape (n, d).
        candidates: Unit embeddings, shape (m, d) with m = n, or m = 2 n where the anchors' own embeddings
            follow the partners.
        ignore: True where a pair of rows is left out, as a matrix or block-wise (see `NearbyPairs`);
            a row's own partner always stays.
        without_self: Leave out the anchor itself: candidate n + i of anchor i, or candidate i where m is n and the
            candidates are the anchors' own embeddings.
        chunk_rows: Rows of the (n, m) matrix that are in memory at once, and made again for the gradient.
            None keeps the whole matrix up to 2**26 entries and chooses blocks beyond.

    Returns:
        Shape (n,), differentiable once in anchors and candidates.

    Raises:
        ValueError: If `chunk_rows` is less than 1 or the mask is of another size.

    Example:
        >>> pair_logsumexp(torch.zeros(2, 3), torch.ones(2, 3)).exp()
        tensor([2., 2.])
    """
    mask = as_pair_mask(ignore, len(anchors))
    height = rows_at_once(len(anchors), len(candidates), chunk_rows)
    rows, _ = _PairLogSumExp.apply(anchors, candidates, mask, without_self, height, False)
    return rows


def pair_logsumexp_both(
    anchors: Float[Tensor, "n d"],
    candidates: Float[Tensor, "n d"],
    ignore: Bool[Tensor, "n n"] | PairMask | None = None,
    chunk_rows: int | None = None,
) -> tuple[Float[Tensor, "n"], Float[Tensor, "n"]]:
    """Do the same over the rows and over the columns of one and the same matrix of logits.

    Args:
        anchors: Unit embeddings times one common logit scale, shape (n, d).
        candidates: Unit embeddings of their partners, shape (n, d).
        ignore: True where a pair of rows is left out; see `pair_logsumexp`.
        chunk_rows: Rows in memory at once; see `pair_logsumexp`.

    Returns:
        Over the candidates of each anchor, and over the anchors of each candidate, both of shape (n,).

    Raises:
        ValueError: If `chunk_rows` is less than 1 or the mask is of another size.
    """
    mask = as_pair_mask(ignore, len(anchors))
    height = rows_at_once(len(anchors), len(candidates), chunk_rows)
    return _PairLogSumExp.apply(anchors, candidates, mask, False, height, True)


class _PairLogSumExp(torch.autograd.Function):
    """See `pair_logsumexp`; without `both`, the second output is empty."""

    @staticmethod
    def forward(
        ctx: Any,
        anchors: Tensor,
        candidates: Tensor,
        mask: PairMask | None,
        without_self: bool,
        height: int,
        both: bool,
    ) -> tuple[Tensor, Tensor]:
        pairs = PairLogits(anchors, candidates, mask, without_self, height)
        # Exponentials of logits within the limit, and sums and inverses of them, stay normal numbers.
        bounded = pairs.bound() <= 0.8 * math.log(torch.finfo(anchors.dtype).max)
        rows_out = anchors.new_empty(len(anchors))
        columns_out = anchors.new_full((len(candidates) if both else 0,), 0.0 if bounded else -math.inf)
        block = None
        for rows in pairs.blocks():
            block = pairs.logits(rows, out=block)
            if bounded:
                block.exp_()
                torch.sum(block, dim=1, out=rows_out[rows])
                if both:
                    columns_out += block.sum(dim=0)
            else:
                torch.logsumexp(block, dim=1, out=rows_out[rows])
                if both:
                    columns_out = torch.logaddexp(columns_out, block.logsumexp(dim=0))
        ctx.pairs, ctx.bounded, ctx.both = (mask, without_self, height), bounded, both
        ctx.save_for_backward(anchors, candidates, rows_out, columns_out, block if pairs.is_whole else None)
        return (rows_out.log(), columns_out.log()) if bounded else (rows_out.clone(), columns_out.clone())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, rows_grad: Tensor, columns_grad: Tensor) -> tuple[Tensor | None, ...]:
        # `*_out` are sums where logits are bounded, and logarithms of sums otherwise.
        anchors, candidates, rows_out, columns_out, kept = ctx.saved_tensors
        pairs = PairLogits(anchors, candidates, *ctx.pairs)
        anchors_grad, candidates_grad = torch.zeros_like(anchors), torch.zeros_like(candidates)
        # With bounded logits a softmax weight is exp(logit) / sum: one factor a row, one a column.
        row_factor, column_factor = rows_grad / rows_out, columns_grad / columns_out
        made: Tensor | None = None
        scratch: Tensor | None = None
        for rows in pairs.blocks():
            if kept is None:
                block = made = pairs.logits(rows, out=made)
                if ctx.bounded:
                    block.exp_()
            else:
                block = kept
            if ctx.bounded and not ctx.both:
                # The factor goes on the (rows, d) side of each product, so no pass over the pairs is left.
                pairs.add_products(block, rows, anchors_grad, candidates_grad, row_factor[rows, None])
                continue
            if ctx.bounded:
                into = None if scratch is None else scratch[: len(block)]
                scratch = torch.add(row_factor[rows, None], column_factor, out=into)
                weight = scratch.mul_(block)
            else:
                weight = (block - rows_out[rows, None]).exp_().mul_(rows_grad[rows, None])
                if ctx.both:
                    weight.addcmul_((block - columns_out).exp_(), columns_grad)
            pairs.add_products(weight, rows, anchors_grad, candidates_grad)
        return anchors_grad, candidates_grad, None, None, None, None
