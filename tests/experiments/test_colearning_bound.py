"""Mirrors experiments/colearning_bound.py: its measures, on numbers whose answers are known."""

import numpy as np
import pytest


def test_sharing_within_classes_is_distinguished_from_sharing_the_class(script):
    rng = np.random.default_rng(0)
    n = 3000
    classes, own, common = rng.integers(0, 3, n), rng.standard_normal((n, 2)), rng.standard_normal((n, 1))
    part = rng.integers(0, 3, n)
    training, validation, test = (part == at for at in range(3))
    centre = 5.0 * np.eye(3)[classes]
    sensor = np.hstack([centre, own, common])

    def left(goal):
        a, b = script.within(sensor, classes, training), script.within(goal, classes, training)
        fit = script.best_ridge(a, b, training, validation)
        return script.explained(b[test], fit[test], 0.0)

    # The other sensor shares the class alone, or one of its two equally large columns as well.
    assert abs(left(centre[:, :1] + rng.standard_normal((n, 1)))) < 0.02
    assert left(np.hstack([common, rng.standard_normal((n, 1))])) == pytest.approx(0.5, abs=0.05)


def test_classes_that_training_lacks_are_seen_from_the_mean_of_all(script):
    values, classes = np.array([[1.0], [3.0], [10.0], [7.0]]), np.array([0, 0, 1, 2])
    training = np.array([True, True, True, False])
    got = script.within(values, classes, training)
    np.testing.assert_allclose(got[:, 0], [-1, 1, 0, 7 - 14 / 3])
