"""Mirrors src/geotether/featurizing/rows.py; the oracle is a whole reading, cut by hand."""

import numpy as np
import pyarrow as pa
import pytest

from geotether.featurizing.rows import content_bytes, join_content, read_runs
from geotether.sources.source import Observations


@pytest.fixture
def source(places, tmp_path, request):
    import toy_places

    source = toy_places.ToySource(places, broken=7, ids="rows", times=True, kind=getattr(request, "param", "images"))
    source.prepare(tmp_path)
    return source


def numbers(found):
    if isinstance(found.content, pa.Table):
        return found.content["number"].to_pylist()
    return [int(row[5:]) if isinstance(row, str) else int(row[0, 0, 0]) for row in found.content]


@pytest.mark.parametrize("source", ["images", "texts", "columns"], indirect=True)
@pytest.mark.parametrize("chosen", [None, [0, 1, 2, 7, 8, 100, 101, 555, 999], [500]])
@pytest.mark.parametrize("at_once", [1000, 64, 1])
def test_runs_put_together_are_the_whole(source, chosen, at_once):
    if at_once == 1:
        source.path = None  # not needed any more
    wanted = np.arange(1000) if chosen is None else np.array(chosen)
    start, stop = (0, 1000) if at_once > 1 else (95, 130)
    wanted = wanted[(wanted >= start) & (wanted < stop)]
    runs = list(read_runs(source, start, stop, at_once, None if chosen is None else np.array(chosen)))
    if not len(wanted):
        assert runs == []
        return
    usable = wanted[wanted % 7 != 0]
    assert [row for run in runs for row in run.row] == [row for run in runs for row in numbers(run)] == usable.tolist()
    assert [name for run in runs for name in run.id] == [f"row {row}" for row in usable]
    assert [row.row for run in runs for row in run.rejected] == wanted[wanted % 7 == 0].tolist()
    assert [label for run in runs for label in run.labels["parity"]] == (usable % 2).tolist()
    assert [np.isnat(time) for run in runs for time in run.time] == (usable % 4 == 0).tolist()


@pytest.mark.parametrize(
    ("parts", "shape"),
    [
        ([np.zeros((1, 3)), np.ones((2, 3))], (3, 3)),
        ([[np.zeros((3, 3, 1))], [np.zeros((4, 4, 1))] * 2], None),
        ([pa.table({"a": [1]}), pa.table({"a": [2, 3]})], (3, 1)),
    ],
)
def test_contents_of_every_kind_are_concatenated(parts, shape):
    found = join_content(parts)
    assert len(found) == 3
    assert getattr(found, "shape", None) == shape


@pytest.mark.parametrize(
    ("content", "expected"),
    [(np.zeros((2, 3), np.float64), 48), ([np.zeros(5, np.uint8), np.zeros(7, np.uint8)], 12), (["é", "ab"], 4)],
)
def test_bytes(content, expected):
    assert content_bytes(content) == expected


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (
            ValueError("the file is torn"),
            ValueError,
            "rows 4 to 5 of the source ToySource: the file is torn",
        ),
        ([1, 2], TypeError, "gave list, not Observations"),
        (Observations(np.array([4, 5]), np.zeros((1, 2)), ["a", "b"]), ValueError, "2 row numbers but 1 of lonlat"),
        (Observations(np.array([4, 5]), np.zeros((2, 2)), ["a"]), ValueError, "2 row numbers but 1 of content"),
        (Observations(np.array([4, 4]), np.zeros((2, 2)), ["a", "b"]), ValueError, "not these rows once each"),
        (Observations(np.array([4]), np.zeros((1, 2)), ["a"]), ValueError, "1 usable and 0 rejected"),
    ],
)
def test_a_source_that_violates_its_contract_is_named(source, monkeypatch, answer, error, message):
    def read(start, stop):
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(source, "read", read)
    with pytest.raises(error, match=message):
        next(read_runs(source, 4, 6, 10))
