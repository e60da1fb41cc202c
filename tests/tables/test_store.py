"""Mirrors src/geotether/tables/store.py, with matrix.py behind it."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from geotether.tables.store import read_table, write_table
from geotether.tables.table import Table

SRC = Path(__file__).parents[2] / "src"
LONLAT = np.array([[5.66, 51.97], [-180.0, -90.0], [179.5, 90.0], [-74.01, 40.71]])


@pytest.fixture
def table():
    return Table.single(
        "rain",
        LONLAT,
        np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32),
        id=np.array(["a", "b", "c", "三"]),
        time=np.array(["2020-01-01", "2021-06-30T12:00:00.123", "NaT", "1899-12-31"], dtype="datetime64[ms]"),
        labels={
            "country": np.array(["NL", "AQ", "", "US"]),
            "height": np.array([12.0, np.nan, 0.0, 10.0]),
            "count": np.arange(4),
            "coast": np.array([True, False, False, True]),
        },
        split=np.array(["train", "validation", "train", "buffer"]),
    )


def write_columns(path, **columns):
    places = {"lon": LONLAT[:, 0], "lat": LONLAT[:, 1]}
    pq.write_table(pa.table({**places, **columns}), path)
    return path


def test_reading_gives_back_what_was_written(table, tmp_path):
    write_table(table, tmp_path / "t.parquet")
    back = read_table(tmp_path / "t.parquet")
    assert back.name == "rain"
    np.testing.assert_array_equal(back.features, table.features)
    np.testing.assert_array_equal(back.lonlat, table.lonlat)
    np.testing.assert_array_equal(back.time, table.time)
    assert back.id.tolist() == table.id.tolist()
    assert back.split.tolist() == table.split.tolist()
    for name, values in table.labels.items():
        np.testing.assert_array_equal(back.labels[name], values)
        assert back.labels[name].dtype.kind == values.dtype.kind
    assert back.content_hash == table.content_hash
    assert read_table(tmp_path / "t.parquet", name="other").name == "other"


def test_the_same_table_gives_the_same_bytes(table, tmp_path):
    write_table(table, tmp_path / "1.parquet")
    write_table(table, tmp_path / "2.parquet")
    assert (tmp_path / "1.parquet").read_bytes() == (tmp_path / "2.parquet").read_bytes()


def test_a_table_without_extras_comes_back(tmp_path):
    plain = Table.single("plain", LONLAT, np.eye(4, dtype=np.float32))
    write_table(plain, tmp_path / "new" / "t.parquet")
    back = read_table(tmp_path / "new" / "t.parquet")
    assert (back.time, back.split, back.labels) == (None, None, {})
    assert back.content_hash == plain.content_hash


def test_geopandas_reads_it(table, tmp_path):
    geopandas = pytest.importorskip("geopandas")
    write_table(table, tmp_path / "t.parquet")
    frame = geopandas.read_parquet(tmp_path / "t.parquet")
    assert frame.crs.to_authority() == ("OGC", "CRS84")
    np.testing.assert_array_equal(np.stack([frame.geometry.x, frame.geometry.y], axis=1), table.lonlat)
    np.testing.assert_array_equal(np.stack(frame["features"].to_list()), table.features)
    assert frame["label:country"].tolist() == ["NL", "AQ", "", "US"]
    note = json.loads(pq.read_schema(tmp_path / "t.parquet").metadata[b"geo"])
    assert note["version"] == "1.1.0"
    assert note["columns"]["geometry"]["bbox"] == [-180.0, -90.0, 179.5, 90.0]


def test_duckdb_reads_it_with_plain_sql(table, tmp_path):
    duckdb = pytest.importorskip("duckdb")
    write_table(table, tmp_path / "t.parquet")
    query = f"select id, lon, lat, features[2], \"label:height\" from '{tmp_path / 't.parquet'}' where split = 'train'"
    rows = duckdb.sql(query).fetchall()
    assert [row[:3] for row in rows] == [("a", 5.66, 51.97), ("c", 179.5, 90.0)]
    assert [row[3] for row in rows] == table.features[[0, 2], 1].tolist()
    assert [row[4] for row in rows] == [12.0, 0.0]


def test_a_table_by_geopandas_is_read(tmp_path):
    geopandas = pytest.importorskip("geopandas")
    points = geopandas.points_from_xy([5.66, 4.9], [51.97, 52.37], crs="OGC:CRS84").to_crs("EPSG:28992")
    frame = geopandas.GeoDataFrame({"embedding": [[1.0, 2.0], [3.0, 4.0]]}, geometry=points)
    frame.to_parquet(tmp_path / "dutch.parquet")
    back = read_table(tmp_path / "dutch.parquet", features="embedding")
    assert back.name == "dutch"
    np.testing.assert_allclose(back.lonlat, [[5.66, 51.97], [4.9, 52.37]], atol=1e-8)
    np.testing.assert_array_equal(back.features, [[1, 2], [3, 4]])


@pytest.mark.parametrize("kind", [pa.list_(pa.float64()), pa.large_list(pa.int16()), pa.list_(pa.float16(), 2)])
def test_all_lists_of_numbers_are_features(tmp_path, kind):
    values = [[1, 2], [3, 4], [5, 6], [7, 8]]
    if kind == pa.list_(pa.float16(), 2):
        values = [[np.float16(v) for v in row] for row in values]
    path = write_columns(tmp_path / "t.parquet", features=pa.array(values, kind))
    np.testing.assert_array_equal(read_table(path).features, [[1, 2], [3, 4], [5, 6], [7, 8]])


def test_columns_of_numbers_are_features(tmp_path):
    path = write_columns(tmp_path / "t.parquet", rain=[1, 2, 3, 4], sun=[0.5, 0.25, 0.0, 1.0], id=[7, 8, 9, 10])
    back = read_table(path, features=["sun", "rain"])
    np.testing.assert_array_equal(back.features, [[0.5, 1], [0.25, 2], [0, 3], [1, 4]])
    assert back.id.tolist() == ["7", "8", "9", "10"]
    assert read_table(path, features="rain").dim == 1


def test_unknown_labels_become_nan_or_empty(tmp_path):
    columns = {
        "label:a": pa.array([1, None, 3, 4]),
        "label:b": pa.array(["x", None, "y", "z"]).dictionary_encode(),
        "label:c": pa.array([True, None, False, True]),
    }
    labels = read_table(write_columns(tmp_path / "t.parquet", features=np.eye(4).tolist(), **columns)).labels
    np.testing.assert_array_equal(labels["a"], [1, np.nan, 3, 4])
    assert labels["b"].tolist() == ["x", "", "y", "z"]
    np.testing.assert_array_equal(labels["c"], [1, np.nan, 0, 1])


RAGGED = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0, 7.0], [8.0, 9.0]]


@pytest.mark.parametrize(
    "columns, options, message",
    [
        ({"features": RAGGED}, {}, "row 2 has 3 features, row 0 has 2.*a file of its own"),
        ({"features": [[1.0], None, [2.0], [3.0]]}, {}, "row 1 has no features"),
        ({"features": [[1.0], [None], [2.0], [3.0]]}, {}, "row 1, column 0 is nan"),
        ({"features": [[]] * 4}, {}, "no numbers|not of numbers"),
        ({"features": pa.array([[]] * 4, pa.list_(pa.float32()))}, {}, "no features"),
        ({"features": [["a"]] * 4}, {}, "lists of string, not of numbers"),
        ({"features": ["a"] * 4}, {}, "holds string, not numbers"),
        (
            {"rain": [1, 2, 3, 4]},
            {},
            r"no column 'features'.*name the columns.*Columns found: lon \(double\).*rain \(int64\)",
        ),
        ({"embedding": [[1.0]] * 4}, {}, "pass features='embedding'"),
        ({"rain": [1, 2, 3, 4]}, {"features": ["rian"]}, "did you mean 'rain'"),
        ({"rain": [1, 2, 3, 4]}, {"features": []}, "names no column"),
        ({"rain": [1, 2, 3, 4]}, {"features": "rain", "memory_share": 1.5}, r"memory_share must lie in \[0, 1\]"),
        ({"rain": [1, 1, 1, 1]}, {"features": "rain"}, "all rows have the same features"),
        ({"rain": [1, 2, 3, 4], "id": ["a", None, "b", "c"]}, {"features": "rain"}, "'id' has no value in row 1"),
        ({"rain": [1, 2, 3, 4], "time": ["x"] * 4}, {"features": "rain"}, "'time' must hold times"),
        ({"rain": [1, 2, 3, 4], "lat": [0, 0, 120, 0]}, {"features": "rain"}, r"row 2 is \(179\.5, 120\)"),
        ({"rain": [1, 2, 3, 4], "lat": [0, 0, None, 0]}, {"features": "rain"}, r"row 2 is \(179\.5, nan\)"),
    ],
)
def test_unfit_files_are_refused(tmp_path, columns, options, message):
    with pytest.raises(ValueError, match=message):
        read_table(write_columns(tmp_path / "t.parquet", **columns), **options)


def test_a_file_without_places_or_rows_is_refused(tmp_path):
    pq.write_table(pa.table({"features": [[1.0], [2.0]], "town": ["a", "b"]}), tmp_path / "t.parquet")
    with pytest.raises(ValueError, match=r"no column for lon and lat.*Columns found: 'features', 'town'"):
        read_table(tmp_path / "t.parquet")
    empty = pa.table({"lon": [0.0], "lat": [0.0], "features": [[1.0]]}).slice(0, 0)
    pq.write_table(empty, tmp_path / "e.parquet")
    with pytest.raises(ValueError, match=r"e\.parquet: it has no rows"):
        read_table(tmp_path / "e.parquet")


def test_missing_foreign_and_truncated_files_are_named(table, tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no file"):
        read_table(tmp_path / "t.parquet")
    with pytest.raises(FileNotFoundError, match="is not a file"):
        read_table(tmp_path)
    path = tmp_path / "t.parquet"
    path.write_text("lon,lat\n")
    with pytest.raises(ValueError, match="is damaged or is not a Parquet file"):
        read_table(path)
    write_table(table, path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ValueError, match="is damaged or is not a Parquet file"):
        read_table(path)


def test_a_flipped_bit_is_noticed(tmp_path):
    features = np.random.default_rng(0).normal(size=(2000, 8)).astype(np.float32)
    lonlat = np.stack([np.linspace(-180, 179, 2000), np.linspace(-90, 90, 2000)], axis=1)
    path = tmp_path / "t.parquet"
    write_table(Table.single("t", lonlat, features), path)
    data = bytearray(path.read_bytes())
    column = pq.ParquetFile(path).metadata.row_group(0)
    last = column.column(column.num_columns - 1)
    data[last.data_page_offset + last.total_compressed_size // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="is damaged"):
        read_table(path)


@pytest.mark.parametrize("ragged_at", [None, 20_000])
def test_large_features_are_mapped_from_disk(tmp_path, ragged_at):
    count, cache = 40_000, tmp_path / "cache"
    features = np.random.default_rng(0).normal(size=(count, 4)).astype(np.float32)
    rows = features.tolist()
    if ragged_at is not None:
        rows[ragged_at] = [1.0]
    path = tmp_path / "t.parquet"
    columns = {"lon": np.linspace(-180, 179, count), "lat": np.linspace(-90, 90, count), "features": rows}
    pq.write_table(pa.table(columns), path, row_group_size=7000)
    if ragged_at is not None:
        with pytest.raises(ValueError, match="row 20000 has 1 features, row 0 has 4"):
            read_table(path, memory_share=0.0, cache_dir=cache)
        assert not cache.exists()
        return
    table = read_table(path, memory_share=0.0, cache_dir=cache)
    assert isinstance(table.features, np.memmap)
    np.testing.assert_array_equal(table.features, features)
    assert table.content_hash == read_table(path, memory_share=1.0).content_hash
    kept = [(file.name, file.stat().st_mtime_ns) for file in cache.iterdir()]
    assert len(kept) == 1
    read_table(path, memory_share=0.0, cache_dir=cache)
    assert kept == [(file.name, file.stat().st_mtime_ns) for file in cache.iterdir()]


def test_the_user_cache_holds_the_map_by_default(table, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    write_table(table, tmp_path / "t.parquet")
    assert isinstance(read_table(tmp_path / "t.parquet", memory_share=0.0).features, np.memmap)
    assert len(list((tmp_path / "home" / "geotether").glob("*.npy"))) == 1


BIG = """
import sys, numpy as np
from geotether.tables.store import read_table, write_table
from geotether.tables.table import Table
if sys.argv[1] == "write":
    features = np.random.default_rng(0).normal(size=(5000, 64)).astype(np.float32)
    lonlat = np.stack([np.linspace(-180, 179, 5000), np.linspace(-90, 90, 5000)], axis=1)
    write_table(Table.single("t", lonlat, features), sys.argv[2])
else:
    read_table(sys.argv[2], memory_share=0.0, cache_dir=sys.argv[3])
"""


def limited(*arguments):
    return subprocess.run(
        [sys.executable, "-c", BIG, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(SRC), "PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000)),
        capture_output=True,
        text=True,
        check=False,
    )


def test_no_room_for_the_table_leaves_the_old_one(tmp_path):
    """The kernel refuses the write halfway, as on a full disk."""
    target = tmp_path / "t.parquet"
    target.write_text("old")
    child = limited("write", target)
    assert "the disk is full or a size limit was reached" in child.stderr
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["t.parquet"]


def test_no_room_for_the_map_is_an_error_and_leaves_nothing(tmp_path):
    features = np.random.default_rng(0).normal(size=(5000, 64)).astype(np.float32)
    lonlat = np.stack([np.linspace(-180, 179, 5000), np.linspace(-90, 90, 5000)], axis=1)
    write_table(Table.single("t", lonlat, features), tmp_path / "t.parquet")
    child = limited("read", tmp_path / "t.parquet", tmp_path / "cache")
    assert "the disk is full or a size limit was reached" in child.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["t.parquet"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_device_is_named_and_stays(table, monkeypatch):
    def refuse(path):
        raise AssertionError(f"{path} was about to be deleted")

    monkeypatch.setattr(os, "remove", refuse)  # pyarrow's answer to a failure, given a path
    with pytest.raises(OSError, match="/dev/full: the disk is full"):
        write_table(table, "/dev/full")
    assert Path("/dev/full").exists()
