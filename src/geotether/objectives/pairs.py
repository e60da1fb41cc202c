"""Pairs: the matrix of logits between anchors and candidates, a block of rows at a time."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from geotether.objectives.masks import PairMask

WHOLE_ENTRIES = 2**26  # Up to here the matrix is kept for the backward pass: 256 MB in float32, 8,192 rows.
BLOCK_ENTRIES = 2**24  # Beyond, blocks of this size (64 MB in float32) are made and made again.


def unit_rows(embedding: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Scale every row to length one, in float32 or better.

    Args:
        embedding: Any finite rows; half precision is widened, because a softmax over thousands of
            candidates needs more digits than bfloat16 has.

    Returns:
        The same shape; a row of zeros stays zero.
    """
    wide = embedding if embedding.dtype in (torch.float32, torch.float64) else embedding.float()
    return F.normalize(wide, dim=-1)


def own_logits(anchors: Float[Tensor, "n d"], candidates: Float[Tensor, "n d"]) -> Float[Tensor, "n"]:
    """Multiply every anchor with its own partner, which is cheaper than to pick it from the pairs.

    Args:
        anchors: Unit embeddings times their logit scale, shape (n, d).
        candidates: Unit embeddings of their partners, shape (n, d).

    Returns:
        Shape (n,).
    """
    # Not `vecdot`, which autocast would do in half precision.
    return (anchors * candidates).sum(dim=-1)


def check_partners(left: Tensor, right: Tensor, left_name: str, right_name: str) -> None:
    """Raise if two embeddings cannot be row-by-row partners.

    Raises:
        ValueError: If the shapes differ or there is no row.
    """
    if left.shape != right.shape:
        raise ValueError(
            f"{left_name} has shape {tuple(left.shape)} and {right_name} {tuple(right.shape)}; row i of one is the "
            "partner of row i of the other, so pass as many rows of the same width."
        )
    if len(left) == 0:
        raise ValueError(f"{left_name} and {right_name} have no rows; a contrast needs at least one.")


def rows_at_once(rows: int, columns: int, chunk_rows: int | None) -> int:
    """Choose how many rows of a (rows, columns) matrix are made at once.

    Args:
        rows: Number of anchors.
        columns: Number of candidates.
        chunk_rows: The caller's wish, or None to keep the whole matrix where it has at most
            `WHOLE_ENTRIES` and to take blocks of `BLOCK_ENTRIES` where it has more.

    Raises:
        ValueError: If `chunk_rows` is less than 1.

    Example:
        >>> rows_at_once(2048, 2048, None), rows_at_once(32768, 32768, None), rows_at_once(2048, 2048, 100)
        (2048, 512, 100)
    """
    if chunk_rows is not None:
        if chunk_rows < 1:
            raise ValueError(f"chunk_rows must be 1 or more, got {chunk_rows}; pass None to have it chosen.")
        return min(chunk_rows, rows)
    if rows * columns <= WHOLE_ENTRIES:
        return rows
    return max(1, BLOCK_ENTRIES // columns)


@dataclass(frozen=True)
class PairLogits:
    """The logits of every anchor against every candidate, never whole unless it fits.

    Attributes:
        anchors: Rows already multiplied by their logit scale, shape (n, d).
        candidates: Shape (m, d); m is n, or 2 n where anchors are candidates as well: column j and
            column n + j belong to row j.
        mask: Pairs of rows to leave out; an anchor's own partner stays in whatever the mask says.
        without_self: Leave out the anchor itself: column n + i in row i, or column i where m is n.
        height: Number of rows of a block.
    """

    anchors: Tensor
    candidates: Tensor
    mask: PairMask | None
    without_self: bool
    height: int

    @property
    def is_whole(self) -> bool:
        """Whether one block holds all rows."""
        return self.height >= len(self.anchors)

    def bound(self) -> float:
        """Give a number that no logit exceeds in size, by Cauchy and Schwarz."""
        return float(self.anchors.norm(dim=-1).max() * self.candidates.norm(dim=-1).max())

    def blocks(self) -> Iterator[slice]:
        """Give the rows of each block, in order."""
        n = len(self.anchors)
        return (slice(first, min(first + self.height, n)) for first in range(0, n, self.height))

    def logits(self, rows: slice, out: Tensor | None = None) -> Tensor:
        """Make one block, minus infinity where a pair is left out.

        Args:
            rows: One of `blocks`.
            out: Memory of at least that many rows to be written over.

        Returns:
            Shape (rows, m).
        """
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
        """Add one block's share to the gradients of anchors and candidates.

        Args:
            weight: Gradient of the block's logits, shape (rows, m).
            rows: The rows of the block.
            anchors_grad: Shape (n, d); its `rows` are written over.
            candidates_grad: Shape (m, d); added to.
            factor: Multiplies the weights, one number or shape (rows, 1).
        """
        with torch.autocast(self.anchors.device.type, enabled=False):
            torch.mm(weight, self.candidates, out=anchors_grad[rows])
            anchors_grad[rows] *= factor
            candidates_grad.addmm_(weight.T, self.anchors[rows] * factor)
