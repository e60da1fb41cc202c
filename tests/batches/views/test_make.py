"""Mirrors src/geotether/batches/views/make.py: what holds for the views of every kind."""

import pytest
import torch

from geotether.batches.views import VIEWS, ChipViews, make_views

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


def test_what_is_missing_stays_missing_and_spreads_no_further(case):
    views, values = case
    gone = torch.full_like(values, float("nan"))
    assert views(gone, seeded()).isnan().all()
    looked = views(values, seeded())
    share = looked[2].isnan().float().mean() - looked[[0, 1, 3, 4, 5]].isnan().float().mean()
    assert share < 0.6
    assert not looked.isinf().any()


def test_no_rows_give_no_rows(case):
    views, values = case
    assert views(values[:0], seeded()).shape == values[:0].shape


def test_whole_numbers_are_looked_at_as_floats():
    chips = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8, generator=seeded())
    views = make_views(None, "chip")
    torch.testing.assert_close(views(chips, seeded()), views(chips.float(), seeded()), rtol=0, atol=0, equal_nan=True)


def test_lists_of_a_configuration_file_become_tuples():
    assert make_views({"crop": [0.5, 1]}, "chip") == ChipViews(crop=(0.5, 1))


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
    ],
)
def test_wrong_options_are_named(config, kind, message):
    with pytest.raises(ValueError, match=message):
        make_views(config, kind)
