"""Mirrors src/geotether/batches/views/draws.py."""

import numpy as np
import pytest
import torch
from scipy import special, stats

from geotether.batches.views.draws import check_options, some, speckle, spread, uniform


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("looks", [0.7, 1, 4.4, 16])
def test_speckle_follows_the_gamma_law(looks):
    drawn = speckle((400, 500), looks, seeded()).double().numpy().ravel()
    n = drawn.size
    assert drawn.mean() == pytest.approx(1.0, abs=5 * (1 / looks / n) ** 0.5)
    assert drawn.var() == pytest.approx(1 / looks, rel=0.02)
    # In decibels the mean and variance of the logarithm of a gamma variable.
    decibels = 10 * np.log10(drawn)
    per_neper = 10 / np.log(10)
    assert decibels.mean() == pytest.approx(per_neper * (special.digamma(looks) - np.log(looks)), abs=0.05)
    assert decibels.var() == pytest.approx(per_neper**2 * special.polygamma(1, looks), rel=0.02)
    assert stats.kstest(drawn[:5000], stats.gamma(looks, scale=1 / looks).cdf).pvalue > 1e-3


def test_speckle_always_has_a_logarithm():
    assert speckle((1000, 1000), 0.01, seeded()).log().isfinite().all()


def test_what_is_drawn_follows_from_the_generator_alone():
    for draw in (lambda g: uniform((9,), 2, 5, g), lambda g: speckle((9,), 4, g), lambda g: some(9, 4, 0.5, g)):
        first, again, generator = draw(seeded(1)), draw(seeded(1)), seeded(1)
        draw(generator)
        assert torch.equal(first, again)
        assert not torch.equal(first, draw(seeded(2)))
        assert not torch.equal(first, draw(generator))  # it goes on


def test_some_are_dropped_but_never_all():
    dropped = some(20_000, 5, 0.3, seeded())
    assert dropped.float().mean().item() == pytest.approx(0.3, abs=0.01)
    assert not some(5000, 2, 0.99, seeded()).all(dim=1).any()
    assert not some(50, 1, 0.99, seeded()).any()
    assert some(50, 0, 0.5, seeded()).shape == (50, 0)


def test_spread_is_numpys_without_the_missing():
    values = np.random.default_rng(0).normal(5, 3, (4, 9, 2))
    values[0, 3] = np.nan
    values[1, :, 0] = np.nan
    values[1, 0, 1] = -np.inf
    got = spread(torch.from_numpy(values), (1,)).numpy()
    values[1, 0, 1] = np.nan
    want = np.nanstd(np.where(np.isnan(values).all(1, keepdims=True), 0.0, values), axis=1, keepdims=True)
    np.testing.assert_allclose(got, want)


def test_options_out_of_range_are_named():
    with pytest.raises(ValueError, match=r"dropout must be 0 or more and less than 1, got 1\."):
        check_options({"dropout": 1.0}, {})
    for amount in (-0.1, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="noise must be 0"):
            check_options({}, {"noise": amount})
