"""Mirrors src/geotether/training/optimizer.py."""

import pytest
import torch
from torch import nn

from geotether.training.optimizer import average_into, build_optimizer, learning_rate_at


def small_model() -> nn.Module:
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    model.register_parameter("log_logit_scale", nn.Parameter(torch.tensor(2.0)))
    return model


def test_only_matrices_decay():
    """Without gradient signal AdamW's update is the decay alone."""
    model = small_model()
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    optimizer = build_optimizer(model, learning_rate=0.1, weight_decay=0.5)
    for weight in model.parameters():
        weight.grad = torch.zeros_like(weight)
    optimizer.step()
    for name, weight in model.named_parameters():
        want = before[name] * (1 - 0.1 * 0.5) if weight.ndim == 2 else before[name]
        torch.testing.assert_close(weight.detach(), want, msg=name)


def test_an_unused_head_is_unchanged():
    """SALT: the inactive modality must neither decay nor coast on its momentum."""
    active, idle = nn.Linear(2, 2), nn.Linear(2, 2)
    optimizer = build_optimizer(nn.ModuleList([active, idle]), 0.1, 0.5)
    for turn in range(2):
        optimizer.zero_grad()
        (active(torch.ones(1, 2)).sum() + (idle(torch.ones(1, 2)).sum() if turn == 0 else 0)).backward()
        before = idle.weight.detach().clone()
        optimizer.step()
    torch.testing.assert_close(idle.weight.detach(), before, rtol=0, atol=0)


def test_the_rate_rises_then_falls_to_its_share():
    rates = [learning_rate_at(step, 100, 1e-3, warmup_steps=10, final_share=0.05) for step in range(100)]
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert max(rates) == rates[10] == pytest.approx(1e-3)
    assert rates[-1] == pytest.approx(5e-5)
    assert rates[0] == pytest.approx(1e-3 / 11)
    middle = rates[10 + 89 // 2]
    assert middle == pytest.approx(1e-3 * (1 + 0.05) / 2, rel=0.03)  # a cosine passes half way in the middle
    assert learning_rate_at(4, 5, 1.0, warmup_steps=9) == pytest.approx(0.5)  # a warm-up longer than the run
    for total in (1, 2):
        assert learning_rate_at(0, total, 0.5) == learning_rate_at(total - 1, total, 0.5, final_share=1.0) == 0.5


def test_the_average_equals_a_hand_loop():
    generator = torch.Generator().manual_seed(0)
    average, by_hand = [torch.zeros(3)], torch.zeros(3)
    for step in range(200):
        current = torch.randn(3, generator=generator)
        average_into(average, [current], decay=0.9, step=step)
        decay = min(0.9, (1 + step) / (10 + step))
        by_hand = decay * by_hand + (1 - decay) * current
    torch.testing.assert_close(average[0], by_hand)
