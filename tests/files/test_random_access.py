"""Mirrors src/geotether/files/random_access.py."""

import pyarrow as pa
import pytest

from geotether.files.random_access import ROWS_AT_ONCE, CopiedRows, copy_rows


@pytest.mark.parametrize("sizes", [[], [0], [1], [ROWS_AT_ONCE], [1, 5, 9000, 0, 3], [ROWS_AT_ONCE - 1, 1, 1]])
def test_rows_of_any_batches_are_read_by_number(tmp_path, sizes):
    whole = pa.table({"n": pa.array(range(sum(sizes)), pa.int64())})
    starts = [sum(sizes[:place]) for place in range(len(sizes))]
    batches = [whole.slice(start, size) for start, size in zip(starts, sizes, strict=True)]
    copy_rows(tmp_path / "rows.arrow", whole.schema, batches)
    rows = CopiedRows(tmp_path / "rows.arrow")
    assert len(rows) == sum(sizes)
    for start, stop in ((0, 1), (0, 10**6), (4000, 4200), (sum(sizes), sum(sizes) + 5), (-3, 2)):
        assert rows.read(start, stop)["n"].to_pylist() == list(range(max(start, 0), min(stop, sum(sizes))))


def test_a_copy_that_fails_leaves_nothing(tmp_path):
    def broken():
        yield pa.table({"n": [1]})
        raise ValueError("the file ends here")

    with pytest.raises(ValueError, match="ends here"):
        copy_rows(tmp_path / "rows.arrow", pa.schema({"n": pa.int64()}), broken())
    assert list(tmp_path.iterdir()) == []
