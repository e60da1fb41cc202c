"""Mirrors src/geotether/studies/paired_report.py."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from geotether.studies.paired_judge import PairedOutcome
from geotether.studies.paired_report import mean_score, paired_difference, t_interval, write_paired_report


def outcome(method, repeat, value, source="s1", unit=None):
    return PairedOutcome(method, source, "direct", 1.0, repeat, "accuracy", value, unit=unit)


def test_intervals_are_those_of_a_t_test():
    values = [0.41, 0.52, 0.47, 0.5, 0.39]
    found = t_interval(values)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    np.testing.assert_allclose([found.low, found.high], expected, rtol=1e-9)
    assert found.seeds == 5


def test_differences_are_paired():
    outcomes = [outcome("ours", at, value + 0.1) for at, value in enumerate((0.1, 0.5, 0.9))]
    outcomes += [outcome("theirs", at, value) for at, value in enumerate((0.1, 0.5, 0.9, 0.3))]
    found = paired_difference(outcomes, {"method": "ours"}, {"method": "theirs"}, source="s1")
    np.testing.assert_allclose([found.mean, found.low, found.high], 0.1, atol=1e-9)
    assert found.seeds == 3
    assert paired_difference(outcomes, {"method": "ours"}, {"method": "theirs"}, source="s2") is None
    assert mean_score(outcomes, method="theirs").seeds == 4
    assert mean_score(outcomes, method="others") is None


def test_seeds_of_a_fold_are_averaged_before_the_interval():
    # Three folds, two seeds each: were the six taken as units, the interval would be too narrow.
    values = {(0, 0): 0.5, (1, 0): 0.7, (2, 0): 0.3, (3, 1): 0.6, (4, 1): 0.6, (5, 1): 0.5}
    outcomes = [outcome("ours", at, value, unit=at % 3) for (at, _), value in values.items()]
    outcomes += [outcome("theirs", at, 0.5, unit=at % 3) for at in range(6)]
    means = [0.55, 0.65, 0.4]
    expected = stats.ttest_1samp(means, 0).confidence_interval(0.95)
    found = mean_score(outcomes, method="ours")
    np.testing.assert_allclose([found.mean, found.low, found.high], [np.mean(means), *expected], rtol=1e-9)
    difference = paired_difference(outcomes, {"method": "ours"}, {"method": "theirs"}, source="s1")
    np.testing.assert_allclose([difference.mean, difference.low], [np.mean(means) - 0.5, expected.low - 0.5], rtol=1e-9)
    assert found.seeds == difference.seeds == 3


def test_shared_training_rows_widen_the_interval_as_nadeau_and_bengio_say():
    values = [0.02, 0.05, -0.01, 0.04, 0.03]
    mean = sum(values) / 5
    variance = sum((value - mean) ** 2 for value in values) / 4
    # One fold of five is tested and three are trained on; 2.776445 is Student's t for 4 degrees of freedom.
    half = 2.776445 * ((1 / 5 + 1 / 3) * variance) ** 0.5
    found = t_interval(values, shared=1 / 3)
    np.testing.assert_allclose([found.low, found.high], [mean - half, mean + half], rtol=1e-6)
    assert t_interval(values).low > found.low
    assert not found.clear
    assert t_interval([0.02, 0.03, 0.025]).clear


def test_one_repeat_has_no_interval_and_none_is_an_error():
    assert np.isnan(t_interval([0.5]).low)
    assert t_interval([0.5, np.nan, 0.7]).seeds == 2
    with pytest.raises(ValueError, match="no finite score"):
        t_interval([np.nan])


def study(**values):
    """Accuracy of methods on five folds."""
    return [outcome(name, at, value) for name, own in values.items() for at, value in enumerate(own)]


def test_the_report_begins_with_clear_differences(tmp_path):
    ours, close = [0.50, 0.61, 0.52, 0.60, 0.57], [0.52, 0.58, 0.55, 0.57, 0.60]
    worse, better = [value - 0.1 for value in ours], [value + 0.2 for value in ours]
    said = write_paired_report(study(mdico=ours, shared=close), "mdico", tmp_path)
    first = "**By accuracy, mdico cannot be told apart from any other method: no 95 % interval"
    assert said.startswith(first)
    said = write_paired_report(study(mdico=ours, shared=close, single=worse, fused=better), "mdico", tmp_path)
    assert said.splitlines()[:5] == [
        "By accuracy, mdico is",
        "",
        "* better than single (direct, s1)",
        "* worse than fused (direct, s1)",
        "* not to be told apart from shared (direct, s1)",
    ]
    said = write_paired_report(study(mdico=[0.9], shared=[0.1]), "mdico", tmp_path)
    assert said.startswith(
        "**By accuracy, mdico cannot be told apart from any other method: one repeat has no interval"
    )
    assert write_paired_report(study(mdico=ours), "mdico", tmp_path).startswith("Mean accuracy")


def test_the_widened_interval_decides_the_first_sentence(tmp_path):
    ours = [0.50, 0.61, 0.52, 0.60, 0.57]
    near = [value - step for value, step in zip(ours, (0.03, 0.01, 0.02, 0.06, 0.04), strict=True)]
    assert write_paired_report(study(mdico=ours, near=near), "mdico", tmp_path).startswith("By accuracy, mdico is")
    assert write_paired_report(study(mdico=ours, near=near), "mdico", tmp_path, shared=1 / 3).startswith(
        "**By accuracy"
    )


def test_intervals_stay_within_the_range_of_the_measure():
    outcomes = study(ours=[0.95, 0.7], theirs=[0.1, 0.3])
    found = mean_score(outcomes, method="ours")
    assert (found.low, found.high) == (0.0, 1.0)  # Student's t with one degree of freedom: -0.76 to 2.41
    difference = paired_difference(outcomes, {"method": "ours"}, {"method": "theirs"})
    assert -1 <= difference.low <= difference.mean <= difference.high <= 1
    errors = [replace(one, measure="RMSE", value=10 * one.value) for one in outcomes]
    assert mean_score(errors, method="ours").low == 0.0
    assert mean_score(errors, method="ours").high > 20
    r2 = [replace(one, measure="R2") for one in outcomes]
    assert mean_score(r2, method="ours").low < -0.5
    assert mean_score(r2, method="ours").high == 1.0
