"""Mirrors src/geotether/tasks/labels.py."""

import numpy as np

from geotether.tasks.labels import conflicting_rows, is_known, kinds_of_value


def test_missing_values_of_every_type():
    assert is_known(np.array([1.0, np.nan])).tolist() == [True, False]
    assert is_known(np.array([1, 0])).tolist() == [True, True]
    assert is_known(np.array([[1.0, np.nan], [0.0, 1.0]])).tolist() == [False, True]
    assert is_known(np.array(["a", "", None, float("nan"), 3], dtype=object)).tolist() == [
        True, False, False, False, True
    ]  # fmt: skip


def test_types_of_value():
    assert kinds_of_value(np.array(["a"])) == {"text"}
    assert kinds_of_value(np.array([1, "a"], dtype=object)) == {"text", "number"}
    assert kinds_of_value(np.empty(0)) == set()


def test_conflicts_by_a_hand_loop():
    rng = np.random.default_rng(0)
    lonlat = rng.integers(0, 6, (80, 2)).astype(float)
    values = rng.integers(0, 2, 80)
    by_hand = [any((lonlat[i] == lonlat[j]).all() and values[i] != values[j] for j in range(80)) for i in range(80)]
    assert conflicting_rows(lonlat, values).tolist() == by_hand
    assert conflicting_rows(np.empty((0, 2)), np.empty(0)).tolist() == []
