"""Mirrors src/geotether/probes/sample_probe.py."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from geotether.probes.sample_probe import STRENGTHS, fit_sample_probe


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 5)) * [1, 10, 0.1, 3, 0] + 4
    return x, x @ [1.0, -0.2, 5.0, 0, 0] + rng.standard_normal(300)


def test_numbers_are_ridge_with_the_strength_that_validation_likes(rows):
    x, y = rows
    found = fit_sample_probe("numbers", (x[:40], y[:40]), (x[40:200], y[40:200]), 1)(x[200:])
    mean, spread = x[:40].mean(0), x[:40].std(0)
    z = (x - mean) / np.where(spread > 0, spread, np.inf)
    candidates = [Ridge(alpha=1 / strength).fit(z[:40], y[:40]) for strength in STRENGTHS]
    best = max(candidates, key=lambda model: model.score(z[40:200], y[40:200]))
    np.testing.assert_allclose(found, best.predict(z[200:]), rtol=1e-9)


def test_validation_rows_are_never_fitted(rows):
    x, y = rows
    labels = np.stack([y > y.mean(), x[:, 1] > 4], axis=1).astype(float)
    for kind, target, count in (("classes", (y > y.mean()).astype(int), 2), ("labels", labels, 2), ("numbers", y, 1)):
        one = fit_sample_probe(kind, (x[:40], target[:40]), (x[40:60], target[40:60]), count)
        again = fit_sample_probe(kind, (x[:40], target[:40]), (np.tile(x[40:60], (3, 1)), np.repeat(target[40:60][None], 3, 0).reshape(-1, *target.shape[1:])), count)  # fmt: skip  # noqa: E501
        np.testing.assert_allclose(one(x[200:]), again(x[200:]), atol=2e-2 if kind == "labels" else 1e-12)


def test_classes_that_training_lacks_get_nothing(rows):
    x, _ = rows
    target = np.array([0, 2] * 150)
    scores = fit_sample_probe("classes", (x[:50], target[:50]), (x[50:90], target[50:90]), 4)(x[90:])
    assert scores.shape == (210, 4)
    assert scores[:, [1, 3]].max() == 0
    np.testing.assert_allclose(scores.sum(1), 1)
    alone = fit_sample_probe("classes", (x[:50], np.full(50, 1)), None, 3)(x[90:])
    assert alone.tolist() == [[0, 1, 0]] * 210


def test_missing_numbers_are_the_mean(rows):
    x, y = rows
    holes = x.copy()
    holes[::7, 1] = np.nan
    filled = np.where(np.isnan(holes), np.nanmean(holes[:100], 0), holes)
    one = fit_sample_probe("numbers", (holes[:100], y[:100]), None, 1)(holes[100:])
    two = fit_sample_probe("numbers", (filled[:100], y[:100]), None, 1)(filled[100:])
    assert np.corrcoef(one, two)[0, 1] > 0.99
    assert np.isfinite(one).all()


def test_wrong_input_is_named(rows):
    x, y = rows
    with pytest.raises(ValueError, match="kind must be classes, labels or numbers, got 'colour'"):
        fit_sample_probe("colour", (x, y), None, 1)
    with pytest.raises(ValueError, match="two training rows or more, got 1"):
        fit_sample_probe("numbers", (x[:1], y[:1]), None, 1)


def test_a_nearly_constant_training_column_does_not_explode_in_test():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 3))
    y = x[:, 0] + 0.1 * rng.standard_normal(200)
    x[:, 2] = 0.0
    x[0, 2], x[150, 2] = 1e-6, 1.0  # a million standard deviations away
    predicted = fit_sample_probe("numbers", (x[:100], y[:100]), None, 1)(x[100:])
    assert np.abs(predicted - y[100:]).max() < 2
