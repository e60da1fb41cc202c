"""Mirrors src/geotether/probes/applicability.py."""

import math

import numpy as np
import pytest

from geotether.probes.applicability import CHUNK_ROWS, Applicability


@pytest.fixture
def train():
    return np.random.default_rng(0).standard_normal((60, 5)) * [1.0, 10.0, 0.1, 3.0, 1.0] + 100.0


FOLDS = np.arange(60) % 4


def by_hand(train, folds, weights, rows):
    """Dissimilarity of rows, of training rows to other folds, and the threshold, by loops."""
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    known = [[w * (x - m) / s for x, m, s, w in zip(row, mean, deviation, weights, strict=True)] for row in train]
    asked = [[w * (x - m) / s for x, m, s, w in zip(row, mean, deviation, weights, strict=True)] for row in rows]
    pairs = [math.dist(known[i], known[j]) for i in range(len(known)) for j in range(i)]
    scale = sum(pairs) / len(pairs)
    new = [min(math.dist(row, other) for other in known) / scale for row in asked]
    left_out = [
        min(math.dist(known[i], known[j]) for j in range(len(known)) if folds[j] != folds[i]) / scale
        for i in range(len(known))
    ]
    lower, upper = np.percentile(left_out, [25, 75])
    return new, min(upper + 1.5 * (upper - lower), max(left_out))


@pytest.mark.parametrize("weights", [None, np.array([1.0, 0.0, 2.0, 0.5, 1.0])], ids=["equal", "weighted"])
def test_equals_the_definition(train, weights):
    rows = np.concatenate([train[:3], train[:5] * 1.02, np.full((1, 5), 1e4)])
    area = Applicability().fit(train, FOLDS, weights)
    want, threshold = by_hand(train, FOLDS, np.ones(5) if weights is None else weights, rows)
    np.testing.assert_allclose(area.dissimilarity(rows), want, rtol=1e-5, atol=1e-9)
    assert area.threshold == pytest.approx(threshold, rel=1e-5)
    np.testing.assert_array_equal(area.inside(rows), np.array(want) <= threshold)
    pairs = [area.dissimilarity_of_pairs(rows, np.repeat(one[None], len(rows), axis=0)) for one in train]
    np.testing.assert_allclose(np.min(pairs, axis=0), want, rtol=1e-5, atol=1e-9)


def test_dissimilarity_is_exact_near_training_rows_of_many_columns():
    train = np.random.default_rng(1).standard_normal((300, 256)).astype(np.float32)
    area = Applicability().fit(train, np.arange(300) % 5)
    nudged = train.copy()
    nudged[:, 0] += 1e-4
    assert not area.dissimilarity(train).any()
    np.testing.assert_allclose(area.dissimilarity(nudged), 1e-4 / train[:, 0].std() / area.mean_distance, rtol=0.01)


def test_scale_shift_chunks_and_names_of_folds_do_not_matter(train):
    area = Applicability().fit(train, FOLDS)
    other = Applicability().fit(train * 7 - 3, np.array(["a", "b", "c", "d"])[FOLDS])
    rows = np.resize(train + 0.5, (CHUNK_ROWS + 7, 5))
    np.testing.assert_allclose(other.dissimilarity(rows * 7 - 3), area.dissimilarity(rows), rtol=1e-4)
    assert other.threshold == pytest.approx(area.threshold, rel=1e-5)
    assert area.dissimilarity(rows[:0]).shape == (0,)


def test_constant_columns_are_ignored_and_missing_values_are_outside(train):
    wide = np.column_stack([train, np.full(60, 7.0)])
    area = Applicability().fit(wide, FOLDS)
    rows = wide.copy()
    rows[:, 5] = 99.0
    assert not area.dissimilarity(rows).any()
    rows[0, 0] = np.nan
    assert area.inside(rows).tolist() == [False] + [True] * 59


@pytest.mark.parametrize(
    ("rows", "folds", "weights"),
    [
        (np.ones((4, 2)), np.arange(4), None),
        (np.eye(4), np.zeros(4), None),
        (np.eye(4) * np.nan, np.arange(4), None),
        (np.eye(4), np.arange(4), -np.ones(4)),
        (np.empty((0, 4)), np.arange(0), None),
    ],
    ids=["equal_rows", "one_fold", "nan", "negative", "empty"],
)
def test_misuse_is_refused(rows, folds, weights):
    with pytest.raises(ValueError):
        Applicability().fit(rows, folds, weights)


def test_other_columns_are_refused(train):
    area = Applicability().fit(train, FOLDS)
    with pytest.raises(ValueError, match="5 columns"):
        area.dissimilarity(np.ones((2, 4)))
