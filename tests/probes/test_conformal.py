"""Mirrors src/geotether/probes/conformal.py."""

import numpy as np
import pytest

from geotether.probes.conformal import BlockIntervals, block_quantile, fewest_blocks


def test_quantile_covers_a_new_block_of_dependent_rows():
    """Blocks of unequal size, whose rows share most of their error: a random row of the last block is covered."""
    rng, inside, levels = np.random.default_rng(0), [], (0.6, 0.9)
    for _ in range(2000):
        sizes = rng.integers(1, 30, 25)
        blocks = np.repeat(np.arange(25), sizes)
        scores = rng.normal(size=25)[blocks] + 0.3 * rng.normal(size=len(blocks))
        new = rng.normal() + 0.3 * rng.normal()
        inside.append([new <= block_quantile(scores, blocks, level) for level in levels])
    share = np.mean(inside, axis=0)
    error = 3 * np.sqrt(0.25 / 2000)
    assert (share >= np.array(levels) - error).all()
    assert (share <= np.array(levels) + 1 / 26 + error).all()


def test_quantile_of_rows_of_their_own_is_that_of_split_conformal():
    scores = np.random.default_rng(1).normal(size=99)
    want = np.sort(scores)[int(np.ceil(0.9 * 100)) - 1]
    assert block_quantile(scores, np.arange(99), 0.9) == want


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95])
def test_fewest_blocks_is_where_intervals_become_finite(level):
    fewest = fewest_blocks(level)
    scores, side = np.arange(float(fewest)), (1 + level) / 2
    assert np.isfinite(block_quantile(scores, np.arange(fewest), side))
    assert np.isinf(block_quantile(scores[1:], np.arange(fewest - 1), side))


def noisy(rng, count=4000):
    """Residuals that grow with a known column, in blocks."""
    blocks = np.arange(count) // 10
    column = rng.uniform(0, 1, (count, 1))
    return (0.2 + column[:, 0]) * rng.standard_t(5, count), column, blocks, blocks % 5


def test_intervals_widen_with_the_errors_and_cover_everywhere():
    rng = np.random.default_rng(2)
    intervals = BlockIntervals().fit(*noisy(rng))
    true, column, _, _ = noisy(rng)
    low, high = intervals.ends(np.zeros(len(true)), column, 0.9).T
    covered, calm = (low <= true) & (true <= high), column[:, 0] < 0.5
    assert covered[calm].mean() == pytest.approx(0.9, abs=0.03)
    assert covered[~calm].mean() == pytest.approx(0.9, abs=0.03)
    assert np.median((high - low)[~calm]) > 1.6 * np.median((high - low)[calm])
    assert intervals.covered(0.9).mean() == pytest.approx(0.9, abs=0.02)


def test_skewed_errors_get_skewed_intervals():
    rng, blocks = np.random.default_rng(3), np.arange(2000) // 4
    intervals = BlockIntervals().fit(rng.exponential(size=2000), np.zeros((2000, 1)), blocks, blocks % 5)
    low, high = intervals.ends(np.zeros(1), np.zeros((1, 1)), 0.9)[0]
    assert (low, high) == (pytest.approx(-np.log(0.95), abs=0.02), pytest.approx(-np.log(0.05), abs=0.3))


def test_too_few_blocks_give_infinite_intervals():
    intervals = BlockIntervals().fit(np.ones(10), np.zeros((10, 1)), np.arange(10), np.arange(10) % 5)
    assert np.isinf(intervals.ends(np.zeros(1), np.zeros((1, 1)), 0.9)).all()


def test_rejects_what_is_not_finite_or_unequal():
    with pytest.raises(ValueError, match="finite"):
        BlockIntervals().fit(np.array([np.nan]), np.zeros((1, 1)), np.zeros(1), np.zeros(1, int))
    with pytest.raises(ValueError, match="as many"):
        BlockIntervals().fit(np.zeros(2), np.zeros((1, 1)), np.zeros(2), np.zeros(2, int))
