"""Mirrors store.py, matrix.py and origin.py of src/geotether/tables."""

import json
import os
import resource
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from geotether.files.mapped_rows import MappedRows
from geotether.tables.modality import Modality
from geotether.tables.origin import Origin, origin_of_note
from geotether.tables.store import is_table_npz, read_origin, read_table, write_origin, write_table
from geotether.tables.table import Table
from geotether.tables.target import Target

SRC = Path(__file__).parents[2] / "src"
LONLAT = np.array([[5.66, 51.97], [-180.0, -90.0], [179.5, 90.0], [-74.01, 40.71]])
ORIGIN = Origin("CC BY 4.0", "AVONET", "Tobias et al. 2022", "https://example.org", {"rows": {"read": 3}})


@pytest.fixture
def table():
    return Table.single(
        "rain",
        LONLAT,
        np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32),
        id=np.array(["a", "b", "c", "三"]),
        time=np.array(["2020-01-01", "2021-06-30T12:00:00.123", "NaT", "1899-12-31"], dtype="datetime64[ms]"),
        targets={
            "country": np.array(["NL", "AQ", "", "US"]),
            "height": np.array([12.0, np.nan, 0.0, 10.0]),
            "count": np.arange(4),
            "coast": np.array([True, False, False, True]),
        },
        split=np.array(["train", "validation", "train", "buffer"]),
        origin=ORIGIN,
    )


@pytest.fixture
def several():
    rng = np.random.default_rng(0)
    series = rng.standard_normal((5, 4, 2))
    series[1, 2:] = np.nan
    return Table(
        "felder/größe",
        {
            "s1": Modality("series", series, bands=("VV", "VH")),
            "s2": Modality("chip", rng.integers(0, 9, (5, 2, 3, 3)).astype(np.int16), np.array([1, 1, 0, 1, 1], bool)),
        },
        {
            "crop": Target("classes", np.array([0, 1, -1, 0, 1]), ("maïs", "wheat")),
            "cover": Target("labels", np.array([[0, 1]] * 4 + [[np.nan] * 2]), ("water", "trees")),
            "height": Target("numbers", np.array([1.5, np.nan, 2, 3, 4]), ("height (m)",)),
        },
        id=np.array(list("vwxyz")),
        lonlat=np.array([[5.6, 52.0]] * 5),
        time=np.array(["2020-01-01", "NaT", "2021-01-01", "2022-01-01", "2023-01-01"], dtype="datetime64[ms]"),
        split=np.array(["train"] * 5),
        group=np.array(["a"] * 5),
        origin=ORIGIN,
    )


def write_columns(path, **columns):
    places = {"lon": LONLAT[:, 0], "lat": LONLAT[:, 1]}
    pq.write_table(pa.table({**places, **columns}), path)
    return path


def assert_same(one, two):
    assert (one.name, one.origin, one.content_hash) == (two.name, two.origin, two.content_hash)


@pytest.mark.parametrize("ending", ["parquet", "npz"])
def test_reading_returns_what_was_written(table, tmp_path, ending):
    path = tmp_path / "new" / f"t.{ending}"
    write_table(table, path)
    back = read_table(path)
    assert_same(back, table)
    assert back.is_single
    for name in ("lonlat", "time", "id", "split"):
        np.testing.assert_array_equal(getattr(back, name), getattr(table, name))
    for name, target in table.targets.items():
        np.testing.assert_array_equal(back.target(name).column, target.column)
        assert back.target(name).column.dtype == target.column.dtype
    assert read_table(path, name="other").name == "other"
    write_table(table.rows(slice(None)), tmp_path / f"again.{ending}")
    assert path.read_bytes() == (tmp_path / f"again.{ending}").read_bytes()
    plain = Table.single("plain", LONLAT, np.eye(4))
    write_table(plain, path)
    back = read_table(path)
    assert (back.time, back.split, back.targets, back.origin.is_empty) == (None, None, {}, True)
    assert_same(back, plain)


@pytest.mark.parametrize("memory_share", [0.25, 0.0])
def test_tables_of_several_modalities(several, tmp_path, memory_share):
    write_table(several, tmp_path / "t.npz")
    back = read_table(tmp_path / "t.npz", memory_share=memory_share)
    assert_same(back, several)
    assert isinstance(back.modality("s2").values, np.memmap) == (memory_share == 0)
    assert back.target("height").names == ("height (m)",)
    write_table(back.rows(np.array([4, 2])), tmp_path / "part.npz")
    assert_same(read_table(tmp_path / "part.npz"), several.rows(np.array([4, 2])))
    with np.load(tmp_path / "t.npz", allow_pickle=False) as file:
        assert json.loads(str(file["about"]))["sensors"]["s1"]["bands"] == ["VV", "VH"]
        np.savez_compressed(tmp_path / "c.npz", **dict(file))
    assert_same(read_table(tmp_path / "c.npz", memory_share=memory_share), several)


def test_parquet_refuses_what_it_cannot_hold(several, tmp_path):
    with pytest.raises(ValueError, match=r"\.npz"):
        write_table(several, tmp_path / "t.parquet")
    assert not list(tmp_path.iterdir())


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
    read = read_table(write_columns(tmp_path / "t.parquet", features=np.eye(4).tolist(), **columns))
    np.testing.assert_array_equal(read.target("a").values, [1, np.nan, 3, 4])
    assert read.target("b").column.tolist() == ["x", "", "y", "z"]
    np.testing.assert_array_equal(read.target("c").values, [1, np.nan, 0, 1])


RAGGED = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0, 7.0], [8.0, 9.0]]


@pytest.mark.parametrize(
    "columns, options, message",
    [
        ({"features": RAGGED}, {}, "row 2 has 3 features, row 0 has 2.*a file of its own"),
        ({"features": [[1.0], None, [2.0], [3.0]]}, {}, "row 1 has no features"),
        ({"features": [[1.0], [None], [2.0], [3.0]]}, {}, "row 1, column 0 is nan"),
        ({"features": [[]] * 4}, {}, "no numbers|not of numbers"),
        ({"features": pa.array([[]] * 4, pa.list_(pa.float32()))}, {}, "no axis may be empty"),
        ({"features": [["a"]] * 4}, {}, "lists of string, not of numbers"),
        ({"features": ["a"] * 4}, {}, "holds string, not numbers"),
        (
            {"rain": [1, 2, 3, 4]},
            {},
            r"no column 'features'.*Name the columns.*Columns found: lon \(double\).*rain \(int64\)",
        ),
        ({"embedding": [[1.0]] * 4}, {}, "Pass features='embedding'"),
        ({"rain": [1, 2, 3, 4]}, {"features": ["rian"]}, "Did you mean 'rain'"),
        ({"rain": [1, 2, 3, 4]}, {"features": []}, "names no column"),
        ({"rain": [1, 2, 3, 4]}, {"features": "rain", "memory_share": 1.5}, r"memory_share must lie in \[0, 1\]"),
        ({"rain": [1, 1, 1, 1]}, {"features": "rain"}, "all rows have the same features"),
        ({"rain": [1, 2, 3, 4], "id": ["a", None, "b", "c"]}, {"features": "rain"}, "'id' has no value in row 1"),
        ({"rain": [1, 2, 3, 4], "time": ["x"] * 4}, {"features": "rain"}, "'time', row 0: 'x'"),
        ({"rain": [1, 2, 3, 4], "lat": [0, 0, 120, 0]}, {"features": "rain"}, r"row 2 is \(179\.5, 120\)"),
        ({"rain": [1, 2, 3, 4], "lat": [0, 0, None, 0]}, {"features": "rain"}, r"row 2 is \(179\.5, nan\)"),
    ],
)
def test_invalid_files_are_errors(tmp_path, columns, options, message):
    with pytest.raises(ValueError, match=message):
        read_table(write_columns(tmp_path / "t.parquet", **columns), **options)


def test_other_files_are_refused(table, tmp_path):
    path = tmp_path / "t.parquet"
    for missing, message in ((path, "There is no file"), (tmp_path, "no Parquet file in")):
        with pytest.raises(FileNotFoundError, match=message):
            read_table(missing)
    write_table(table, path)
    for content in (b"lon,lat\n", path.read_bytes()[:-10]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="is damaged or is not a Parquet file"):
            read_table(path)
    pq.write_table(pa.table({"features": [[1.0], [2.0]], "town": ["a", "b"]}), path)
    with pytest.raises(ValueError, match=r"lon and lat.*Columns found: 'features', 'town'"):
        read_table(path)
    pq.write_table(pa.table({"lon": [0.0], "lat": [0.0], "features": [[1.0]]}).slice(0, 0), path)
    with pytest.raises(ValueError, match=r"t\.parquet: it has no rows"):
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
def test_large_features_are_mapped_from_disk(tmp_path, ragged_at, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    count, cache = 40_000, tmp_path / "home" / "geotether"
    features = np.random.default_rng(0).normal(size=(count, 4)).astype(np.float32)
    rows = features.tolist()
    if ragged_at is not None:
        rows[ragged_at] = [1.0]
    path = tmp_path / "t.parquet"
    columns = {"lon": np.linspace(-180, 179, count), "lat": np.linspace(-90, 90, count), "features": rows}
    pq.write_table(pa.table(columns), path, row_group_size=7000)
    if ragged_at is not None:
        with pytest.raises(ValueError, match="row 20000 has 1 features, row 0 has 4"):
            read_table(path, memory_share=0.0)
        assert not cache.exists()
        return
    table = read_table(path, memory_share=0.0)
    assert isinstance(table.features, MappedRows)
    np.testing.assert_array_equal(table.features, features)
    assert table.content_hash == read_table(path, memory_share=1.0).content_hash
    kept = [(file.name, file.stat().st_mtime_ns) for file in cache.iterdir()]
    assert len(kept) == 1
    read_table(path, memory_share=0.0)
    assert kept == [(file.name, file.stat().st_mtime_ns) for file in cache.iterdir()]


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


def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path):
    """The kernel refuses the write halfway, as on a full disk."""
    features = np.random.default_rng(0).normal(size=(5000, 64)).astype(np.float32)
    lonlat = np.stack([np.linspace(-180, 179, 5000), np.linspace(-90, 90, 5000)], axis=1)
    write_table(Table.single("t", lonlat, features), tmp_path / "t.parquet")
    (tmp_path / "old.parquet").write_text("old")
    (tmp_path / "old.npz").write_text("old")
    for child in (
        limited("read", tmp_path / "t.parquet", tmp_path / "cache"),
        limited("write", tmp_path / "old.parquet"),
        limited("write", tmp_path / "old.npz"),
    ):
        assert "the disk is full or a size limit was reached" in child.stderr
    assert (tmp_path / "old.parquet").read_text() == (tmp_path / "old.npz").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old.npz", "old.parquet", "t.parquet"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_device_is_reported_and_not_removed(table, monkeypatch):
    def refuse(path):
        raise AssertionError(f"{path} was about to be deleted")

    monkeypatch.setattr(os, "remove", refuse)  # pyarrow's answer to a failure, given a path
    with pytest.raises(OSError, match="/dev/full: the disk is full"):
        write_table(table, "/dev/full")
    assert Path("/dev/full").exists()


def test_foreign_and_damaged_npz_files_are_refused(several, tmp_path):
    np.savez(tmp_path / "other.npz", a=np.ones(3))
    (tmp_path / "text.npz").write_text("hello")
    for name in ("other.npz", "text.npz"):
        assert not is_table_npz(tmp_path / name)
        with pytest.raises(ValueError, match="not written by write_table"):
            read_table(tmp_path / name)
    write_table(several, tmp_path / "t.npz")
    with zipfile.ZipFile(tmp_path / "t.npz") as whole, zipfile.ZipFile(tmp_path / "half.npz", "w") as half:
        for name in whole.namelist():
            if name != "values/s1.npy":
                half.writestr(name, whole.read(name))
    data = bytearray((tmp_path / "t.npz").read_bytes())
    data[data.rindex(several.modality("s1").values.tobytes())] ^= 255
    (tmp_path / "flipped.npz").write_bytes(data)
    for name in ("half.npz", "flipped.npz"):
        with pytest.raises(ValueError, match="is damaged"):
            read_table(tmp_path / name)


def test_the_origin_is_kept_in_the_file(table, tmp_path):
    path = tmp_path / "t.parquet"
    write_table(table.rows(slice(1, 3)), path)
    assert read_origin(path) == ORIGIN
    before = read_table(path)
    write_origin(path, Origin(licence="MIT"))
    assert (read_origin(path), read_table(path).content_hash) == (Origin(licence="MIT"), before.content_hash)
    write_table(Table.single("birds", LONLAT, np.eye(4)), path)
    assert json.loads(pq.read_schema(path).metadata[b"geotether"]) == {"table": 1, "name": "birds"}
    path.write_text("lon,lat\n")
    with pytest.raises(ValueError, match="not a Parquet file"):
        read_origin(path)


@pytest.mark.parametrize(
    ("note", "expected"),
    [
        (None, Origin()),
        (b"not JSON", Origin()),
        (b"[1]", Origin()),
        (b'{"origin": "mine"}', Origin()),
        (b'{"origin": {"licence": 3, "source": "me", "made": [], "other": 1}}', Origin(source="me")),
    ],
)
def test_metadata_of_other_programs_is_ignored(note, expected):
    assert origin_of_note(note) == expected


@pytest.mark.parametrize("ending", ["npz", "parquet"])
def test_one_long_text_takes_no_more_memory_or_disk_than_its_own(tmp_path, ending):
    rng = np.random.default_rng(0)
    names = [f"row {row}" for row in range(3000)]
    names[7] = "x" * 500_000
    texts = np.array(names, dtype=object)
    table = Table.single("long", rng.uniform(-80, 80, (3000, 2)), rng.standard_normal((3000, 2)), id=texts,
                         targets={"kind": names[::-1]}, group=texts if ending == "npz" else None)  # fmt: skip
    tracemalloc.start()
    write_table(table, tmp_path / f"long.{ending}")
    found = read_table(tmp_path / f"long.{ending}")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.content_hash == table.content_hash
    assert found.id.tolist() == names
    assert found.target("kind").column[-8] == names[7]
    assert (tmp_path / f"long.{ending}").stat().st_size < 4e6
    assert most < 50e6  # fixed-width texts would take 6 GB


def test_a_table_larger_than_the_memory_is_an_error_before_reading(table, several, tmp_path, monkeypatch):
    write_table(table, tmp_path / "t.parquet")
    write_table(several, tmp_path / "t.npz")
    with np.load(tmp_path / "t.npz") as file:
        np.savez_compressed(tmp_path / "packed.npz", **dict(file))
    monkeypatch.setattr("geotether.tables.matrix.total_memory", lambda: 500)
    monkeypatch.setattr("geotether.tables.store.total_memory", lambda: 500)
    for name, message in (("t.parquet", "4 rows need about"), ("packed.npz", "unpacked")):
        with pytest.raises(ValueError, match=rf"{name}.*{message}"):
            read_table(tmp_path / name)
