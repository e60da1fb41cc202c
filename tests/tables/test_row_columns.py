import numpy as np
import pytest

from geotether.tables.table import row_ids, row_split, row_times


def test_ids():
    assert row_ids(np.array([7, 8]), 2).tolist() == ["7", "8"]
    assert row_ids([], 0).tolist() == []
    with pytest.raises(ValueError, match="'b' stands in rows 0 and 2"):
        row_ids(["b", "a", "b", "a"], 4)


def test_times_keep_their_gaps():
    times = row_times(np.array(["2020-02-29", "NaT"], dtype="datetime64[D]"))
    assert times.dtype == "datetime64[ms]"
    assert np.isnat(times).tolist() == [False, True]
    with pytest.raises(TypeError, match="got float64"):
        row_times(np.ones(2))


def test_other_names_of_a_split_only_where_they_are_meant():
    assert row_split(np.array(["val", "buffer"]), {"val": "validation"}).tolist() == ["validation", "buffer"]
    with pytest.raises(ValueError, match=r"row 1 is 'validaton'\. Did you mean 'validation'\?"):
        row_split(["train", "validaton"])
