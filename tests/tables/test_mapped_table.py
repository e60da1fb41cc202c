"""Mirrors src/geotether/tables/mapped_table.py, and tables in shards of src/geotether/tables/store.py."""

import duckdb
import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import geotether.tables.store as room
from geotether.files.mapped_rows import MappedRows
from geotether.tables.origin import Origin
from geotether.tables.store import read_origin, read_table, write_origin, write_table
from geotether.tables.table import Table


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    n = 500
    lonlat = np.stack([rng.uniform(-180, 360, n), rng.uniform(-90, 90, n)], axis=1)
    time = np.datetime64("2020-01-01", "ms") + rng.integers(0, 10**10, n)
    time[7] = np.datetime64("NaT")
    return Table.single(
        "soil",
        lonlat,
        rng.normal(size=(n, 6)).astype(np.float16),
        id=np.array([f"é{row}" for row in range(n)]),
        time=time,
        split=rng.choice(["train", "validation", "buffer"], n),
        targets={
            "kind": rng.choice(["oak", "ash", ""], n),
            "ph": np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n)),
            "count": rng.integers(0, 9, n).astype(np.int16),
            "wet": rng.random(n) < 0.5,
        },
        origin=Origin(licence="CC0"),
    )


def assert_same(found: Table, table: Table) -> None:
    assert found.content_hash == table.content_hash
    assert (found.name, found.origin, len(found)) == (table.name, table.origin, len(table))
    for name in ("id", "lonlat", "time", "split"):
        np.testing.assert_array_equal(getattr(found, name), getattr(table, name), strict=name in ("lonlat", "time"))
    np.testing.assert_array_equal(np.asarray(found.features), table.features, strict=True)
    for name, target in table.targets.items():
        assert (found.targets[name].kind, found.targets[name].names) == (target.kind, target.names)
        np.testing.assert_array_equal(found.targets[name].values, target.values, strict=True)


@pytest.mark.parametrize("shard_rows", [None, 500, 120, 1])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("memory_share", [1.0, 0.0], ids=["held", "mapped"])
def test_a_table_is_the_same_in_any_form(table, tmp_path, shard_rows, dtype, memory_share, monkeypatch):
    monkeypatch.setattr(room, "_BLOCK_NUMBERS", 1)
    monkeypatch.setattr(room, "POOL_BLOCKS", 100)
    if shard_rows == 1:
        table = table.rows(slice(0, 30))
    write_table(table, tmp_path / "t.parquet", shard_rows, dtype)
    for _ in range(2):  # maps are made by the first reading and opened by the second
        found = read_table(tmp_path / "t.parquet", memory_share=memory_share, cache_dir=tmp_path / "maps")
        assert_same(found, table)
        assert found.block_rows == (1 if shard_rows in (120, 500) else None)
    if memory_share == 0:
        assert found.features.stored == np.dtype(dtype)
        assert len(list((tmp_path / "maps").iterdir())) == 1
    part, rows = found.part("validation"), np.flatnonzero(table.split == "validation")
    assert isinstance(part.features, MappedRows) == (memory_share == 0)
    assert_same(part, table.rows(rows))
    assert_same(found.rows(slice(3, 20)), table.rows(slice(3, 20)))
    assert found.split_counts == {name: int((table.split == name).sum()) for name in set(table.split)}


def test_a_large_table_is_written_in_shards(table, tmp_path, monkeypatch):
    monkeypatch.setattr(room, "_LARGE_BYTES", 500 * 6 * 4 - 1)
    monkeypatch.setattr(room, "_SHARD_BYTES", 200 * 6 * 2)
    write_table(table, tmp_path / "t.parquet", dtype="float16")
    assert [file.name[:10] for file in sorted((tmp_path / "t.parquet").iterdir())] == [
        "part-00000",
        "part-00001",
        "part-00002",
    ]
    rows = duckdb.sql(f"SELECT count(*), count(DISTINCT id), max(lat) FROM '{tmp_path}/t.parquet/*.parquet'").fetchall()
    assert rows == [(500, 500, table.lonlat[:, 1].max())]


def test_a_new_table_replaces_an_older_one_whole(table, tmp_path):
    path = tmp_path / "t.parquet"
    for shard_rows in (50, 300, None, 100):
        write_table(table, path, shard_rows)
        assert_same(read_table(path), table)
    write_origin(path, Origin(licence="CC BY 4.0"))
    assert read_origin(path) == Origin(licence="CC BY 4.0")
    assert read_table(path).content_hash == table.content_hash
    assert [file.name for file in tmp_path.iterdir()] == ["t.parquet"]


def test_what_float16_or_shards_cannot_hold_is_refused(table, tmp_path):
    large = Table.single("t", table.lonlat[:2], np.array([[1.0, 2.0], [3.0, 70_000.0]]))
    write_table(large, tmp_path / "t.parquet")
    with pytest.raises(ValueError, match=r"feature 1 of row 1 is 70000, beyond float16"):
        write_table(large, tmp_path / "t.parquet", dtype="float16")
    assert read_table(tmp_path / "t.parquet").features.max() == 70_000
    with pytest.raises(ValueError, match="shard_rows must be 1 or more"):
        write_table(large, tmp_path / "t.parquet", 0)
    with pytest.raises(ValueError, match="leave out shard_rows and dtype"):
        write_table(large, tmp_path / "t.npz", 10)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("features", [[1.0], [np.inf], [2.0]], "row 1, column 0 is inf"),
        ("features", [[1.0], [1.0], [1.0]], "all rows have the same features"),
        ("lat", [0.0, 95.0, 1.0], "latitude"),
        ("id", ["a", "b", "a"], "several rows are 'a'"),
        ("id", ["a", None, "b"], "column 'id' has no value in row 1"),
        ("split", ["train", "val", "trian"], "row 2 is 'trian'"),
    ],
)
def test_maps_refuse_what_tables_refuse(tmp_path, column, values, message):
    columns = {"lon": [0.0, 1.0, 2.0], "lat": [0.0, 1.0, 2.0], "features": [[1.0], [2.0], [3.0]]}
    pq.write_table(pa.table(columns | {column: values}), tmp_path / "t.parquet")
    with pytest.raises(ValueError, match=message):
        read_table(tmp_path / "t.parquet", memory_share=0, cache_dir=tmp_path / "maps")
    assert not (tmp_path / "maps").exists()


def test_ids_splits_and_labels_of_foreign_files(tmp_path):
    columns = {
        "lon": [0.0, 190.0, 2.0],
        "lat": [0.0, 1.0, 2.0],
        "a": pa.array([1.0, 2.0, 3.0], pa.float16()),
        "split": pa.array(["train", "val", "train"]).dictionary_encode(),
        "label:crop": pa.array(["rye", None, ""]).dictionary_encode(),
    }
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    held, mapped = (
        read_table(tmp_path / "t.parquet", features=["a"], memory_share=share, cache_dir=tmp_path) for share in (1, 0)
    )
    assert_same(mapped, held)
    assert mapped.id.tolist() == ["0", "1", "2"]
    assert mapped.split.tolist() == ["train", "validation", "train"]
    assert mapped.lonlat[1, 0] == -170


def test_a_table_at_an_address_and_in_maps_made_of_it(table, tmp_path):
    write_table(table, tmp_path / "t.parquet", 200)
    system = fsspec.filesystem("memory")
    system.put(str(tmp_path / "t.parquet"), "/shelf/t.parquet", recursive=True)
    try:
        for share in (1.0, 0.0):
            found = read_table("memory://shelf/t.parquet", memory_share=share, cache_dir=tmp_path / "maps")
            assert_same(found, table)
            assert found.block_rows is None  # it fits in one pool
    finally:
        system.rm("/shelf", recursive=True)
