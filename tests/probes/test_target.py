"""Mirrors src/geotether/probes/target.py."""

import numpy as np
import pytest

from geotether.probes.target import ProbeTarget, as_target


def test_one_hot_columns_return_to_their_classes():
    target = ProbeTarget("classification", np.array(["b", "a", "c", "b"]))
    assert target.classes.tolist() == ["a", "b", "c"]
    assert target.from_columns(target.columns).tolist() == ["b", "a", "c", "b"]
    assert target.columns.sum(axis=1).tolist() == [1.0] * 4


def test_plain_numbers_become_a_regression_target():
    target = as_target([1, 2, 3], "regression")
    assert target.columns.tolist() == [[1.0], [2.0], [3.0]]


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        ("ranking", np.ones(3), "multilabel; got 'ranking'"),
        ("regression", np.array([1.0, np.nan]), "row 1 is nan"),
        ("regression", np.ones((2, 2)), r"shape \(2, 2\)"),
        ("classification", np.array([]), "n > 0"),
    ],
)
def test_wrong_targets_are_named(kind, values, message):
    with pytest.raises(ValueError, match=message):
        ProbeTarget(kind, values)


def test_a_target_of_another_kind_is_refused():
    with pytest.raises(ValueError, match="set to 'regression'"):
        as_target(ProbeTarget("classification", np.array([0, 1])), "regression")
