"""Mirrors src/geotether/files/mapped_rows.py."""

import pickle

import numpy as np
import pytest

from geotether.files.mapped_rows import MappedRows


@pytest.fixture(params=[np.float16, np.float32])
def saved(request, tmp_path):
    values = np.random.default_rng(0).normal(size=(50, 7)).astype(request.param)
    np.save(tmp_path / "values.npy", values)
    return values.astype(np.float32), tmp_path / "values.npy"


def indices():
    rng = np.random.default_rng(1)
    return [
        slice(None), slice(3, 20), slice(-5, None), slice(None, None, 7), slice(40, 10, -3), slice(9, 9), 4, -1,
        np.array([3, 1, 1, -2]), np.array([], dtype=int), rng.random(30) < 0.4, (3, 2), (slice(0, 5), 1),
    ]  # fmt: skip


@pytest.mark.parametrize("chosen", [slice(None), "some"], ids=["all", "some"])
def test_it_is_indexed_as_the_array_is(saved, chosen):
    values, path = saved
    rows = np.sort(np.random.default_rng(2).permutation(50)[:30])
    values, mapped = (values[rows], MappedRows(path).rows(rows)) if chosen == "some" else (values, MappedRows(path))
    assert (mapped.shape, mapped.dtype, len(mapped), mapped.ndim) == (values.shape, np.float32, len(values), 2)
    assert mapped.size == values.size
    for index in indices():
        if isinstance(index, np.ndarray) and index.dtype == bool and len(index) != len(values):
            continue
        found = mapped[index]
        np.testing.assert_array_equal(found, values[index])
        assert found.dtype == np.float32
    np.testing.assert_array_equal(np.asarray(mapped), values)
    np.testing.assert_array_equal(np.stack(list(mapped)), values)
    np.testing.assert_array_equal(mapped.rows(slice(5, 9))[:], values[5:9])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(mapped))[:], values)


def test_what_is_read_can_be_changed_and_advice_changes_nothing(saved):
    values, path = saved
    mapped = MappedRows(path)
    mapped[0:3][:] = 0
    for start, stop in ((0, 50), (49, 50), (7, 7)):
        mapped.prefetch(start, stop)
        mapped.release(start, stop)
    np.testing.assert_array_equal(mapped[:], values)
    with pytest.raises(IndexError):
        mapped[np.array([50])]
