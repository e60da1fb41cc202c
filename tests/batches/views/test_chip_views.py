"""Mirrors src/geotether/batches/views/chip_views.py."""

import math

import numpy as np
import pytest
import torch
from scipy import special
from torch.nn import functional as F

from geotether.batches.views.chip_views import ChipViews

OFF = {"crop": (1, 1), "flips": False, "turns": False, "gain": 0, "brightness": 0, "band_dropout": 0}


def look(values, seed=0, **options):
    return ChipViews(**{**OFF, **options})(values, torch.Generator().manual_seed(seed))


def numbered(rows, height, width, bands=2):
    return torch.arange(float(bands * height * width)).view(1, bands, height, width).repeat(rows, 1, 1, 1)


def test_everything_off_changes_nothing():
    values = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(look(values), values)


def symmetries(chip, flips, turns):
    """All that may come out, by numpy's own flips and quarter turns."""
    height, width = chip.shape[1:]
    step = 1 if height == width else 2
    turned = [np.rot90(chip, k, (1, 2)) for k in (range(0, 4, step) if turns else [0])]
    mirrors = [(), (1,), (2,), (1, 2)] if flips else [()]
    return {np.flip(one, axes).tobytes() for one in turned for axes in mirrors}


@pytest.mark.parametrize(
    ("flips", "turns", "size", "count"),
    [
        (True, True, (5, 5), 8),
        (False, True, (5, 5), 4),
        (True, False, (5, 5), 4),
        (True, True, (3, 5), 4),
        (False, True, (3, 5), 2),
        (True, False, (3, 5), 4),
    ],
)
def test_flips_and_turns_are_those_of_numpy_each_as_often(flips, turns, size, count):
    values = numbered(4000, *size)
    looked = [chip.numpy().tobytes() for chip in look(values, flips=flips, turns=turns)]
    want = symmetries(values[0].numpy(), flips, turns)
    assert set(looked) == want
    assert len(want) == count
    assert all(abs(looked.count(one) / 4000 - 1 / count) < 0.03 for one in want)


@pytest.mark.parametrize(("flips", "turns", "count"), [(True, True, 8), (False, True, 4), (True, False, 4)])
def test_a_crop_is_turned_and_mirrored_as_a_whole(flips, turns, count):
    values = torch.randn(200, 2, 7, 7, generator=torch.Generator().manual_seed(0))
    options = {"crop": (0.5, 0.9)}
    straight = look(values, **options).numpy()
    found = look(values, **options, flips=flips, turns=turns).numpy()
    seen = set()
    for one, other in zip(straight, found, strict=True):
        turned = [np.rot90(one, k, (1, 2)) for k in (range(4) if turns else [0])]
        mirrors = [(), (1,), (2,), (1, 2)] if flips else [()]
        ways = [np.flip(chip, axes) for chip in turned for axes in mirrors]
        close = [at for at, way in enumerate(ways) if np.abs(way - other).max() < 1e-4]
        assert close
        seen.add(close[0])
    assert len(seen) == count


def test_a_crop_of_a_plane_is_a_plane():
    """Linear interpolation is exact on a gradient: its slope says which box was cut, where and how large."""
    rows = 4000
    y, x = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    values = torch.stack([y, x]).repeat(rows, 1, 1, 1)
    looked = look(values, crop=(0.3, 0.8))
    inner = looked[:, :, 4:12, 4:12]  # off the border, where pixels repeat
    down, across = inner[:, 0].diff(dim=1), inner[:, 1].diff(dim=2)
    height, width = down[:, :1, :1], across[:, :1, :1]
    torch.testing.assert_close(down, height.expand_as(down), atol=1e-4, rtol=0)
    torch.testing.assert_close(across, width.expand_as(across), atol=1e-4, rtol=0)
    area, ratio = (height * width).flatten(), (height / width).flatten()
    assert area.min() > 0.3 - 1e-3
    assert area.max() < 0.8 + 1e-3
    assert area.mean().item() == pytest.approx(0.55, abs=0.02)
    assert ratio.log().abs().max() < math.log(4 / 3) + 1e-3
    # The box stays on the chip, and reaches both of its ends.
    for axis, side in ((0, height), (1, width)):
        centre = looked[:, axis].mean(dim=(1, 2))
        half = side.flatten() * 8
        assert (centre - half).min() > -0.8
        assert (centre + half).max() < 15.8
        assert (centre - half).min() < 0.2
        assert (centre + half).max() > 14.8


def test_a_crop_is_the_interpolation_of_torch():
    values = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    whole = ChipViews(**{**OFF, "crop": (0.25, 0.25)})
    looked = whole(values, torch.Generator().manual_seed(3))
    draws = torch.Generator().manual_seed(3)
    torch.rand(1, generator=draws)  # the area
    ratio = math.exp(float(torch.rand(1, generator=draws) * 2 - 1) * math.log(4 / 3))
    at = (torch.rand(1, 2, generator=draws) * 2 - 1)[0]
    sides = torch.tensor([math.sqrt(0.25 * ratio), math.sqrt(0.25 / ratio)])
    x, y = ((torch.arange(8) + 0.5) / 4 - 1) * sides[:, None] + (at * (1 - sides))[:, None]
    grid = torch.stack([x[None, :].expand(8, 8), y[:, None].expand(8, 8)], dim=-1)[None]
    torch.testing.assert_close(looked, F.grid_sample(values, grid, padding_mode="border", align_corners=False))


def test_missing_pixels_do_not_spread_over_a_crop():
    values = torch.full((200, 1, 16, 16), 5.0)
    values[:, :, 4:8, 4:8] = float("nan")
    values[:, :, 12, 12] = float("-inf")
    looked = look(values, crop=(0.6, 1.0))
    known = looked[looked.isfinite()]
    torch.testing.assert_close(known, torch.full_like(known, 5.0))
    assert 17 / 256 < looked.isnan().float().mean().item() < 2 * 17 / 256  # enlarged with the box, no more


@pytest.mark.parametrize("looks", [1, 4.4])
def test_speckle_of_intensities_keeps_the_mean(looks):
    looked = look(torch.full((100, 2, 32, 32), 0.02), speckle_looks=looks).double() / 0.02
    assert looked.mean().item() == pytest.approx(1.0, abs=0.01)
    assert looked.var().item() == pytest.approx(1 / looks, rel=0.03)


@pytest.mark.parametrize("looks", [1, 4.4])
def test_speckle_of_decibels_follows_the_logarithm_of_a_gamma_variable(looks):
    looked = look(torch.full((100, 2, 32, 32), -17.0), speckle_looks=looks, decibels=True).double() + 17.0
    per_neper = 10 / math.log(10)
    assert looked.mean().item() == pytest.approx(per_neper * (special.digamma(looks) - math.log(looks)), abs=0.05)
    assert looked.var().item() == pytest.approx(per_neper**2 * special.polygamma(1, looks), rel=0.03)
    # The power itself keeps its mean.
    assert (10 ** (looked / 10)).mean().item() == pytest.approx(1.0, abs=0.02)


def test_gain_in_decibels_is_gain_of_the_power():
    power = torch.rand(5, 2, 8, 8, generator=torch.Generator().manual_seed(0)) + 0.1
    linear = look(power, gain=0.3)
    decibels = look(10 * power.log10(), gain=0.3, decibels=True)
    torch.testing.assert_close(10 ** (decibels / 10), linear, rtol=1e-4, atol=1e-6)


def test_gain_is_one_factor_a_band():
    looked = look(torch.ones(3000, 3, 4, 4), gain=0.2)
    factors = looked[:, :, 0, 0]
    assert torch.equal(looked, factors[:, :, None, None].expand_as(looked))
    assert factors.min() >= 0.8 - 1e-6
    assert factors.max() <= 1.2 + 1e-6
    assert factors.std().item() == pytest.approx(0.2 / 3**0.5, rel=0.03)
    assert abs(np.corrcoef(factors.T.numpy())[0, 1]) < 0.06


def test_brightness_moves_all_bands_together_in_units_of_their_spread():
    values = torch.randn(500, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    values *= torch.tensor([1.0, 100.0, 0.01])[:, None, None]
    moved = (look(values, brightness=0.5) - values) / values.std(dim=(2, 3), unbiased=False, keepdim=True)
    amounts = moved[:, :1, :1, :1]
    torch.testing.assert_close(moved, amounts.expand_as(moved), atol=1e-4, rtol=0)
    assert amounts.abs().max() <= 0.5 + 1e-4
    assert amounts.std().item() == pytest.approx(0.5 / 3**0.5, rel=0.1)


def test_whole_bands_go_missing_but_one_stays():
    missing = look(torch.ones(5000, 4, 3, 3), band_dropout=0.3).isnan()
    bands = missing[:, :, 0, 0]
    assert torch.equal(missing, bands[:, :, None, None].expand_as(missing))
    assert bands.float().mean().item() == pytest.approx(0.3, abs=0.01)
    assert not bands.all(dim=1).any()


def test_options_out_of_range_are_refused():
    for options, message in (
        ({"gain": 1.0}, "gain must be 0 or more and less than 1"),
        ({"speckle_looks": -1}, "speckle_looks must be 0"),
        ({"crop": (0.0, 1.0)}, "crop must be two shares"),
    ):
        with pytest.raises(ValueError, match=message):
            ChipViews(**options)
