"""Mirrors src/geotether/probes/scores.py."""

import math

import numpy as np
import pytest
from scipy.stats import bootstrap
from sklearn.metrics import r2_score

from geotether.probes.scores import Score, accuracy, mean_interval, r2


def test_r2_equals_scikit_learn():
    rng = np.random.default_rng(0)
    true, predicted = rng.standard_normal(50), rng.standard_normal(50)
    assert r2(true, predicted) == pytest.approx(r2_score(true, predicted))


def test_r2_of_equal_values_is_refused():
    with pytest.raises(ValueError, match="all 3 true values are 4"):
        r2(np.full(3, 4.0), np.arange(3.0))


def test_a_class_never_trained_on_is_wrong():
    assert accuracy(np.array(["a", "new"]), np.array(["a", "a"])) == 0.5


def test_interval_agrees_with_the_bootstrap_for_many_values():
    values = np.random.default_rng(0).standard_normal(400)
    mean, half_width = mean_interval(values)
    low, high = bootstrap((values,), np.mean, rng=np.random.default_rng(1)).confidence_interval
    assert mean - half_width == pytest.approx(low, abs=0.02)
    assert mean + half_width == pytest.approx(high, abs=0.02)


def test_one_value_has_no_interval_and_none_is_refused():
    mean, half_width = mean_interval([3.0])
    assert mean == 3.0
    assert math.isnan(half_width)
    assert str(Score(3.0, half_width, 1)) == "3.000"
    assert str(Score(0.5, 0.25, 5)) == "0.500 ± 0.250"
    with pytest.raises(ValueError, match="got none"):
        mean_interval([])
