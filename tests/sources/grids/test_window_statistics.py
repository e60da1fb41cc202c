"""Mirrors src/geotether/sources/grids/window_statistics.py."""

import warnings

import numpy as np
import pytest

from geotether.sources.grids.window_statistics import STATISTICS, in_circle, window_statistics


def test_agrees_with_numpy_on_what_is_known():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(40, 30, 2))
    values[rng.random(values.shape) < 0.4] = np.nan
    values[3, :, 1] = np.nan
    values[4, 1:, 0] = np.nan
    values[4, 0, 0] = 2.5
    found = window_statistics(values, STATISTICS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in ("mean", "std", "min", "max", "median"):
            np.testing.assert_allclose(found[name], getattr(np, f"nan{name}")(values, axis=1), err_msg=name)
    np.testing.assert_allclose(found["missing"], np.isnan(values).mean(axis=1))
    assert found["std"][4, 0] == 0
    assert np.isnan(found["mean"][3, 1])


def test_shares_of_classes_are_among_the_known_cells():
    values = np.array([1, 1, 2, np.nan, 7, 1], dtype=float).reshape(1, 6, 1)
    found = window_statistics(values, [], [1, 2, 9])
    assert {name: share.item() for name, share in found.items()} == {
        "share of 1": 0.6, "share of 2": 0.2, "share of 9": 0.0,
    }  # fmt: skip
    assert np.isnan(window_statistics(np.full((1, 3, 1), np.nan), [], [1])["share of 1"]).all()


@pytest.mark.parametrize("size", [1, 8, 64, 101])
def test_a_circle_covers_its_share_of_the_square(size):
    circle = in_circle(size)
    assert circle.mean() == pytest.approx(np.pi / 4, abs=0.8 / size)
    np.testing.assert_array_equal(circle, circle[::-1].T)
