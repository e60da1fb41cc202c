"""Pairs: the matrix of logits between anchors and candidates, and its softmax denominators, in blocks of rows.

Every softmax loss here is `logsumexp of a row - the row's own logit`, which `plain_tying_loss` in `tying.py` shows
without any of the following. Only the first term needs all n x n pairs, and four measures keep its cost close to that
of the matrix products:

* The anchors, (n, d), are multiplied by the logit scale, so its gradient needs no pass over the pairs.
* A matrix that fits into memory is kept for the backward pass; a larger one is recomputed block by block.
* Several groups of equally many rows are one batched product. No value is read from the device.
* Inside `Processes.dividing`, several processes with the same embeddings divide the rows between them.

On a Hopper GPU, `fused_pairs.py` computes large matrices without masks in half precision.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from geotether.objectives.masks import PairMask, as_pair_mask
from geotether.processes import Processes

WHOLE_ENTRIES = 2**26  # Up to here the matrix is kept for the backward pass: 256 MB in float32, 8,192 rows.
BLOCK_ENTRIES = 2**24  # Larger matrices are computed in blocks of this size, 64 MB in float32.


def unit_rows(embedding: Float[Tensor, "*g n d"]) -> Float[Tensor, "*g n d"]:
    """Scale every row to length one, in float32 or better; a row of zeros stays zero.

    Half precision is widened, because a softmax over thousands of candidates needs more digits than bfloat16 has.
    """
    wide = embedding if embedding.dtype in (torch.float32, torch.float64) else embedding.float()
    return _UnitRows.apply(wide)


class _UnitRows(torch.autograd.Function):
    """Rows of length one, with a gradient of fewer passes than that of `torch.nn.functional.normalize`."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        length = torch.linalg.vector_norm(rows, dim=-1, keepdim=True).clamp_min_(1e-12)
        unit = rows / length
        ctx.save_for_backward(unit, length)
        return unit

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        unit, length = ctx.saved_tensors
        along = (unit * grad).sum(dim=-1, keepdim=True)
        return torch.addcmul(grad, unit, along, value=-1).div_(length)


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
    half: bool = False,
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
        half: Round the factors of products to bfloat16; sums stay in float32.

    Returns:
        Shape (n,), differentiable once in anchors and candidates.

    Raises:
        ValueError: If `chunk_rows` is less than 1 or the mask is of another size.

    Example:
        >>> pair_logsumexp(torch.zeros(2, 3), torch.ones(2, 3)).exp()
        tensor([2., 2.])
    """
    mask = as_pair_mask(ignore, len(anchors))
    masks = None if mask is None else [mask]
    height = rows_per_block(len(anchors), len(candidates), chunk_rows)
    return _logsumexps(anchors[None], candidates[None], masks, without_self, height, half, False)[0][0]


def pair_logsumexp_both(
    anchors: Float[Tensor, "g n d"],
    candidates: Float[Tensor, "g n d"],
    masks: Sequence[PairMask] | None = None,
    chunk_rows: int | None = None,
    half: bool = False,
) -> tuple[Float[Tensor, "g n"], Float[Tensor, "g n"]]:
    """Compute the log-sum-exp over the rows and over the columns of each group's matrix of logits.

    Args:
        anchors: Unit embeddings of g groups of n rows each, times the logit scale of the group, shape (g, n, d).
        candidates: Unit embeddings, shape (g, n, d).
        masks: For each group which of its pairs are left out, block-wise; None leaves none out.
        chunk_rows: As for `pair_logsumexp`.
        half: As for `pair_logsumexp`.

    Returns:
        Over the candidates of each anchor, and over the anchors of each candidate, both of shape (g, n).
    """
    height = rows_per_block(anchors.shape[1], anchors.shape[0] * anchors.shape[1], chunk_rows)
    return _logsumexps(anchors, candidates, masks, False, height, half, True)


def _logsumexps(anchors: Tensor, candidates: Tensor, *options: Any) -> tuple[Tensor, Tensor]:
    """Compute log-sum-exps by fused kernels or in blocks; the arguments are those of `_PairLogSumExp`."""
    masks, without_self, _, half, both = options
    shape = (*anchors.shape[:2], *candidates.shape[1:])
    if is_fused(anchors.device, shape, masks, without_self, half):
        from geotether.objectives.fused_pairs import FusedLogSumExp

        return FusedLogSumExp.apply(anchors, candidates, both)  # type: ignore[no-any-return]
    return _PairLogSumExp.apply(anchors, candidates, *options)  # type: ignore[no-any-return]


def is_fused(
    device: torch.device,
    shape: tuple[int, int, int, int],
    masks: Sequence[PairMask] | None,
    without_self: bool,
    half: bool,
) -> bool:
    """Return whether the kernels of `fused_pairs` compute the log-sum-exps.

    Smaller matrices are kept for the backward pass, which then needs no logits; masks and work that several processes
    divide are left to blocks.

    Args:
        device: Device of the embeddings.
        shape: Groups, rows, columns and width of the embeddings.
        masks: As for `_PairLogSumExp`.
        without_self: As for `_PairLogSumExp`.
        half: As for `_PairLogSumExp`.
    """
    groups, rows, columns, width = shape
    if device.type != "cuda" or not half or groups * rows * columns <= WHOLE_ENTRIES:
        return False
    if masks is not None or without_self or Processes.that_divide().count > 1:
        return False
    from geotether.objectives import fused_pairs

    return width <= fused_pairs.MAX_WIDTH and fused_pairs.is_available(device)


@dataclass(frozen=True)
class PairLogits:
    """The logits of every anchor with every candidate of its group, computed in blocks.

    Attributes:
        anchors: Embeddings times their logit scale, shape (g, n, d).
        candidates: Shape (g, m, d); m is n, or 2 n if anchors are candidates as well: columns j and n + j belong to
            row j.
        masks: For each group the pairs of rows to leave out; an anchor's own partner is always kept.
        without_self: Leave out the anchor itself: column n + i in row i, or column i if m is n.
        height: Number of rows of a block.
        processes: The processes that divide the rows between them.
    """

    anchors: Tensor
    candidates: Tensor
    masks: Sequence[PairMask] | None
    without_self: bool
    height: int
    processes: Processes

    @property
    def rows(self) -> slice:
        """The rows that this process computes."""
        return self.processes.share(self.anchors.shape[1])

    @property
    def is_whole(self) -> bool:
        """Whether one block contains all rows that this process computes."""
        return self.height >= self.rows.stop - self.rows.start

    def blocks(self) -> Iterator[slice]:
        """Yield the rows of each block, in order."""
        start, stop = self.rows.start, self.rows.stop
        return (slice(first, min(first + self.height, stop)) for first in range(start, stop, self.height))

    def logits(self, rows: slice) -> Tensor:
        """Compute one block, shape (g, rows, m), minus infinity where a pair is left out."""
        n = self.anchors.shape[1]
        block = product(self.anchors[:, rows], self.candidates.mT)
        for part, mask in zip(block, self.masks or (), strict=False):
            left_out = mask(rows, slice(0, n))
            own = part.diagonal(rows.start).clone()
            for half in part.split(n, dim=1):
                half.masked_fill_(left_out, float("-inf"))
            part.diagonal(rows.start).copy_(own)
        if self.without_self:
            block.diagonal(rows.start + self.candidates.shape[1] - n, 1, 2).fill_(float("-inf"))
        return block

    def add_products(self, weight: Tensor, rows: slice, anchors_grad: Tensor, candidates_grad: Tensor) -> None:
        """Write `anchors_grad[:, rows]` and add to `candidates_grad`, given the gradient of a block."""
        weight = weight.to(self.candidates.dtype)
        anchors_grad[:, rows] = product(weight, self.candidates)
        candidates_grad += product(weight.mT, self.anchors[:, rows])


def product(left: Float[Tensor, "g n k"], right: Float[Tensor, "g k m"]) -> Float[Tensor, "g n m"]:
    """Multiply matrices; of matrices in bfloat16, the sums and the result are in float32."""
    with torch.autocast(left.device.type, enabled=False):
        if left.dtype != torch.bfloat16:
            return torch.bmm(left, right)
        if left.device.type == "cpu":  # which cannot; the same numbers
            return torch.bmm(left.float(), right.float())
        return torch.bmm(left, right, torch.float32)


class _PairLogSumExp(torch.autograd.Function):
    """`pair_logsumexp` with its gradient, for groups; without `both`, the second output is empty."""

    @staticmethod
    def forward(
        ctx: Any,
        anchors: Tensor,
        candidates: Tensor,
        masks: Sequence[PairMask] | None,
        without_self: bool,
        height: int,
        half: bool,
        both: bool,
    ) -> tuple[Tensor, Tensor]:
        processes = Processes.that_divide()
        rows_out = anchors.new_full(anchors.shape[:2], -math.inf)
        columns_out = anchors.new_full(candidates.shape[:2] if both else (0,), -math.inf)
        if half:
            anchors, candidates = anchors.bfloat16(), candidates.bfloat16()
        pairs, block = PairLogits(anchors, candidates, masks, without_self, height, processes), None
        for rows in pairs.blocks():
            block = pairs.logits(rows)
            rows_out[:, rows] = block.logsumexp(dim=2)
            if both:
                columns_out = torch.logaddexp(columns_out, block.logsumexp(dim=1))
        rows_out, columns_out = processes.logsumexp(rows_out, columns_out)
        ctx.pairs, ctx.both = (masks, without_self, height, processes), both
        ctx.save_for_backward(anchors, candidates, rows_out, columns_out, block if pairs.is_whole else None)
        return rows_out, columns_out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, rows_grad: Tensor, columns_grad: Tensor) -> tuple[Tensor | None, ...]:
        anchors, candidates, rows_out, columns_out, kept = ctx.saved_tensors
        pairs = PairLogits(anchors, candidates, *ctx.pairs)
        anchors_grad, candidates_grad = (torch.zeros_like(part, dtype=rows_out.dtype) for part in (anchors, candidates))
        rows_grad, columns_grad = pairs.processes.total(rows_grad, columns_grad)
        for rows in pairs.blocks():
            block = pairs.logits(rows) if kept is None else kept
            weight = (block - rows_out[:, rows, None]).exp_().mul_(rows_grad[:, rows, None])
            if ctx.both:
                weight.addcmul_((block - columns_out[:, None]).exp_(), columns_grad[:, None])
            pairs.add_products(weight, rows, anchors_grad, candidates_grad)
        return anchors_grad, candidates_grad, None, None, None, None, None
