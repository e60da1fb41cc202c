"""Mirrors chosen_rows.py and sample_files.py."""

import numpy as np
import pytest

from geotether.pairing.layouts.chosen_rows import choose_rows
from geotether.pairing.layouts.sample_files import present_rows


def test_a_draw_is_spread_ordered_and_repeatable():
    rows = choose_rows(None, None, 100, 0, 10_000)
    assert len(set(rows.tolist())) == 100
    assert (np.diff(rows) > 0).all()
    assert rows.max() > 9_000  # not the first hundred
    np.testing.assert_array_equal(rows, choose_rows(None, None, 100, 0, 10_000))
    assert set(rows.tolist()) != set(choose_rows(None, None, 100, 1, 10_000).tolist())
    np.testing.assert_array_equal(choose_rows(None, None, 20, 0, 5), np.arange(5))


def test_a_draw_is_made_within_the_wanted_parts():
    parts = ["train", "val", "test"] * 100
    rows = choose_rows(parts, ["validation", "test"], 50, 0, 300)
    assert len(rows) == 50
    assert set(rows % 3) == {1, 2}
    with pytest.raises(ValueError, match="no part of the split 'train'; known: none"):
        choose_rows(None, "train", None, 0, 3)
    with pytest.raises(ValueError, match="None of 0 rows"):
        choose_rows(None, None, None, 0, 0)


def test_missing_files_are_reported_by_modality(tmp_path):
    files = {"s1": [[tmp_path / f"{row}.tif"] for row in range(5)], "s2": [[tmp_path / "0.tif"]] * 4 + [[]]}
    (tmp_path / "0.tif").touch()
    with pytest.raises(
        FileNotFoundError, match=r"4 of 9 files are missing \(s1: 4 of 5 rows, s2: 1 of 5 rows\).* and 1 more"
    ):
        present_rows("pairs", files, tolerate_missing=False)
    present, lacking = present_rows("pairs", files, tolerate_missing=True)
    assert present["s1"].tolist() == [True, False, False, False, False]
    assert present["s2"].tolist() == [True, True, True, True, False]
    assert lacking == {"s1": 4, "s2": 1}
    with pytest.raises(FileNotFoundError, match="No row has s3"):
        present_rows("pairs", {**files, "s3": [[]] * 5}, tolerate_missing=True)
