"""Mirrors src/geotether/batches/views.py."""

import math

import numpy as np
import pytest
import torch
from scipy import special, stats
from torch.nn import functional as F

from geotether.batches.views import VIEWS, ChipViews, SeriesViews, VectorViews, make_views, speckle, spread
from geotether.draws import Draws

SHAPES = {"vector": (6, 20), "series": (6, 12, 3), "chip": (6, 3, 16, 16)}
# Every option on.
ALL = {
    "vector": {"noise": 0.2, "dropout": 0.2},
    "series": {"jitter": 0.2, "shift": 2, "step_dropout": 0.2, "band_dropout": 0.2},
    "chip": {"speckle_looks": 4.4, "decibels": True, "band_dropout": 0.2},
}


@pytest.fixture(params=[(kind, config) for kind in VIEWS for config in (None, ALL[kind])], ids=str)
def case(request):
    kind, config = request.param
    values = torch.randn(SHAPES[kind], generator=torch.Generator().manual_seed(0)) + 5
    values[2].view(-1)[3:9] = float("nan")
    return make_views(config, kind), values


def seeded(seed=1):
    return torch.Generator().manual_seed(seed)


def test_a_view_is_a_function_of_the_values_and_the_generator(case):
    views, values = case
    before = values.clone()
    first = views(values, seeded())
    torch.manual_seed(99)  # the global generator takes no part
    torch.testing.assert_close(views(values, seeded()), first, rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(values, before, rtol=0, atol=0, equal_nan=True)
    assert (first.shape, first.dtype) == (values.shape, torch.float32)
    assert views(values[:0], seeded()).shape == values[:0].shape
    whole = values.nan_to_num().to(torch.uint8)
    torch.testing.assert_close(views(whole, seeded()), views(whole.float(), seeded()), rtol=0, atol=0, equal_nan=True)
    generator = seeded()
    views(values, generator)
    assert not torch.equal(views(values, generator).nan_to_num(), first.nan_to_num())


def test_rows_never_mix(case):
    views, values = case
    other = values.clone()
    other[[0, 3]] = 100 * other[[0, 3]].flip(1) + 7
    other[3].view(-1)[5] = float("nan")
    got, changed = views(values, seeded()), views(other, seeded())
    rest = [1, 2, 4, 5]
    torch.testing.assert_close(changed[rest], got[rest], rtol=0, atol=0, equal_nan=True)
    assert not torch.equal(changed[[0, 3]].nan_to_num(), got[[0, 3]].nan_to_num())


def test_some_rows_of_a_batch_are_seen_as_in_the_whole_batch(case):
    views, values = case
    whole = views(values, seeded())
    rows = slice(1, len(values) - 1)
    with Draws().of(rows, len(values)):
        part = views(values[rows], seeded())
    torch.testing.assert_close(part, whole[rows], equal_nan=True)


def test_missing_values_stay_missing_and_do_not_spread(case):
    views, values = case
    gone = torch.full_like(values, float("nan"))
    assert views(gone, seeded()).isnan().all()
    looked = views(values, seeded())
    share = looked[2].isnan().float().mean() - looked[[0, 1, 3, 4, 5]].isnan().float().mean()
    assert share < 0.6
    assert not looked.isinf().any()


@pytest.mark.parametrize(
    ("config", "kind", "message"),
    [
        ({}, "picture", "Unknown kind of observation 'picture'; known: vector, series, chip"),
        ({"flip": True}, "chip", "Views of a chip have no option 'flip'; did you mean 'flips'"),
        ({"flips": 1}, "chip", "flips of the views of a chip must be like True, got 1"),
        ({"gain": True}, "chip", "gain of the views of a chip must be like 0.1, got True"),
        ({"crop": 0.5}, "chip", r"crop of the views of a chip must be like \(0.6, 1.0\), got 0.5"),
        ({"crop": ["a", 1.0]}, "chip", "must be like"),
        ({"crop": [0.9, 0.5]}, "chip", "crop must be two shares of the area"),
        ({"crop": [0.9]}, "chip", r"crop of the views of a chip must be like \(0.6, 1.0\), got \(0.9,\)"),
        ({"shift": 1.5}, "series", "shift of the views of a series must be like 1, got 1.5"),
        ({"jitter": [1]}, "series", "must be like 0.1"),
        ({"dropout": 1.0}, "vector", "dropout must be 0 or more and less than 1"),
        ({"gain": 1.0}, "chip", "gain must be 0 or more and less than 1"),
        ({"speckle_looks": -1}, "chip", "speckle_looks must be 0"),
        ({"crop": [0.0, 1.0]}, "chip", "crop must be two shares"),
    ],
)
def test_wrong_options_are_named(config, kind, message):
    with pytest.raises(ValueError, match=message):
        make_views(config, kind)


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


SERIES_OFF = {"jitter": 0, "shift": 0, "step_dropout": 0, "band_dropout": 0}


def look_at_series(values, seed=0, **options):
    return SeriesViews(**{**SERIES_OFF, **options})(values, torch.Generator().manual_seed(seed))


def test_jitter_is_a_share_of_the_bands_own_spread_in_time():
    steps = torch.linspace(0, 1, 10)[:, None] * torch.tensor([1.0, 1000.0, 0.0])
    values = steps.repeat(5000, 1, 1) + 7
    noise = look_at_series(values, jitter=0.3) - values
    spread = steps.std(dim=0, unbiased=False)
    torch.testing.assert_close(noise.std(dim=(0, 1)), 0.3 * spread, rtol=0.02, atol=1e-6)


def test_a_shift_repeats_the_first_or_last_step():
    values = torch.arange(6.0).repeat(3000, 1)[:, :, None].repeat(1, 1, 2)
    looked = look_at_series(values, shift=2)
    assert torch.equal(looked[:, :, 0], looked[:, :, 1])
    want = {tuple((torch.arange(6) - k).clamp(0, 5).float().tolist()) for k in range(-2, 3)}
    found, counts = looked[:, :, 0].unique(dim=0, return_counts=True)
    assert {tuple(row.tolist()) for row in found} == want
    assert counts.float().div(3000).sub(0.2).abs().max() < 0.03  # each of the five as often
    assert set(look_at_series(values[:1, :2], shift=9).flatten().tolist()) <= {0.0, 1.0}  # shorter than the shift


@pytest.mark.parametrize(("option", "axis"), [("step_dropout", 2), ("band_dropout", 1)])
def test_whole_steps_or_bands_go_missing(option, axis):
    missing = look_at_series(torch.ones(5000, 8, 8), **{option: 0.3}).isnan()
    alike = missing.any(dim=axis)
    assert torch.equal(alike, missing.all(dim=axis))
    assert abs(alike.float().mean().item() - 0.3) < 0.01
    assert not alike.all(dim=1).any()


CHIPS_OFF = {"crop": (1, 1), "flips": False, "turns": False, "gain": 0, "brightness": 0, "band_dropout": 0}


def look_at_chips(values, seed=0, **options):
    return ChipViews(**{**CHIPS_OFF, **options})(values, torch.Generator().manual_seed(seed))


def numbered(rows, height, width, bands=2):
    return torch.arange(float(bands * height * width)).view(1, bands, height, width).repeat(rows, 1, 1, 1)


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
def test_flips_and_turns_equal_numpy_and_are_equally_frequent(flips, turns, size, count):
    values = numbered(4000, *size)
    looked = [chip.numpy().tobytes() for chip in look_at_chips(values, flips=flips, turns=turns)]
    want = symmetries(values[0].numpy(), flips, turns)
    assert set(looked) == want
    assert len(want) == count
    assert all(abs(looked.count(one) / 4000 - 1 / count) < 0.03 for one in want)


@pytest.mark.parametrize(("flips", "turns", "count"), [(True, True, 8), (False, True, 4), (True, False, 4)])
def test_a_crop_is_turned_and_mirrored_as_a_whole(flips, turns, count):
    values = torch.randn(200, 2, 7, 7, generator=torch.Generator().manual_seed(0))
    options = {"crop": (0.5, 0.9)}
    straight = look_at_chips(values, **options).numpy()
    found = look_at_chips(values, **options, flips=flips, turns=turns).numpy()
    seen = set()
    for one, other in zip(straight, found, strict=True):
        turned = [np.rot90(one, k, (1, 2)) for k in (range(4) if turns else [0])]
        mirrors = [(), (1,), (2,), (1, 2)] if flips else [()]
        ways = [np.flip(chip, axes) for chip in turned for axes in mirrors]
        close = [at for at, way in enumerate(ways) if np.abs(way - other).max() < 1e-4]
        assert close
        seen.add(close[0])
    assert len(seen) == count


def test_a_crop_is_the_interpolation_of_torch():
    values = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    whole = ChipViews(**{**CHIPS_OFF, "crop": (0.25, 0.25)})
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
    looked = look_at_chips(values, crop=(0.6, 1.0))
    known = looked[looked.isfinite()]
    torch.testing.assert_close(known, torch.full_like(known, 5.0))
    assert 17 / 256 < looked.isnan().float().mean().item() < 2 * 17 / 256  # enlarged with the box, no more


def test_gain_in_decibels_is_gain_of_the_power():
    power = torch.rand(5, 2, 8, 8, generator=torch.Generator().manual_seed(0)) + 0.1
    linear = look_at_chips(power, gain=0.3)
    decibels = look_at_chips(10 * power.log10(), gain=0.3, decibels=True)
    torch.testing.assert_close(10 ** (decibels / 10), linear, rtol=1e-4, atol=1e-6)


def test_gain_is_one_factor_a_band():
    looked = look_at_chips(torch.ones(3000, 3, 4, 4), gain=0.2)
    factors = looked[:, :, 0, 0]
    assert torch.equal(looked, factors[:, :, None, None].expand_as(looked))
    assert factors.min() >= 0.8 - 1e-6
    assert factors.max() <= 1.2 + 1e-6
    assert factors.std().item() == pytest.approx(0.2 / 3**0.5, rel=0.03)
    assert abs(np.corrcoef(factors.T.numpy())[0, 1]) < 0.06


def test_brightness_moves_all_bands_together_in_units_of_their_spread():
    values = torch.randn(500, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    values *= torch.tensor([1.0, 100.0, 0.01])[:, None, None]
    moved = (look_at_chips(values, brightness=0.5) - values) / values.std(dim=(2, 3), unbiased=False, keepdim=True)
    amounts = moved[:, :1, :1, :1]
    torch.testing.assert_close(moved, amounts.expand_as(moved), atol=1e-4, rtol=0)
    assert amounts.abs().max() <= 0.5 + 1e-4
    assert amounts.std().item() == pytest.approx(0.5 / 3**0.5, rel=0.1)


@pytest.mark.parametrize(
    "views, shape", [(VectorViews(noise=0, dropout=0), (4, 3)), ("series", (4, 12, 3)), ("chip", (4, 3, 8, 8))], ids=str
)
def test_everything_off_changes_nothing(views, shape):
    views = {"series": SeriesViews(**SERIES_OFF), "chip": ChipViews(**CHIPS_OFF)}.get(views, views)
    values = torch.randn(shape, generator=seeded())
    assert torch.equal(views(values, seeded()), values)


@pytest.mark.parametrize("looks", [0.7, 1, 4.4, 16])
def test_speckle_follows_the_gamma_law(looks):
    drawn = speckle((400, 500), looks, seeded(0)).double().numpy().ravel()
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
    assert speckle((1000, 1000), 0.01, seeded(0)).log().isfinite().all()


def test_spread_is_numpys_without_the_missing():
    values = np.random.default_rng(0).normal(5, 3, (4, 9, 2))
    values[0, 3] = np.nan
    values[1, :, 0] = np.nan
    values[1, 0, 1] = -np.inf
    got = spread(torch.from_numpy(values), (1,)).numpy()
    values[1, 0, 1] = np.nan
    want = np.nanstd(np.where(np.isnan(values).all(1, keepdims=True), 0.0, values), axis=1, keepdims=True)
    np.testing.assert_allclose(got, want)
