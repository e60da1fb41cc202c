"""Mirrors src/geotether/objectives/regression.py."""

import pytest
import torch

from geotether.objectives.regression import regression_loss


def test_equals_a_loop():
    generator = torch.Generator().manual_seed(0)
    predicted, target = torch.randn(2, 5, 3, generator=generator, dtype=torch.float64)
    want = sum(
        (float(p) - float(t)) ** 2 for a, b in zip(predicted, target, strict=True) for p, t in zip(a, b, strict=True)
    )
    assert regression_loss(predicted, target).item() == pytest.approx(want / 5)


def test_the_best_constant_is_the_mean():
    target = torch.tensor([[1.0], [2.0], [6.0]])
    guess = torch.zeros(1, requires_grad=True)
    regression_loss(guess.expand(3, 1) + 3.0, target).backward()
    assert guess.grad.item() == pytest.approx(0.0, abs=1e-6)
