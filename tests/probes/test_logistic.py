"""Mirrors src/geotether/probes/logistic.py."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from geotether.probes.logistic import LogisticProbe, held_out_fifth


def problem(num_rows: int, num_columns: int, num_classes: int = 4):
    rng = np.random.default_rng(num_columns)
    features = (rng.standard_normal((num_rows, num_columns)) * rng.uniform(0.1, 9, num_columns)).astype(np.float32)
    scores = features[:, :num_classes] / features[:, :num_classes].std(axis=0) + rng.standard_normal(
        (num_rows, num_classes)
    )
    return features, scores.argmax(axis=1)


def objective(weights, intercept, standard, codes, penalty):
    logits = standard @ weights + intercept
    logits -= logits.max(axis=1, keepdims=True)
    loss = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(codes)), codes]
    return loss.mean() + penalty / (2 * len(codes)) * (weights**2).sum()


@pytest.mark.parametrize(("num_rows", "num_columns"), [(300, 12), (60, 150)], ids=["tall", "wide"])
@pytest.mark.parametrize("penalty", [0.3, 30.0])
def test_reaches_the_optimum_of_scikit_learn(num_rows, num_columns, penalty):
    features, codes = problem(num_rows, num_columns)
    standard = StandardScaler().fit_transform(features.astype(np.float64))
    want = LogisticRegression(C=1 / penalty, tol=1e-8, max_iter=5000).fit(standard, codes)
    got = LogisticProbe(penalties=(penalty,), max_steps=300).fit(features, codes)
    got_loss = objective(got.weights_, got.intercept_, standard, codes, penalty)
    want_loss = objective(want.coef_.T, want.intercept_, standard, codes, penalty)
    assert got_loss == pytest.approx(want_loss, abs=1e-4)
    assert np.mean(got.predict(features) == codes) == pytest.approx(
        want.score(standard, codes), abs=max(1e-3, 1.01 / num_rows)
    )


def test_penalty_is_chosen_on_the_held_out_fifth():
    features, codes = problem(300, 12)
    folds = np.arange(300) % 10
    got = LogisticProbe(penalties=(1e-2, 1.0, 1e6)).fit(features, codes, folds)
    assert got.penalty_ < 1e6


def test_a_single_class_is_always_predicted():
    features, _ = problem(20, 3, 3)
    assert set(LogisticProbe().fit(features, np.full(20, "sea")).predict(features)) == {"sea"}


def test_held_out_fifth_takes_whole_folds():
    folds = np.repeat(np.arange(10), [1, 9, 5, 5, 10, 10, 10, 20, 20, 10])
    held = held_out_fifth(folds, 100)
    assert 0.2 <= held.mean() <= 0.35
    assert not set(folds[held]) & set(folds[~held])
    assert not held_out_fifth(np.zeros(5, dtype=int), 5).any()
    assert held_out_fifth(np.array([0, 0, 0, 1]), 4).sum() == 3


@pytest.mark.parametrize("penalties", [(), (0.0,)])
def test_penalties_must_be_above_zero(penalties):
    features, codes = problem(20, 4)
    with pytest.raises(ValueError, match="above 0"):
        LogisticProbe(penalties=penalties).fit(features, codes)
