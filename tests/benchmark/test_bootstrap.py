"""Mirrors src/geotether/benchmark/bootstrap.py."""

import math

import numpy as np
import pytest
from scipy.stats import bootstrap

from geotether.benchmark.bootstrap import REPEATS, draw_blocks, draw_seeds, interval, replicates, score
from geotether.benchmark.outcome import Outcome


def outcome(blocks, sums, seed=0, split="own", metric="accuracy"):
    sums = np.asarray(sums, dtype=float)
    value = float(sums[:, 1].sum() / sums[:, 0].sum())
    return Outcome("t", "e", "ridge", split, 10, seed, "", metric, value, "", np.asarray(blocks, dtype=np.int64), sums)


def test_the_interval_is_that_of_a_hand_loop_over_blocks():
    rng = np.random.default_rng(0)
    rows = rng.integers(5, 40, 60)
    right = rng.binomial(rows, rng.uniform(0.3, 0.9, 60))
    got = score([outcome(np.arange(60), np.stack([rows, right], axis=1))])
    drawn = rng.integers(0, 60, (20_000, 60))
    by_hand = right[drawn].sum(1) / rows[drawn].sum(1)
    assert got.mean == pytest.approx(right.sum() / rows.sum())
    assert (got.low, got.high) == pytest.approx(tuple(np.percentile(by_hand, [2.5, 97.5])), abs=0.01)
    assert (got.seeds, got.blocks) == (1, 60)


def test_rows_of_one_block_are_not_counted_as_independent():
    """A thousand rows in sixteen blocks say no more than sixteen blocks: the interval stays wide."""
    few = score([outcome(range(16), [[250, 250], [250, 0], [250, 200], [250, 50]] * 4)])
    many = score([outcome(range(100), [[10, 5]] * 50 + [[10, 4], [10, 6]] * 25)])
    assert few.high - few.low > 0.25
    assert many.high - many.low < 0.05


@pytest.mark.parametrize(("blocks", "given"), [(1, False), (14, False), (15, True)])
def test_too_few_blocks_have_a_score_without_an_interval(blocks, given):
    found = score([outcome(range(blocks), [[10, 1 + block % 9] for block in range(blocks)])])
    assert 0 < found.mean < 1
    assert np.isfinite([found.low, found.high]).all() == given
    assert ("[" in str(found)) == given


def test_a_block_tested_by_two_seeds_is_drawn_for_both():
    one, two = outcome([1, 2, 3], [[9, 9], [9, 0], [9, 4]]), outcome([3, 2, 1][::-1], [[9, 9], [9, 0], [9, 4]], seed=1)
    alone = replicates([outcome([1, 2, 3], [[9, 9], [9, 0], [9, 4]], split="blocks-10")])
    together = replicates([one, two])
    np.testing.assert_allclose(together, alone)


def test_blocks_are_drawn_within_their_test_fold():
    counts = draw_blocks((np.arange(3).tobytes(), np.arange(3, 8).tobytes()))
    assert counts.shape == (REPEATS, 8)
    assert set(counts[:, :3].sum(axis=1)) == {3.0}
    assert set(counts[:, 3:].sum(axis=1)) == {5.0}


def test_seeds_are_resampled_unless_each_tests_its_own_blocks():
    assert (draw_seeds((0, 1, 2), fixed=True) == 1).all()
    drawn = draw_seeds((0, 0, 1, 1), fixed=False)
    np.testing.assert_array_equal(drawn[:, 0], drawn[:, 1])  # the continents of a seed go together
    assert set((drawn[:, 0] + drawn[:, 2]).tolist()) == {2.0}


def test_undefined_draws_are_left_out():
    low, high = interval(np.array([np.nan, 1.0, 1.0]), 1.0)
    assert (low, high) == (1.0, 1.0)
    assert math.isnan(interval(np.full(3, np.nan), 0.0)[0])


def test_the_interval_covers_the_truth_as_often_as_it_says():
    """Blocks with their own level of accuracy around 0.6: of 200 studies about 95 % must cover 0.6."""
    rng, hits = np.random.default_rng(1), 0
    for _ in range(200):
        level = rng.beta(6, 4, 80)
        right = rng.binomial(20, level)
        found = score([outcome(range(80), np.stack([np.full(80, 20), right], axis=1))])
        hits += found.low <= 0.6 <= found.high
    assert 180 <= hits <= 198


def test_the_correction_for_bias_is_that_of_scipy_without_acceleration():
    """Of a skewed statistic (a variance); SciPy's BCa differs by its acceleration alone, which is small here."""
    rng = np.random.default_rng(3)
    values = rng.standard_normal(400)
    drawn = values[rng.integers(0, 400, (4000, 400))].var(axis=1)
    got = interval(drawn, float(values.var()))
    reference = bootstrap((values,), np.var, n_resamples=4000, rng=np.random.default_rng(4)).confidence_interval
    assert got == pytest.approx((reference.low, reference.high), abs=0.02)
    assert interval(drawn - 0.1, float(values.var()) - 0.1)[1] == pytest.approx(got[1] - 0.1)


def test_a_point_beyond_all_replicates_has_an_interval():
    low, high = interval(np.linspace(0, 1, 500), 2.0)
    assert low <= high == pytest.approx(1.0, abs=0.01)
