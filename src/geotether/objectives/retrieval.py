"""Retrieval: how often a row finds its own partner."""

import torch
from jaxtyping import Float, Float32
from torch import Tensor

from geotether.objectives.pairs import check_partners, rows_at_once, unit_rows


@torch.no_grad()
def recall_at_k(
    left: Float[Tensor, "n d"], right: Float[Tensor, "m d"], k: int, chunk_rows: int | None = None
) -> Float32[Tensor, ""]:
    """Compute the share of rows whose own partner is among the k most similar.

    Ties are broken by chance and the expected share is returned, so that embeddings that have collapsed
    to one point score k / n, as guessing does, and not 1. No sorting: the partner's rank is the number of
    candidates above it.

    Args:
        left: Embeddings that search, shape (n, d), of any length.
        right: Embeddings that are found, in the same row order.
        k: How many hits a row may have, 1 or more.
        chunk_rows: Rows of the matrix of pairs in memory at once; None chooses.

    Returns:
        A number in [0, 1]; it carries no gradient.

    Raises:
        ValueError: If the shapes differ, there is no row or `k` is less than 1.

    Example:
        >>> recall_at_k(torch.eye(4), torch.eye(4).roll(1, 0), k=1).item()
        0.0
    """
    check_partners(left, right, "left", "right")
    if k < 1:
        raise ValueError(f"k must be 1 or more, got {k}.")
    # A row's ranking does not depend on its own length, so only the found side is normalised.
    candidates = unit_rows(right)
    left = left.to(candidates.dtype)
    found = torch.zeros((), device=left.device)
    height = rows_at_once(len(left), len(left), chunk_rows)
    for first in range(0, len(left), height):
        similarity = left[first : first + height] @ candidates.T
        own = similarity.diagonal(first)[:, None].clone()
        # Comparisons written as numbers add up eight times faster than as Booleans.
        truth = torch.empty_like(similarity)
        above = torch.gt(similarity, own, out=truth).sum(dim=1)
        level = torch.eq(similarity, own, out=truth).sum(dim=1)
        # Where embeddings are not numbers nothing is level, and 0 / 0 says so.
        found += ((k - above).clamp(min=0).minimum(level) / level).sum()
    return found / len(left)
