"""Mirrors src/geotether/files/parquet_files.py."""

import os
import sys

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from geotether.files.parquet_files import ParquetFiles, is_sharded, shard_name


def write(path, start, rows=10, **columns):
    table = pa.table({"n": range(start, start + rows), "wide": [os.urandom(5000) for _ in range(rows)], **columns})
    with fsspec.open(str(path), "wb") as file:
        pq.write_table(table, file, row_group_size=4, compression="none")


@pytest.fixture
def shards(tmp_path):
    folder = tmp_path / "t.parquet"
    folder.mkdir()
    for number in range(3):
        write(folder / shard_name(number, 3), 10 * number)
    (folder / "notes.txt").write_text("not a shard")
    return folder


def test_shards_are_read_in_order(shards):
    files = ParquetFiles(shards)
    assert len(files) == 30
    assert files.names == [shard_name(number, 3) for number in range(3)]
    assert files.read(["n"])["n"].to_pylist() == list(range(30))
    batches = list(files.batches(["n"], 7))
    assert [row for batch in batches for row in batch["n"].to_pylist()] == list(range(30))
    assert max(map(len, batches)) <= 7
    assert batches[0].schema.names == ["n"]
    assert [is_sharded(one) for one in (shards, shards.parent, "memory://t.parquet")] == [True, False, False]


def test_the_key_follows_the_content(shards):
    key = ParquetFiles(shards).key
    assert key == ParquetFiles(shards).key
    write(shards / shard_name(1, 3), 11)
    assert key != ParquetFiles(shards).key


def test_what_is_not_one_table_is_refused(shards, tmp_path):
    (shards / shard_name(1, 3)).unlink()
    with pytest.raises(FileNotFoundError, match="lacks part-00001-of-00003"):
        ParquetFiles(shards)
    write(shards / shard_name(1, 3), 0, other=[1.5] * 10)
    with pytest.raises(ValueError, match="its columns differ from those of part-00000"):
        ParquetFiles(shards)
    (shards / shard_name(1, 3)).write_bytes(b"PAR1 nothing")
    with pytest.raises(ValueError, match=r"part-00001-of-00003\.parquet is damaged"):
        ParquetFiles(shards)
    with pytest.raises(FileNotFoundError, match="no Parquet file in"):
        ParquetFiles(tmp_path)


@pytest.fixture
def memory():
    system = fsspec.filesystem("memory")
    yield system
    system.rm("/bucket", recursive=True)


def test_addresses_of_files_folders_and_first_shards(memory):
    for number in range(3):
        write(f"memory://bucket/t.parquet/{shard_name(number, 3)}", 10 * number)
    for address in ("memory://bucket/t.parquet", f"memory://bucket/t.parquet/{shard_name(0, 3)}"):
        files = ParquetFiles(address)
        assert files.read(["n"])["n"].to_pylist() == list(range(30))
    key = files.key
    assert ParquetFiles(f"memory://bucket/t.parquet/{shard_name(1, 3)}").read(["n"])["n"][0].as_py() == 10
    write(f"memory://bucket/t.parquet/{shard_name(1, 3)}", 10)
    assert key != ParquetFiles(address).key
    memory.rm(f"/bucket/t.parquet/{shard_name(2, 3)}")
    with pytest.raises(FileNotFoundError, match="lacks part-00002-of-00003"):
        ParquetFiles("memory://bucket/t.parquet")


def test_other_addresses_say_what_to_do(memory, monkeypatch):
    memory.mkdir("/bucket")
    with pytest.raises(FileNotFoundError, match=r"memory://bucket/no\.parquet cannot be read"):
        ParquetFiles("memory://bucket/no.parquet")
    with pytest.raises(ValueError, match=r"nosuch://x\.parquet"):
        ParquetFiles("nosuch://x.parquet")
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(ImportError, match=r"pip install 'geotether\[cloud\]'"):
        ParquetFiles("memory://bucket/no.parquet")


def test_only_the_ranges_that_are_needed_are_asked_of_a_server(ranges, tmp_path):
    write(tmp_path / "t.parquet", 0, rows=400)
    address, asked = ranges(tmp_path)
    files = ParquetFiles(f"{address}/t.parquet")
    assert files.read(["n"])["n"].to_pylist() == list(range(400))
    size = (tmp_path / "t.parquet").stat().st_size
    assert size > 2_000_000
    assert sum(stop - start for start, stop in asked) < 300_000  # the end of the file twice, and one column
    with pytest.raises(FileNotFoundError, match=r"other\.parquet cannot be read"):
        ParquetFiles(f"{address}/other.parquet")


def test_a_server_without_ranges_is_refused(ranges, tmp_path):
    write(tmp_path / "t.parquet", 0, rows=400)
    address, _ = ranges(tmp_path, answers=False)
    with pytest.raises((ValueError, OSError), match=r"t\.parquet"):
        ParquetFiles(f"{address}/t.parquet")
