"""Mirrors src/geotether/studies/paired_standings.py."""

import numpy as np
import pytest
from scipy import stats

from geotether.studies.paired_standings import PairedOutcome, interval, paired_difference, standing


def outcome(method, repeat, value, source="s1"):
    return PairedOutcome(method, source, "direct", 1.0, repeat, "accuracy", value)


def test_intervals_are_those_of_a_t_test():
    values = [0.41, 0.52, 0.47, 0.5, 0.39]
    found = interval(values)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    np.testing.assert_allclose([found.low, found.high], expected, rtol=1e-9)
    assert found.count == 5


def test_differences_are_paired():
    outcomes = [outcome("ours", at, value + 0.1) for at, value in enumerate((0.1, 0.5, 0.9))]
    outcomes += [outcome("theirs", at, value) for at, value in enumerate((0.1, 0.5, 0.9, 0.3))]
    found = paired_difference(outcomes, {"method": "ours"}, {"method": "theirs"}, source="s1")
    np.testing.assert_allclose([found.mean, found.low, found.high], 0.1, atol=1e-9)
    assert found.count == 3
    assert paired_difference(outcomes, {"method": "ours"}, {"method": "theirs"}, source="s2") is None
    assert standing(outcomes, method="theirs").count == 4
    assert standing(outcomes, method="others") is None


def test_one_repeat_has_no_interval_and_none_is_an_error():
    assert np.isnan(interval([0.5]).low)
    assert interval([0.5, np.nan, 0.7]).count == 2
    with pytest.raises(ValueError, match="no finite score"):
        interval([np.nan])
