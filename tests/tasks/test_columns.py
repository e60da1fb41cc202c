"""Mirrors src/geotether/tasks/columns.py."""

import datetime
import decimal
import logging

import numpy as np
import pyarrow as pa
import pytest

from geotether.tasks.columns import indicators_of, labels_of, splits_of, task_times


def chunked(values, kind=None):
    return pa.chunked_array([pa.array(values, kind)])


def test_numbers_stay_numbers_and_texts_texts():
    assert labels_of("a", chunked([1, 2, 3])).dtype.kind == "i"
    np.testing.assert_array_equal(labels_of("a", chunked([1, None, 3])), [1, np.nan, 3])
    np.testing.assert_array_equal(labels_of("a", chunked([1.5, -999.0]), [-999, "sea"]), [1.5, np.nan])
    np.testing.assert_array_equal(labels_of("a", chunked([decimal.Decimal("1.25")])), [1.25])
    assert labels_of("a", chunked(["x", "", " ", None, "sea"]), ["sea"]).tolist() == ["x", None, None, None, None]
    assert labels_of("a", chunked([True, None, False])).tolist() == ["true", None, "false"]
    assert labels_of("a", chunked(["x", None, "y"]).dictionary_encode()).tolist() == ["x", None, "y"]
    with pytest.raises(ValueError, match="label column 'a' contains timestamp"):
        labels_of("a", chunked([datetime.datetime(2020, 1, 1)]))


def test_lists_and_columns_of_ones_become_the_same_indicators():
    lists, names = indicators_of(pa.table({"crops": [["rye"], ["oat", "rye"], [], None]}))
    assert names == ("oat", "rye")
    np.testing.assert_array_equal(lists, [[0, 1], [1, 1], [0, 0], [np.nan, np.nan]])
    ones, names = indicators_of(pa.table({"label:oat": [False, True, False, None], "rye": [1, 1, 0, None]}))
    assert names == ("oat", "rye")
    np.testing.assert_array_equal(ones, lists)
    assert indicators_of(pa.table({"n": [[10, 2], [-1]]}), missing=[-1])[1] == ("2", "10")
    for column, message in (
        ([0, 2], "contains 2,"),
        (["a", "b"], "contains 'a'"),
        ([[], None], "all lists of the label"),
    ):
        with pytest.raises(ValueError, match=message):
            indicators_of(pa.table({"a": column}))


def test_words_of_published_splits_are_understood_and_said(caplog):
    with caplog.at_level(logging.INFO):
        split = splits_of("part", chunked(["train", "val", "test", "dev", "trainval", None, "buffer"]))
    assert split.tolist() == ["train", "validation", "test", "validation", "train", "", "buffer"]
    assert "dev as validation, trainval as train, val as validation" in caplog.text
    assert splits_of("fold", chunked([0, 1, 2]), {"0": "train", "2": "test"}).tolist() == ["train", "1", "test"]
    with pytest.raises(ValueError, match="no rows in train, only a, b; say what its values mean"):
        splits_of("part", chunked(["a", "b"]))
    with pytest.raises(ValueError, match="names 'c', but the column 'part' contains a, b"):
        splits_of("part", chunked(["a", "b"]), {"c": "train"})


def test_a_value_that_is_not_a_time_is_named():
    with pytest.raises(ValueError, match="time column 'when' has 'spring' in row 1"):
        task_times("when", chunked(["2020-01-01", "spring"]))
