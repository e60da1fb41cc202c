"""Mirrors src/geotether/probes/linear.py."""

import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifier, RidgeCV
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.preprocessing import StandardScaler

from geotether.probes.decomposition import RidgeDecomposition
from geotether.probes.linear import RidgeProbe, fit_ridges, predict_ridges
from geotether.probes.target import ProbeTarget

ALPHAS = (1e-2, 1.0, 30.0, 1000.0)


@pytest.fixture(params=[(90, 10), (40, 70)], ids=["tall", "wide"])
def problem(request):
    num_rows, num_columns = request.param
    rng = np.random.default_rng(1)
    features = rng.standard_normal((num_rows, num_columns))
    number = features[:, :3].sum(axis=1) + 2 * rng.standard_normal(num_rows)
    word = np.array(["red", "green", "blue"])[np.argmax(features[:, :3] + rng.standard_normal((num_rows, 3)), axis=1)]
    return features, number, word, np.arange(num_rows) % 5


def test_chooses_and_predicts_as_ridge_cv(problem):
    features, number, _, folds = problem
    standard = StandardScaler().fit_transform(features)
    want = RidgeCV(ALPHAS, cv=PredefinedSplit(folds), scoring="neg_mean_squared_error").fit(standard, number)
    got = RidgeProbe(alphas=ALPHAS).fit(features, number, folds)
    assert got.alpha_ == want.alpha_
    np.testing.assert_allclose(got.predict(features), want.predict(standard), atol=1e-6)


def test_classes_are_chosen_by_held_out_accuracy(problem):
    features, _, word, folds = problem
    standard = StandardScaler().fit_transform(features)
    got = RidgeProbe("classification", ALPHAS).fit(features, word, folds)
    accuracies = [
        np.mean(cross_val_predict(RidgeClassifier(alpha=alpha), standard, word, cv=PredefinedSplit(folds)) == word)
        for alpha in ALPHAS
    ]
    assert accuracies[ALPHAS.index(got.alpha_)] == max(accuracies)
    want = RidgeClassifier(alpha=got.alpha_).fit(standard, word)
    assert got.predict(features).tolist() == want.predict(standard).tolist()


def test_one_decomposition_gives_what_separate_fits_give(problem):
    features, number, word, folds = problem
    targets = [
        ProbeTarget("regression", number),
        ProbeTarget("classification", word),
        ProbeTarget("regression", number**2),
    ]
    together = fit_ridges(RidgeDecomposition(features), targets, folds, ALPHAS)
    for target, probe, values in zip(targets, together, predict_ridges(together, features), strict=True):
        alone = RidgeProbe(target.kind, ALPHAS).fit(features, target, folds)
        assert alone.alpha_ == probe.alpha_
        same = np.testing.assert_allclose if target.kind == "regression" else np.testing.assert_array_equal
        same(values, alone.predict(features))


def test_a_single_class_is_always_predicted(problem):
    features, _, _, folds = problem
    probe = RidgeProbe("classification").fit(features, np.full(len(features), "sea"), folds)
    assert set(probe.predict(features)) == {"sea"}


def test_one_alpha_needs_no_folds():
    features = np.random.default_rng(0).standard_normal((10, 2))
    assert RidgeProbe(alphas=(3.0,)).fit(features, features[:, 0], np.zeros(10, dtype=int)).alpha_ == 3.0


@pytest.mark.parametrize(
    ("alphas", "rows", "folds", "message"),
    [
        ((0.0, 1.0), 10, np.arange(10), r"above 0, got \(0\.0, 1\.0\)"),
        ((1.0, 2.0), 9, np.arange(10), "10 rows of features, but 9 labels"),
        ((1.0, 2.0), 10, np.zeros(10, dtype=int), "all rows are in one fold"),
        ((1.0, 2.0), 10, np.arange(9), "folds has 9"),
    ],
)
def test_wrong_input_is_named(alphas, rows, folds, message):
    features = np.random.default_rng(0).standard_normal((10, 2))
    with pytest.raises(ValueError, match=message):
        RidgeProbe(alphas=alphas).fit(features, np.arange(rows, dtype=float), folds)


def test_single_precision_predicts_as_double_does():
    rng = np.random.default_rng(4)
    features = (rng.standard_normal((80, 12)) + 5).astype(np.float32)
    probe = fit_ridges(RidgeDecomposition(features), [ProbeTarget("regression", features[:, 0].astype(float))])[0]
    np.testing.assert_allclose(probe.predict(features), probe.predict(features.astype(np.float64)), atol=1e-4)
