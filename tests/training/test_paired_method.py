"""Mirrors src/geotether/training/labelled.py."""

import numpy as np
import pytest

from geotether.training.paired_method import labelled_rows


def test_a_larger_share_contains_the_smaller_one_and_known_rows_only(make_fields):
    table = make_fields()
    known = set(np.flatnonzero(table.target("crop").known).tolist())
    before: set[int] = set()
    for share in (0.05, 0.2, 0.6, 1.0):
        rows = set(labelled_rows(table.target("crop"), share, seed=3).tolist())
        assert before <= rows <= known
        before = rows
    assert before == known
    assert (
        labelled_rows(table.target("crop"), 0.2, seed=3).tolist()
        != labelled_rows(table.target("crop"), 0.2, seed=4).tolist()
    )


@pytest.mark.parametrize("name", ["crop", "flags"])
def test_every_class_and_label_has_a_row(make_fields, name):
    table = make_fields()
    rows = labelled_rows(table.target(name), 0.001, seed=0)
    values = table.target(name).values[rows]
    assert (values.sum(0).min() >= 1) if name == "flags" else set(values.tolist()) == {0, 1, 2}
