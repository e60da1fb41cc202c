import datetime

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import MultiLabelBinarizer

from geotether.tables.target import Target, TargetEncoding, classes_target, labels_target


@pytest.mark.parametrize(
    "target, known, counts",
    [
        (Target("classes", np.array([0, -1, 0]), ("a", "b")), [True, False, True], {"a": 2, "b": 0}),
        (Target("labels", np.array([[0, 1], [1, 1], [np.nan] * 2]), ("a", "b")), [True, True, False], {"a": 1, "b": 2}),
        (Target("numbers", np.array([np.nan, 3]), ("m",)), [False, True], {"m": 1}),
    ],
)
def test_known_rows_and_their_counts(target, known, counts):
    assert (target.known.tolist(), target.counts) == (known, counts)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("class", np.array([0]), ("a",)), "kind must be one of classes, labels, numbers"),
        (("classes", np.array([0.0]), ("a",)), "got float64"),
        (("classes", np.array([0]), ()), "class 0 in row 0 is out of range: there are 0 names"),
        (("classes", np.array([0, 3]), ("a", "b")), "class 3 in row 1 is out of range: there are 2 names"),
        (("classes", np.array([0, -2]), ("a", "b")), "class -2 in row 1 is out of range"),
        (("classes", np.array([[0]]), ("a",)), r"need shape \(n,\), got \(1, 1\)"),
        (("classes", np.array([0]), ("a", "a")), "'a' is repeated"),
        (("labels", np.array([[0, 2]]), ("a", "b")), "label 'b' in row 0 is 2; labels are 0 or 1"),
        (("labels", np.array([[0, np.nan]]), ("a", "b")), "label 'b' in row 0 is nan"),
        (("labels", np.array([[0, 1]]), ("a",)), "2 columns and 1 names"),
        (("numbers", np.array([np.inf]), ("a",)), "row 0 is inf"),
        (("numbers", np.array([1.0]), ("a", "b")), "numbers have one name"),
    ],
)
def test_wrong_inputs(arguments, message):
    with pytest.raises(ValueError, match=message):
        Target(*arguments)


def test_texts_become_codes_as_pandas_makes_them():
    texts = ["oak", None, "ash", "oak", "elm"]
    codes, names = pd.factorize(pd.Series(texts), sort=True)
    target = classes_target(texts)
    assert (target.names, target.values.tolist()) == (tuple(names), codes.tolist())


@pytest.mark.parametrize(
    "values, names, codes",
    [
        (np.array([10, 9, 10]), ("9", "10"), [1, 0, 1]),  # by size, not by letters
        (np.array([2.0, np.nan, 3.0]), ("2", "3"), [0, -1, 1]),
        (np.array([True, False]), ("0", "1"), [1, 0]),
        (
            np.array(["2024-02-29", "NaT", "2023-01-01"], dtype="datetime64[D]"),
            ("2023-01-01", "2024-02-29"),
            [1, -1, 0],
        ),
        ([datetime.date(2024, 2, 29)], ("2024-02-29",), [0]),
        (["", "b"], ("b",), [-1, 0]),
    ],
)
def test_values_of_any_type_become_classes(values, names, codes):
    target = classes_target(values)
    assert (target.names, target.values.tolist()) == (names, codes)


def test_codes_with_names():
    target = classes_target(np.array([1, -1, 0], dtype=np.int8), ["maize", "wheat"], unknown=[-1])
    assert (target.names, target.values.tolist()) == (("maize", "wheat"), [1, -1, 0])
    with pytest.raises(ValueError, match="class -1 in row 1 is none of 0, 1; list it as unknown"):
        classes_target([1, -1], ["maize", "wheat"])
    with pytest.raises(ValueError, match="class 2 in row 0 is none of 0, 1"):
        classes_target([2], ["maize", "wheat"])
    assert classes_target([7, 3], {3: "x", 7: "y"}).values.tolist() == [1, 0]


def test_texts_with_names_keep_their_order():
    assert classes_target(["b", "a"], ["b", "a", "c"]).values.tolist() == [0, 1]
    with pytest.raises(ValueError, match="class 'd' in row 0 is none of 'b', 'a'"):
        classes_target(["d"], ["b", "a"])


def test_rare_classes_are_unknown():
    target = classes_target(["a", "b", "a"], min_count=2)
    assert (target.names, target.values.tolist()) == (("a",), [0, -1, 0])
    with pytest.raises(ValueError, match="no class occurs in 3 or more of 2 rows"):
        classes_target(["a", "b"], min_count=3)
    with pytest.raises(ValueError, match="no class occurs in 1 or more"):
        classes_target([None, None])


def test_lists_become_what_sklearn_makes_of_them():
    lists = [[3, 8], [], [12, 3], [8]]
    binarizer = MultiLabelBinarizer()
    target = labels_target(lists)
    np.testing.assert_array_equal(target.values, binarizer.fit_transform(lists))
    assert target.names == tuple(map(str, binarizer.classes_))


def test_lists_with_few_counts_names_and_gaps():
    lists = [["a", "b"], None, ["a"], ["c", "a"]]
    target = labels_target(lists, min_count=2)
    np.testing.assert_array_equal(target.values, [[1], [np.nan], [1], [1]])
    assert labels_target(lists, ["c", "d"]).counts == {"c": 1, "d": 0}
    assert labels_target([[1, 99]], {1: "forest", 99: "ice"}, leave_out=[99]).names == ("forest",)
    with pytest.raises(ValueError, match="no label occurs in 9 or more of 4 rows"):
        labels_target(lists, min_count=9)


def test_rows_keep_names():
    target = Target("classes", np.array([1, 0]), ("a", "b")).rows(np.array([1, 1]))
    assert (target.values.tolist(), target.names) == ([0, 0], ("a", "b"))


@pytest.mark.parametrize(
    "values, kind, known",
    [
        (np.array(["b", "", "a"]), "classes", [True, False, True]),
        (np.array(["b", "a"], dtype=object), "classes", [True, True]),
        (np.array(["", ""]), "classes", [False, False]),
        (np.array([2**60 + 1, 0]), "numbers", [True, True]),
        (np.array([True, False]), "numbers", [True, True]),
        (np.array([1.5, np.nan], np.float32), "numbers", [True, False]),
    ],
)
def test_a_column_becomes_a_target_and_comes_back(values, kind, known):
    target = Target.of_column("x", values)
    assert (target.kind, target.known.tolist()) == (kind, known)
    assert target.column.tolist()[0] == values.tolist()[0]
    assert target.column.dtype == (object if kind == "classes" else values.dtype)


def test_numbers_are_standardised_by_the_training_rows_alone():
    target = Target("numbers", np.array([1.0, 3.0, np.nan, 100.0]), ("height (m)",))
    encoding = TargetEncoding.fit("height", target, np.array([0, 1, 2]))
    assert (encoding.mean, encoding.scale, encoding.num_outputs) == (2.0, 1.0, 1)
    np.testing.assert_allclose(encoding.encode(target), [-1, 1, np.nan, 98])


def test_rows_that_may_not_be_used_are_unknown():
    crop = Target("classes", np.array([0, 1, -1, 1]), ("maize", "rye"))
    encoding = TargetEncoding.fit("crop", crop, np.arange(4))
    assert encoding.encode(crop, np.array([0])).tolist() == [0, -1, -1, -1]
    assert crop.values.tolist() == [0, 1, -1, 1]  # the table's own values are unchanged
    flags = Target("labels", np.array([[0.0, 1.0], [1.0, 1.0]]), ("a", "b"))
    encoded = TargetEncoding.fit("flags", flags, np.arange(2)).encode(flags, np.array([1]))
    assert np.isnan(encoded[0]).all()
    assert encoded[1].tolist() == [1, 1]


def test_an_encoding_is_restored_from_plain_values():
    encoding = TargetEncoding("height", "numbers", ("height (m)",), 2.5, 0.5)
    assert TargetEncoding.of(encoding.plain()) == encoding


@pytest.mark.parametrize(
    "values, message", [([-1, -1, 1], r"'crop' \(1 rows of other splits"), ([1, 1, 0], "All 2 training rows .* 'crop'")]
)
def test_targets_without_variation_in_training_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        TargetEncoding.fit("crop", Target("classes", np.array(values), ("maize", "rye")), np.array([0, 1]))


def test_an_encoding_refuses_other_names_and_kinds():
    encoding = TargetEncoding("crop", "classes", ("maize", "rye"))
    with pytest.raises(ValueError, match=r"'crop' is classes of maize, oats \(2\), but the model was trained on"):
        encoding.encode(Target("classes", np.array([0, 1]), ("maize", "oats")))
    with pytest.raises(ValueError, match="is numbers of"):
        encoding.encode(Target("numbers", np.array([0.0, 1.0]), ("t",)))
