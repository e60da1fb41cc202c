"""Mirrors src/geotether/training/labelled.py."""

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from geotether.tables.target import TargetEncoding
from geotether.training.paired_method import class_weights, labelled_rows


def test_a_larger_share_holds_the_smaller_and_all_are_known(make_fields):
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


def test_classes_are_balanced_as_scikit_learn_does(make_fields):
    table = make_fields()
    answer = TargetEncoding.fit("crop", table.target("crop"), np.arange(len(table)))
    encoded = answer.encode(table.target("crop"))
    known = encoded[encoded >= 0]
    expected = compute_class_weight("balanced", classes=np.arange(3), y=known)
    np.testing.assert_allclose(class_weights(answer, encoded, balanced=True).numpy(), expected, rtol=1e-6)
    assert class_weights(answer, encoded, balanced=False) is None
