"""Pairs: the matrix of logits between anchors and candidates, and its softmax denominators, in blocks of rows.

Every softmax loss here is `logsumexp of a row - the row's own logit`, which `plain_tying_loss` in `tying.py` shows
without any of the following. Only the first term needs all n x n pairs, and three measures keep its cost close to that
of the matrix products:

* The anchors, (n, d), are multiplied by the logit scale, so its gradient needs no pass over the pairs.
* Cosines are bounded, so logits up to about 70 are exponentiated directly: one pass gives the sums of rows and
  columns, and the stored exponentials are the weights of the backward pass. Larger logits, which float32 cannot
  exponentiate, are first reduced by their maxima.
* A matrix that fits into memory is kept for the backward pass; a larger one is recomputed block by block.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from geotether.objectives.masks import PairMask, as_pair_mask

WHOLE_ENTRIES = 2**26  # Up to here the matrix is kept for the backward pass: 256 MB in float32, 8,192 rows.
BLOCK_ENTRIES = 2**24  # Larger matrices are computed in blocks of this size, 64 MB in float32.


def unit_rows(embedding: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Scale every row to length one, in float32 or better; a row of zeros stays zero.

    Half precision is widened, because a softmax over thousands of candidates needs more digits than bfloat16 has.
    """
    wide = embedding if embedding.dtype in (torch.float32, torch.float64) else embedding.float()
    return F.normalize(wide, dim=-1)


def own_logits(anchors: Float[Tensor, "n d"], candidates: Float[Tensor, "n d"]) -> Float[Tensor, "n"]:
    """Compute each anchor's logit with its own partner, which is cheaper than picking it from the matrix."""
    # Not `vecdot`, which autocast would do in half precision.
    return (anchors * candidates).sum(dim=-1)


def check_partners(left: Tensor, right: Tensor, left_name: str, right_name: str) -> None:
    """Raise ValueError if two embeddings differ in shape or have no rows."""
    if left.shape != right.shape:
        raise ValueError(
            f"{left_name} has shape {tuple(left.shape)} and {right_name} {tuple(right.shape)}; row i of one is the "
            "partner of row i of the other, so pass the same number of rows of the same width."
        )
    if len(left) == 0:
        raise ValueError(f"{left_name} and {right_name} have no rows; a contrast needs at least one.")


def rows_per_block(rows: int, columns: int, chunk_rows: int | None) -> int:
    """Return how many rows of a (rows, columns) matrix are computed at once.

    `chunk_rows` is the caller's choice, 1 or more; None keeps the whole matrix up to `WHOLE_ENTRIES` and takes blocks
    of `BLOCK_ENTRIES` beyond.
    """
    if chunk_rows is not None:
        if chunk_rows < 1:
            raise ValueError(f"chunk_rows must be 1 or more, got {chunk_rows}; None chooses it.")
        return min(chunk_rows, rows)
    if rows * columns <= WHOLE_ENTRIES:
        return rows
    return max(1, BLOCK_ENTRIES // columns)


def pair_logsumexp(
    anchors: Float[Tensor, "n d"],
    candidates: Float[Tensor, "m d"],
    ignore: Bool[Tensor, "n n"] | PairMask | None = None,
    without_self: bool = False,
    chunk_rows: int | None = None,
) -> Float[Tensor, "n"]:
    """Compute the log-sum-exp of each anchor's logits over the candidates.

    Args:
        anchors: Unit embeddings times their logit scale, shape (n, d).
        candidates: Unit embeddings, shape (m, d) with m = n, or m = 2 n if the anchors' own embeddings follow the
            partners.
        ignore: True where a pair of rows is left out, as a matrix or block-wise (see `NearbyPairs`); a row's own
            partner is always kept.
        without_self: Leave out the anchor itself: candidate n + i of anchor i, or candidate i if m is n and the
            candidates are the anchors' own embeddings.
        chunk_rows: Rows of the (n, m) matrix that are in memory at once; see `rows_per_block`.

    Returns:
        Shape (n,), differentiable once in anchors and candidates.

    Raises:
        ValueError: If `chunk_rows` is less than 1 or the mask is of another size.

    Example:
        >>> pair_logsumexp(torch.zeros(2, 3), torch.ones(2, 3)).exp()
        tensor([2., 2.])
    """
    mask = as_pair_mask(ignore, len(anchors))
    height = rows_per_block(len(anchors), len(candidates), chunk_rows)
    rows, _ = _PairLogSumExp.apply(anchors, candidates, mask, without_self, height, False)
    return rows


def pair_logsumexp_both(
    anchors: Float[Tensor, "n d"],
    candidates: Float[Tensor, "n d"],
    ignore: Bool[Tensor, "n n"] | PairMask | None = None,
    chunk_rows: int | None = None,
) -> tuple[Float[Tensor, "n"], Float[Tensor, "n"]]:
    """Compute the log-sum-exp over the rows and over the columns of one matrix of logits.

    The arguments are those of `pair_logsumexp`; all anchors have one common logit scale.

    Returns:
        Over the candidates of each anchor, and over the anchors of each candidate, both of shape (n,).
    """
    mask = as_pair_mask(ignore, len(anchors))
    height = rows_per_block(len(anchors), len(candidates), chunk_rows)
    return _PairLogSumExp.apply(anchors, candidates, mask, False, height, True)


@dataclass(frozen=True)
class PairLogits:
    """The logits of every anchor with every candidate, computed in blocks.

    Attributes:
        anchors: Embeddings times their logit scale, shape (n, d).
        candidates: Shape (m, d); m is n, or 2 n if anchors are candidates as well: columns j and n + j belong to row j.
        mask: Pairs of rows to leave out; an anchor's own partner is always kept.
        without_self: Leave out the anchor itself: column n + i in row i, or column i if m is n.
        height: Number of rows of a block.
    """

    anchors: Tensor
    candidates: Tensor
    mask: PairMask | None
    without_self: bool
    height: int

    @property
    def is_whole(self) -> bool:
        """Whether one block contains all rows."""
        return self.height >= len(self.anchors)

    def bound(self) -> float:
        """Return an upper bound of the logits' absolute values (Cauchy-Schwarz)."""
        return float(self.anchors.norm(dim=-1).max() * self.candidates.norm(dim=-1).max())

    def blocks(self) -> Iterator[slice]:
        """Yield the rows of each block, in order."""
        n = len(self.anchors)
        return (slice(first, min(first + self.height, n)) for first in range(0, n, self.height))

    def logits(self, rows: slice, out: Tensor | None = None) -> Tensor:
        """Compute one block, shape (rows, m), minus infinity where a pair is left out."""
        n = len(self.anchors)
        into = None if out is None else out[: rows.stop - rows.start]
        with torch.autocast(self.anchors.device.type, enabled=False):
            block = torch.mm(self.anchors[rows], self.candidates.T, out=into)
        if self.mask is not None:
            left_out = self.mask(rows, slice(0, n))
            own = block.diagonal(rows.start).clone()
            for half in block.split(n, dim=1):
                half.masked_fill_(left_out, float("-inf"))
            block.diagonal(rows.start).copy_(own)
        if self.without_self:
            block.diagonal(rows.start + len(self.candidates) - n).fill_(float("-inf"))
        return block

    def add_products(
        self,
        weight: Tensor,
        rows: slice,
        anchors_grad: Tensor,
        candidates_grad: Tensor,
        factor: Tensor | float = 1.0,
    ) -> None:
        """Write `anchors_grad[rows]` and add to `candidates_grad`, given the gradient `weight * factor` of a block."""
        with torch.autocast(self.anchors.device.type, enabled=False):
            torch.mm(weight, self.candidates, out=anchors_grad[rows])
            anchors_grad[rows] *= factor
            candidates_grad.addmm_(weight.T, self.anchors[rows] * factor)


class _PairLogSumExp(torch.autograd.Function):
    """`pair_logsumexp` with its gradient; without `both`, the second output is empty."""

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
        # `*_out` contain sums if logits are bounded, logarithms of sums otherwise.
        anchors, candidates, rows_out, columns_out, kept = ctx.saved_tensors
        pairs = PairLogits(anchors, candidates, *ctx.pairs)
        anchors_grad, candidates_grad = torch.zeros_like(anchors), torch.zeros_like(candidates)
        # With bounded logits a softmax weight is exp(logit) / sum: one factor per row and one per column.
        row_factor, column_factor = rows_grad / rows_out, columns_grad / columns_out
        computed: Tensor | None = None
        scratch: Tensor | None = None
        for rows in pairs.blocks():
            if kept is None:
                block = computed = pairs.logits(rows, out=computed)
                if ctx.bounded:
                    block.exp_()
            else:
                block = kept
            if ctx.bounded and not ctx.both:
                # The factor multiplies the (rows, d) side of each product, so no pass over the pairs is needed.
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
