"""Mirrors src/geotether/probes/scores.py."""

import math

import numpy as np
import pytest
from sklearn.metrics import r2_score

from geotether.probes.scores import Score, accuracy, r2


def test_r2_equals_scikit_learn():
    rng = np.random.default_rng(0)
    true, predicted = rng.standard_normal(50), rng.standard_normal(50)
    assert r2(true, predicted) == pytest.approx(r2_score(true, predicted))


def test_r2_of_equal_values_is_refused():
    with pytest.raises(ValueError, match="all 3 true values are 4"):
        r2(np.full(3, 4.0), np.arange(3.0))


def test_a_class_never_trained_on_is_wrong():
    assert accuracy(np.array(["a", "new"]), np.array(["a", "a"])) == 0.5


def test_written_with_its_interval_where_there_is_one():
    assert str(Score(3.0, math.nan, math.nan, 1, 1)) == "3.000"
    assert str(Score(0.5, 0.25, 0.75, 5, 40)) == "0.500 [0.250, 0.750]"
