"""Retrieval: how often a row's own partner is among the most similar rows."""

import torch
from jaxtyping import Float, Float32
from torch import Tensor

from geotether.objectives.pairs import check_partners, rows_per_block, unit_rows


@torch.no_grad()
def recall_at_k(
    left: Float[Tensor, "*g n d"], right: Float[Tensor, "*h m d"], k: int, chunk_rows: int | None = None
) -> Float32[Tensor, "*g"]:
    """Compute the share of rows whose own partner is among the k most similar.

    The expected share under random tie-breaking is returned, so that embeddings that have collapsed to one point score
    k / n, as guessing does, and not 1. Nothing is sorted: the partner's rank is the number of candidates above it.

    Args:
        left: Embeddings of the queries, shape (n, d), of any length; or of several groups, (*g, n, d).
        right: Embeddings of the candidates, in the same row order.
        k: Number of candidates returned per query, 1 or more.
        chunk_rows: Rows of the matrix of pairs in memory at once; None chooses.

    Returns:
        A number in [0, 1] for each group, without gradient.

    Raises:
        ValueError: If the shapes differ, there are no rows or `k` is less than 1.

    Example:
        >>> recall_at_k(torch.eye(4), torch.eye(4).roll(1, 0), k=1).item()
        0.0
    """
    check_partners(left, right, "left", "right")
    if k < 1:
        raise ValueError(f"k must be 1 or more, got {k}.")
    # A query's ranking does not depend on its length, so only the candidates are normalised.
    candidates = unit_rows(right)
    left = left.to(candidates.dtype)
    found = torch.zeros(left.shape[:-2], device=left.device)
    n = left.shape[-2]
    height = rows_per_block(n, n, chunk_rows)
    for first in range(0, n, height):
        similarity = left[..., first : first + height, :] @ candidates.mT
        own = similarity.diagonal(first, -2, -1)[..., None].clone()
        # Comparisons stored as numbers are summed eight times faster than booleans.
        result = torch.empty_like(similarity)
        above = torch.gt(similarity, own, out=result).sum(dim=-1)
        level = torch.eq(similarity, own, out=result).sum(dim=-1)
        # For NaN embeddings no candidate is level, and 0 / 0 gives NaN.
        found += ((k - above).clamp(min=0).minimum(level) / level).sum(dim=-1)
    return found / n
