"""Mirrors src/geotether/objectives/retrieval.py."""

import pytest
import torch

from geotether.objectives.retrieval import recall_at_k


@pytest.mark.parametrize("k", [1, 3, 10, 50])
@pytest.mark.parametrize("chunk_rows", [None, 7])
def test_equals_sorting(random_pair, k, chunk_rows):
    left, right = random_pair(50, 4)
    left = left + 0.7 * right
    hits = 0
    for i in range(50):
        cosine = [(left[i] @ row / row.norm()).item() for row in right]
        hits += i in sorted(range(50), key=lambda j: -cosine[j])[:k]
    assert recall_at_k(left, right, k, chunk_rows).item() == pytest.approx(hits / 50)


@pytest.mark.parametrize("k", [1, 4, 10, 20])
def test_collapsed_embeddings_score_like_guessing(k):
    same = torch.ones(10, 4)
    assert recall_at_k(same, same, k).item() == pytest.approx(min(k / 10, 1))


def test_two_equal_candidates_share_a_hit():
    right = torch.eye(4)[[0, 0, 1, 2]]
    assert recall_at_k(right, right, k=1).item() == pytest.approx((0.5 + 0.5 + 1 + 1) / 4)


def test_nan_places_are_not_found():
    broken = torch.full((4, 3), torch.nan)
    assert recall_at_k(broken, broken, k=1).isnan()


def test_k_of_zero_is_an_error():
    with pytest.raises(ValueError, match="k must be 1 or more, got 0"):
        recall_at_k(torch.eye(3), torch.eye(3), k=0)
