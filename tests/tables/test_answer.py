"""Mirrors src/geotether/tables/answer.py."""

import numpy as np
import pytest

from geotether.tables.target import Target, TargetEncoding


def test_numbers_are_standardised_by_the_training_rows_alone():
    target = Target("numbers", np.array([1.0, 3.0, np.nan, 100.0]), ("height (m)",))
    answer = TargetEncoding.fit("height", target, np.array([0, 1, 2]))
    assert (answer.mean, answer.scale, answer.num_outputs) == (2.0, 1.0, 1)
    np.testing.assert_allclose(answer.encode(target), [-1, 1, np.nan, 98])


def test_what_may_not_be_looked_at_is_unknown():
    crop = Target("classes", np.array([0, 1, -1, 1]), ("maize", "rye"))
    answer = TargetEncoding.fit("crop", crop, np.arange(4))
    assert answer.encode(crop, np.array([0])).tolist() == [0, -1, -1, -1]
    assert crop.values.tolist() == [0, 1, -1, 1]  # the table's own are left alone
    flags = Target("labels", np.array([[0.0, 1.0], [1.0, 1.0]]), ("a", "b"))
    encoded = TargetEncoding.fit("flags", flags, np.arange(2)).encode(flags, np.array([1]))
    assert np.isnan(encoded[0]).all()
    assert encoded[1].tolist() == [1, 1]


def test_plain_values_come_back():
    answer = TargetEncoding("height", "numbers", ("height (m)",), 2.5, 0.5)
    assert TargetEncoding.of(answer.plain()) == answer


def test_nothing_known_in_training_is_an_error():
    target = Target("classes", np.array([-1, -1, 1]), ("maize", "rye"))
    with pytest.raises(ValueError, match=r"No training row has the target 'crop' \(1 rows of other splits have it\)"):
        TargetEncoding.fit("crop", target, np.array([0, 1]))


def test_one_class_alone_is_an_error():
    target = Target("classes", np.array([1, 1, 0]), ("maize", "rye"))
    with pytest.raises(ValueError, match="All 2 training rows have the same 'crop'"):
        TargetEncoding.fit("crop", target, np.array([0, 1]))


def test_other_names_are_refused():
    answer = TargetEncoding("crop", "classes", ("maize", "rye"))
    with pytest.raises(ValueError, match=r"'crop' is classes of maize, oats \(2\), but the model was trained on"):
        answer.encode(Target("classes", np.array([0, 1]), ("maize", "oats")))
    with pytest.raises(ValueError, match="is numbers of"):
        answer.encode(Target("numbers", np.array([0.0, 1.0]), ("t",)))
