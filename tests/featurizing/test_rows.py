"""Mirrors src/geotether/featurizing/rows.py; the oracle is a whole reading, cut by hand."""

import numpy as np
import pyarrow as pa
import pytest

from geotether.featurizing.rows import content_bytes, join, read_checked, read_runs, take
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
    found = join(runs)
    usable = wanted[wanted % 7 != 0]
    assert found.row.tolist() == numbers(found) == usable.tolist()
    assert found.id.tolist() == [f"row {row}" for row in usable]
    assert [row.row for row in found.rejected] == wanted[wanted % 7 == 0].tolist()
    assert found.labels["parity"].tolist() == (usable % 2).tolist()
    np.testing.assert_array_equal(np.isnat(found.time), usable % 4 == 0)


@pytest.mark.parametrize("source", ["images", "texts", "columns"], indirect=True)
def test_taking_keeps_every_column_together(source):
    found = take(read_checked(source, 10, 30), np.array([3, 0, 5]))
    assert found.row.tolist() == numbers(found) == [13, 10, 16]  # 14, 21 and 28 are rejected
    assert [row.row for row in found.rejected] == [14, 21, 28]


def test_parts_without_time_get_none(source):
    part = read_checked(source, 1, 4)
    without = Observations(part.row, part.lonlat, part.content, part.id, None, part.labels)
    found = join([part, without])
    assert np.isnat(found.time[3:]).all()
    assert join([without, without]).time is None
    nothing = take(part, np.array([], dtype=int))
    assert len(join([nothing, part])) == len(part)
    assert len(join([nothing, nothing])) == 0


def test_images_of_one_size_come_as_a_list_or_an_array():
    place = np.zeros((2, 2))
    small, large = np.zeros((2, 3, 3, 1), np.uint8), np.zeros((2, 4, 4, 1), np.uint8)
    parts = [Observations(np.arange(2), place, images) for images in (small, large)]
    assert [image.shape for image in join(parts).content] == [(3, 3, 1)] * 2 + [(4, 4, 1)] * 2
    assert join(parts[:1] * 2).content.shape == (4, 3, 3, 1)


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
def test_a_source_that_breaks_its_word_is_named(source, monkeypatch, answer, error, message):
    def read(start, stop):
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(source, "read", read)
    with pytest.raises(error, match=message):
        next(read_runs(source, 4, 6, 10))
