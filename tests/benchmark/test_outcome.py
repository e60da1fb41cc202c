"""Mirrors src/geotether/benchmark/outcome.py."""

import math

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, r2_score

from geotether.benchmark.outcome import block_sums, interval_blocks, score_of_sums
from geotether.geodesy.blocks import block_id

RNG = np.random.default_rng(0)
BLOCKS = RNG.integers(0, 9, 300)
DATA = {
    "R2": (1e4 + RNG.standard_normal(300), 1e4 + RNG.standard_normal(300), r2_score),
    "accuracy": (RNG.choice(list("abc"), 300), RNG.choice(list("abc"), 300), accuracy_score),
    "micro F1": (
        RNG.integers(0, 2, (300, 4)).astype(float),
        RNG.integers(0, 2, (300, 4)).astype(float),
        lambda true, said: f1_score(true, said, average="micro"),
    ),
}


@pytest.mark.parametrize("metric", DATA)
def test_added_sums_score_as_scikit_learn_does(metric):
    true, predicted, reference = DATA[metric]
    names, sums = block_sums(metric, true, predicted, BLOCKS)
    assert float(score_of_sums(metric, sums.sum(axis=0))) == pytest.approx(reference(true, predicted), abs=1e-9)
    some = np.isin(BLOCKS, (1, 4))
    part = sums[np.isin(names, (1, 4))].sum(axis=0)
    assert float(score_of_sums(metric, part)) == pytest.approx(reference(true[some], predicted[some]), abs=1e-6)


def test_a_block_drawn_twice_counts_twice():
    true, predicted, reference = DATA["R2"]
    _, sums = block_sums("R2", true, predicted, BLOCKS)
    rows = np.concatenate([np.flatnonzero(BLOCKS == 2)] * 2 + [np.flatnonzero(BLOCKS == 5)])
    got = float(score_of_sums("R2", 2 * sums[2] + sums[5]))
    assert got == pytest.approx(reference(true[rows], predicted[rows]), abs=1e-6)


def test_undefined_scores_are_nan():
    for metric, width in [("R2", 4), ("accuracy", 2), ("micro F1", 3)]:
        assert math.isnan(float(score_of_sums(metric, np.zeros(width))))
    _, sums = block_sums("R2", np.full(5, 1e6), np.arange(5.0), np.zeros(5, dtype=int))
    assert math.isnan(float(score_of_sums("R2", sums.sum(axis=0))))


@pytest.mark.parametrize(
    ("split", "side"), [("random", 1000.0), ("own", 1000.0), ("blocks-50km", 50.0), ("blocks-40", 4447.8)]
)
def test_blocks_of_intervals_follow_the_split(split, side):
    lonlat = np.stack([RNG.uniform(-5, 5, 50), RNG.uniform(40, 50, 50)], axis=1)
    np.testing.assert_array_equal(interval_blocks(lonlat, split), block_id(lonlat, side))
