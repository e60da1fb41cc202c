"""Mirrors src/geotether/objectives/sigmoid.py."""

import math

import pytest
import torch

from geotether.objectives.sigmoid import sigmoid_loss


def by_hand(left, right, scale, bias, ignore):
    """The paper's pseudo-code, one pair after the other."""
    n, total = len(left), 0.0
    for i in range(n):
        for j in range(n):
            if i != j and ignore[i][j]:
                continue
            match = 1 if i == j else -1
            cosine = (left[i] @ right[j] / left[i].norm() / right[j].norm()).item()
            total -= math.log(1 / (1 + math.exp(-match * (scale * cosine + bias))))
    return total / n


@pytest.mark.parametrize("scale, bias", [(1.0, 0.0), (10.0, -10.0), (100.0, 3.0)])
@pytest.mark.parametrize("ignored", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("chunk_rows", [None, 1, 4])
def test_equals_the_definition(random_pair, random_mask, scale, bias, ignored, chunk_rows):
    left, right = random_pair(6, 8)
    ignore = random_mask(6, ignored)
    got = sigmoid_loss(left, right, scale, bias, ignore, chunk_rows).item()
    assert got == pytest.approx(by_hand(left, right, scale, bias, ignore.tolist()))


@pytest.mark.parametrize("chunk_rows", [None, 4])
def test_gradient_is_exact(random_pair, random_mask, chunk_rows):
    """Against finite differences, those of scale and bias included."""
    scale, bias = (torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (10.0, -4.0))
    ignore = random_mask(6, 0.3)

    def loss(*inputs):
        return sigmoid_loss(*inputs, ignore, chunk_rows)

    assert torch.autograd.gradcheck(loss, (*random_pair(6, 3), scale, bias))


def test_the_initial_loss_of_the_paper_is_about_the_bias():
    """With scale 0 every match costs softplus(10) and every negative next to nothing."""
    same = torch.ones(32, 4)
    assert sigmoid_loss(same, same, 0.0, -10.0).item() == pytest.approx(10.0 + 32 * 4.54e-5, rel=1e-4)
