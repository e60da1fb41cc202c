"""Mirrors src/geotether/tasks/columns.py."""

import datetime
import decimal
import logging

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from geotether.tasks.columns import indicators_of, labels_of, splits_of, task_times

NAN = np.nan


def chunked(values, kind=None):
    return pa.chunked_array([pa.array(values, kind)])


def test_numbers_stay_numbers_and_texts_texts():
    assert labels_of("a", chunked([1, 2, 3])).dtype.kind == "i"
    np.testing.assert_array_equal(labels_of("a", chunked([1, None, 3])), [1, np.nan, 3])
    np.testing.assert_array_equal(labels_of("a", chunked([1.5, -999.0]), [-999, "sea"]), [1.5, np.nan])
    assert labels_of("a", chunked(["x", "", " ", None, "sea"]), ["sea"]).tolist() == ["x", None, None, None, None]


D = decimal.Decimal


@pytest.mark.parametrize(
    ("column", "want"),
    [
        (chunked([D("1.25"), None]), [1.25, NAN]),
        (chunked([D("1.25"), None], pa.decimal32(9, 2)), [1.25, NAN]),
        (chunked([1.5, None], pa.float16()), [1.5, NAN]),
        (chunked([2**60, None], pa.int64()), [2.0**60, NAN]),
        (chunked([2**63 + 2**20, 5], pa.uint64()), [2**63 + 2**20, 5]),
        (chunked([1, None, 3]).dictionary_encode(), [1, NAN, 3]),
        (chunked([1.5, None, 3]).dictionary_encode(), [1.5, NAN, 3]),
        (chunked(["x", None, "y"]).dictionary_encode(), ["x", None, "y"]),
        (chunked(["x", None, "y"], pa.string_view()), ["x", None, "y"]),
        (pa.chunked_array([pc.run_end_encode(pa.array([1, 1, None]))]), [1, 1, NAN]),
        (chunked([True, None, False]), ["true", None, "false"]),
        (chunked([*map(str, range(20)), "n.b.", None]), [*range(20), NAN, NAN]),
        (chunked(["a", "b", "1"]), ["a", "b", "1"]),
        (chunked(["1", "2", "1"]), ["1", "2", "1"]),  # codes
        (chunked([f"{n}.5" for n in range(101)]), [n + 0.5 for n in range(101)]),
    ],
    ids=str,
)
def test_labels_of_every_type(column, want):
    found = labels_of("a", column)
    assert found.dtype.kind == ("O" if any(isinstance(value, str) for value in want) else found.dtype.kind)
    np.testing.assert_array_equal(found, np.array(want, found.dtype))


@pytest.mark.parametrize(
    "column",
    [
        chunked([datetime.datetime(2020, 1, 1)]),
        chunked([datetime.date(2020, 1, 1)]),
        chunked([datetime.time(1)]),
        chunked([datetime.timedelta(1)]),
        chunked([b"a"]),
        chunked([b"a"], pa.binary(1)),
        chunked([["a"]]),
        chunked([{"a": 1}]),
    ],
    ids=lambda column: str(column.type),
)
def test_columns_that_are_not_labels_are_named(column):
    with pytest.raises(ValueError, match="'height' contains"):
        labels_of("height", column)


def test_odd_texts_never_change_the_kind_of_a_label(caplog):
    column = chunked([*map(str, range(30)), "n.b.", "", "low"])
    rows = np.arange(100, 133)
    found = labels_of("height", column, rows=rows)
    np.testing.assert_array_equal(found, [*range(30), NAN, NAN, NAN])
    assert "'height' contains numbers, except 'n.b.' (row 130), 'low' (row 132)" in caplog.text
    caplog.clear()
    assert labels_of("height", column, missing=["n.b.", "low"], kind="regression")[29] == 29
    assert "except" not in caplog.text
    assert labels_of("height", column, kind="classification")[30] == "n.b."


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
        ([[{"b": 1}]], "'a' contains lists of struct"),
    ):
        with pytest.raises(ValueError, match=message):
            indicators_of(pa.table({"a": column}))


def test_words_of_published_splits_are_understood_and_said(caplog):
    with caplog.at_level(logging.INFO):
        split = splits_of("part", chunked(["train", "val", "test", "dev", "trainval", None, "buffer"]))
    assert split.tolist() == ["train", "validation", "test", "validation", "train", "", "buffer"]
    assert "dev as validation, trainval as train, val as validation" in caplog.text
    assert splits_of("part", chunked(["TRAIN", "Test", " Val"])).tolist() == ["train", "test", "validation"]
    assert splits_of("fold", chunked([0, 1, 2]), {"0": "train", "2": "test"}).tolist() == ["train", "1", "test"]
    with pytest.raises(ValueError, match="no rows in train, only a, b; say what its values mean"):
        splits_of("part", chunked(["a", "b"]))
    with pytest.raises(ValueError, match="names 'c', but the column 'part' contains a, b"):
        splits_of("part", chunked(["a", "b"]), {"c": "train"})


def test_a_value_that_is_not_a_time_is_named():
    with pytest.raises(ValueError, match="time column 'when' has 'spring' in row 1"):
        task_times("when", chunked(["2020-01-01", "spring"]))
