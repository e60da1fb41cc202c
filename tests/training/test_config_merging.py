"""Mirrors src/geotether/training/layers.py."""

import pytest

from geotether.training.config_merging import flatten, overlay


def test_overlay_changes_neither_layer():
    under, over = {"a": {"b": 1}}, {"a": {"c": 2}}
    merged = overlay(under, over)
    merged["a"]["b"] = 9
    assert (under, over) == ({"a": {"b": 1}}, {"a": {"c": 2}})


def test_the_same_name_keeps_the_options_below():
    under = {"network": {"name": "siren", "hidden_dim": 512}}
    assert overlay(under, {"network": {"name": "siren", "omega_0": 20}}) == {
        "network": {"name": "siren", "hidden_dim": 512, "omega_0": 20}
    }


@pytest.mark.parametrize(("over", "left"), [({"epochs": 5, "steps": None}, "epochs"), ({"steps": 5}, "steps")])
def test_the_upper_length_of_the_run_removes_the_lower(over, left):
    merged = overlay({"steps": 500}, over)
    assert merged.get(left) == 5
    assert merged.get("steps" if left == "epochs" else "epochs") is None


def test_flatten_keeps_empty_mappings():
    assert flatten({"a": {"b": {"c": 1}}, "d": {}}) == {"a.b.c": 1, "d": {}}
