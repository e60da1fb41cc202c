"""Mirrors src/geotether/batches/views/series_views.py."""

import pytest
import torch

from geotether.batches.views.series_views import SeriesViews

OFF = {"jitter": 0, "shift": 0, "step_dropout": 0, "band_dropout": 0}


def look(values, seed=0, **options):
    return SeriesViews(**{**OFF, **options})(values, torch.Generator().manual_seed(seed))


def test_everything_off_changes_nothing():
    values = torch.randn(4, 12, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(look(values), values)


def test_jitter_is_a_share_of_the_bands_own_spread_in_time():
    steps = torch.linspace(0, 1, 10)[:, None] * torch.tensor([1.0, 1000.0, 0.0])
    values = steps.repeat(5000, 1, 1) + 7
    noise = look(values, jitter=0.3) - values
    spread = steps.std(dim=0, unbiased=False)
    torch.testing.assert_close(noise.std(dim=(0, 1)), 0.3 * spread, rtol=0.02, atol=1e-6)


def test_a_shift_repeats_the_first_or_last_step():
    values = torch.arange(6.0).repeat(3000, 1)[:, :, None].repeat(1, 1, 2)
    looked = look(values, shift=2)
    assert torch.equal(looked[:, :, 0], looked[:, :, 1])
    want = {tuple((torch.arange(6) - k).clamp(0, 5).float().tolist()) for k in range(-2, 3)}
    found, counts = looked[:, :, 0].unique(dim=0, return_counts=True)
    assert {tuple(row.tolist()) for row in found} == want
    assert counts.float().div(3000).sub(0.2).abs().max() < 0.03  # each of the five as often


def test_a_series_shorter_than_the_shift_is_constant_at_worst():
    values = torch.tensor([[[1.0], [2.0]]])
    assert set(look(values, shift=9).flatten().tolist()) <= {1.0, 2.0}


@pytest.mark.parametrize(("option", "axis"), [("step_dropout", 2), ("band_dropout", 1)])
def test_whole_steps_or_bands_go_missing(option, axis):
    missing = look(torch.ones(5000, 8, 8), **{option: 0.3}).isnan()
    alike = missing.any(dim=axis)
    assert torch.equal(alike, missing.all(dim=axis))
    assert abs(alike.float().mean().item() - 0.3) < 0.01
    assert not alike.all(dim=1).any()
