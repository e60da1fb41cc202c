"""Mirrors src/geotether/benchmark/ladder.py."""

import numpy as np
import pytest

from geotether.benchmark.ladder import LADDER, draw_rows, rungs


def test_rungs_are_a_geometric_ladder():
    np.testing.assert_allclose(LADDER, [round(243 * (10 / 3) ** k) for k in range(6)], rtol=1e-2)


def test_longer_draws_contain_shorter_ones():
    candidates = np.arange(100, 400)
    short, long = (draw_rows(candidates, n, seed=3) for n in (20, 90))
    assert set(short) < set(long) < set(candidates)
    assert len(set(long)) == 90


def test_seeds_differ():
    assert set(draw_rows(np.arange(100), 20, 0)) != set(draw_rows(np.arange(100), 20, 1))


def test_too_many_labels_are_named():
    with pytest.raises(ValueError, match="cannot draw 11 labelled rows from 10"):
        draw_rows(np.arange(10), 11, 0)


def test_rungs_that_do_not_fit_are_given_back():
    assert rungs(243) == ([243], [810, 2700, 9000, 30_000, 100_000])
