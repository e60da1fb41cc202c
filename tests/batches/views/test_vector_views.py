"""Mirrors src/geotether/batches/views/vector_views.py."""

import torch

from geotether.batches.views.vector_views import VectorViews


def test_noise_is_a_share_of_each_numbers_own_size():
    values = torch.tensor([1e-3, 1.0, 1e4, -50.0, 0.0]).repeat(20_000, 1)
    looked = VectorViews(noise=0.2, dropout=0.0)(values, torch.Generator().manual_seed(0))
    relative = looked[:, :4] / values[:, :4]
    torch.testing.assert_close(relative.mean(0), torch.ones(4), atol=0.01, rtol=0)
    torch.testing.assert_close(relative.std(0), torch.full((4,), 0.2), atol=0.01, rtol=0)
    assert looked[:, 4].eq(0).all()


def test_numbers_go_missing_at_the_share_asked_for():
    looked = VectorViews(noise=0.0, dropout=0.25)(torch.ones(5000, 8), torch.Generator().manual_seed(0))
    missing = looked.isnan()
    assert abs(missing.float().mean().item() - 0.25) < 0.01
    assert not missing.all(dim=1).any()
    assert looked[~missing].eq(1).all()


def test_everything_off_changes_nothing():
    values = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(VectorViews(noise=0, dropout=0)(values, torch.Generator().manual_seed(0)), values)
