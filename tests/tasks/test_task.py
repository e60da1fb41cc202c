"""Mirrors src/geotether/tasks/task.py."""

import numpy as np
import pytest

from geotether.tasks.task import Task, conflicting_rows

LONLAT = np.stack([np.arange(6.0), np.zeros(6)], axis=1)
SPLIT = np.array(["train"] * 4 + ["test"] * 2)


def make(target, kind="regression", split=SPLIT, **options):
    return Task("t", kind, LONLAT, np.asarray(target, dtype=options.pop("dtype", None)), split, **options)


def test_missing_labels_are_left_out_and_counted():
    task = make([1.0, np.nan, 3.0, 4.0, np.nan, 6.0])
    assert task.num_missing == 2
    assert task.rows("train").tolist() == [0, 2, 3]
    assert task.rows("test").tolist() == [5]
    words = make(["a", None, "", "b", "a", float("nan")], "classification", dtype=object)
    assert words.rows("train").tolist() == [0, 3]
    assert words.targets(words.rows("train")).classes.tolist() == ["a", "b"]


def test_transform_and_unit_make_the_label():
    task = make([0.0, 1.0, 3.0, 4.0, 5.0, 6.0], transform="log1p", unit="people/km²")
    assert task.values[1] == pytest.approx(np.log(2))
    assert task.label == "t (log(1 + people/km²))"
    assert make(np.arange(6.0)).label == "t"


@pytest.mark.parametrize(
    ("target", "options", "error", "message"),
    [
        (np.full(6, np.nan), {}, ValueError, "all 6 labels are missing"),
        (np.ones(6), {}, ValueError, "the label is constant .1.0. in the 4 rows of its part 'train'"),
        (["a"] * 4 + ["b", "c"], {"kind": "classification"}, ValueError, "has one class .a."),
        ([1, "a", 2, "b", 3, "c"], {"kind": "classification", "dtype": object}, TypeError, "mixes numbers and text"),
        (list("abcdef"), {}, TypeError, "needs numbers, but the label is text such as 'a'"),
        ([1.0, np.inf, 2, 3, 4, 5], {}, ValueError, "label of row 1 is inf, not finite"),
        ([1.0, -1.0, 2, 3, 4, 5], {"transform": "log1p"}, ValueError, "row 1 is -1, not finite after log1p"),
        (np.arange(6.0), {"transform": "cube"}, ValueError, "log10; got 'cube'"),
        (np.arange(6.0), {"kind": "ranking"}, ValueError, "regression, classification, multilabel; got 'ranking'"),
        (np.arange(5.0), {}, ValueError, r"6 places, but target has shape \(5,\)"),
        ([1.0, *[np.nan] * 3, 2.0, 3.0], {}, ValueError, "1 labelled rows in its part 'train'"),
    ],
)
def test_wrong_labels_are_named(target, options, error, message):
    with pytest.raises(error, match=message):
        make(target, **options)


def test_an_error_about_a_missing_column_lists_the_columns():
    labels = {"elevation": np.arange(6.0), "country": np.array(list("abcabc"))}
    with pytest.raises(ValueError, match=r"there are country, elevation\. Did you mean 'elevation'"):
        Task.from_labels(labels, "elevatoin", LONLAT, SPLIT)
    assert Task.from_labels(labels, "country", LONLAT, SPLIT).kind == "classification"
    assert Task.from_labels(labels, "elevation", LONLAT, SPLIT, unit="m").label == "elevation (m)"


def test_swapped_coordinates_are_refused():
    with pytest.raises(ValueError, match="row 0"):
        Task("t", "regression", np.array([[10.0, 120.0], [10.0, 20.0]]), np.arange(2.0))


def test_blocks_need_a_split():
    with pytest.raises(ValueError, match="has no split"):
        make(np.arange(6.0), split=None).rows("train")


def test_rows_that_contradict_each_other_are_counted_and_said(caplog):
    lonlat = np.array([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0], [180.0, 0.0], [3.0, 4.0], [3.0, 4.0]])
    task = Task("t", "classification", lonlat, np.array(["a", "b", "a", "b", "c", "c"]))
    assert task.num_conflicting == 3
    assert "3 rows share their place with a row of another label" in caplog.text
    numbers = Task("t", "regression", lonlat, np.array([1.0, np.nan, 1.0, 2.0, 5.0, 6.0]))
    assert numbers.num_conflicting == 2


def test_multilabel_rows_are_vectors_of_0_and_1():
    labels = np.array([[1, 0], [0, 1], [1, 1], [np.nan, 1], [0, 0], [1, 0]], dtype=float)
    task = Task("t", "multilabel", LONLAT, labels, SPLIT, label_names=("forest", "water"))
    assert task.num_missing == 1
    assert task.metric == "micro F1"
    assert task.targets(task.rows("train")).columns.tolist() == [[1, 0], [0, 1], [1, 1]]
    with pytest.raises(ValueError, match="are 0 and 1; there are other numbers"):
        Task("t", "multilabel", LONLAT, labels * 2)
    with pytest.raises(ValueError, match=r"a multilabel target is \(n, c\) with n = 6; got \(6,\)"):
        Task("t", "multilabel", LONLAT, labels[:, 0])
    with pytest.raises(ValueError, match="2 labels, but 1 label_names"):
        Task("t", "multilabel", LONLAT, labels, label_names=("one",))


def test_columns_beside_the_label_have_one_row_per_place():
    with pytest.raises(ValueError, match=r"6 places, but continent has shape \(2,\)"):
        make(np.arange(6.0), continent=np.array(["Asia", "Africa"]))
    assert make(np.arange(1.0, 7.0), transform="log10", unit="m").label == "t (log10 m)"


def test_conflicts_by_a_hand_loop():
    rng = np.random.default_rng(0)
    lonlat = rng.integers(0, 6, (80, 2)).astype(float)
    values = rng.integers(0, 2, 80)
    by_hand = [any((lonlat[i] == lonlat[j]).all() and values[i] != values[j] for j in range(80)) for i in range(80)]
    assert conflicting_rows(lonlat, values).tolist() == by_hand
    assert conflicting_rows(np.empty((0, 2)), np.empty(0)).tolist() == []
