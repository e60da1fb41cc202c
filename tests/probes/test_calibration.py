"""Mirrors src/geotether/probes/calibration.py."""

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import entropy as entropy_of_scipy

from geotether.probes.calibration import CalibratedClasses, class_scores, entropy


def drawn(rng, count=3000, classes=4):
    """Scores that are three times too certain, more so where the column is large, and classes drawn from the truth."""
    logits = rng.normal(size=(count, classes)) * 2
    column = rng.uniform(0, 1, (count, 1))
    true = softmax(logits * np.exp(-column), axis=1)
    codes = (true.cumsum(axis=1) > rng.uniform(size=(count, 1))).argmax(axis=1)
    blocks = np.arange(count) // 10
    return 3 * logits, codes, column, blocks, blocks % 5, true


def test_finds_the_probabilities_that_classes_were_drawn_with():
    rng = np.random.default_rng(0)
    *given, _ = drawn(rng)
    found = CalibratedClasses().fit(*given)
    scores, _, column, _, _, true = drawn(rng)
    assert np.abs(found.probabilities(scores, column) - true).mean() < 0.02
    assert np.abs(softmax(scores, axis=1) - true).mean() > 0.1


def test_sets_cover_where_predictions_are_hard_as_where_they_are_easy():
    rng = np.random.default_rng(1)
    *given, _ = drawn(rng)
    found = CalibratedClasses().fit(*given)
    scores, codes, column, _, _, _ = drawn(rng, 6000)
    probabilities = found.probabilities(scores, column)
    inside = probabilities[np.arange(6000), codes] >= found.thresholds(column, 0.9)
    for hard in (column[:, 0] < 0.3, column[:, 0] > 0.7):
        assert inside[hard].mean() == pytest.approx(0.9, abs=0.03)
    assert found.covered(0.9).mean() == pytest.approx(0.9, abs=0.02)


def test_a_class_that_a_fold_did_not_know_keeps_a_probability():
    rng = np.random.default_rng(2)
    scores, codes, column, blocks, folds, _ = drawn(rng, 600)
    scores[folds == 0, 3] = -np.inf
    found = CalibratedClasses().fit(scores, codes, column, blocks, folds)
    assert (found.held_out_ > 0).all()
    np.testing.assert_allclose(found.held_out_.sum(axis=1), 1)


def test_entropy_is_that_of_scipy():
    p = np.random.default_rng(3).dirichlet(np.ones(5), 20)
    np.testing.assert_allclose(entropy(p), entropy_of_scipy(p, axis=1, base=5))


def test_shares_become_logarithms():
    np.testing.assert_allclose(softmax(class_scores("shares", np.array([[0.25, 0.75]])), axis=1), [[0.25, 0.75]])
