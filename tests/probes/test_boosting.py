"""Mirrors src/geotether/probes/boosting.py."""

import numpy as np
import pytest

from geotether.probes.boosting import BoostingProbe


def test_finds_an_interaction_in_many_columns():
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(900, 2))
    wide = np.concatenate([np.repeat(hidden, 40, axis=1), 0.1 * rng.normal(size=(900, 20))], axis=1)
    y = np.where(hidden[:, 0] * hidden[:, 1] > 0, 1.0, -1.0)
    numbers = BoostingProbe(components=8).fit(wide[:600], y[:600])
    assert np.corrcoef(numbers.predict(wide[600:]), y[600:])[0, 1] > 0.8
    classes = BoostingProbe("classification", components=8).fit(wide[:600], np.where(y[:600] > 0, "in", "out"))
    assert (classes.predict(wide[600:]) == np.where(y[600:] > 0, "in", "out")).mean() > 0.9
    np.testing.assert_allclose(np.exp(classes.columns(wide[600:])).sum(axis=1), 1, atol=1e-5)


def test_is_the_same_twice_and_takes_no_rows():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(200, 70)), rng.normal(size=200)
    first, second = (BoostingProbe().fit(x, y).predict(x) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert BoostingProbe().fit(x, y).columns(x[:0]).shape == (0, 1)


def test_one_class_is_always_predicted():
    probe = BoostingProbe("classification").fit(np.zeros((5, 1)), np.array(["sea"] * 5))
    assert probe.predict(np.ones((2, 1))).tolist() == ["sea", "sea"]


def test_refuses_too_many_classes():
    with pytest.raises(ValueError, match="20 classes at most, got 21"):
        BoostingProbe("classification").fit(np.arange(42.0)[:, None], np.arange(42) % 21)
