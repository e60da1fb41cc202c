import errno
import json
import zipfile

import numpy as np
import pytest

from geotether.tables import paired_store
from geotether.tables.modality import Modality
from geotether.tables.origin import Origin
from geotether.tables.store import is_table_npz, read_table, write_table
from geotether.tables.table import Table
from geotether.tables.target import Target


@pytest.fixture
def table():
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
        origin=Origin(licence="CC BY 4.0", made={"rows": 5}),
    )


def assert_same(one, two):
    assert (one.name, one.origin, one.content_hash) == (two.name, two.origin, two.content_hash)


@pytest.mark.parametrize("memory_share", [0.25, 0.0])
def test_round_trip(table, tmp_path, memory_share):
    write_table(table, tmp_path / "new" / "t.npz")
    read = read_table(tmp_path / "new" / "t.npz", memory_share)
    assert_same(read, table)
    assert isinstance(read.modality("s2").values, np.memmap) == (memory_share == 0)
    assert read.target("height").names == ("height (m)",)


def test_numpy_reads_it_without_unpickling(table, tmp_path):
    write_table(table, tmp_path / "t.npz")
    with np.load(tmp_path / "t.npz", allow_pickle=False) as file:
        np.testing.assert_array_equal(file["values/s1"], table.modality("s1").values)
        assert json.loads(str(file["about"]))["sensors"]["s1"]["bands"] == ["VV", "VH"]


def test_equal_tables_give_equal_files(table, tmp_path):
    write_table(table, tmp_path / "a.npz")
    write_table(table.rows(slice(None)), tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_a_part_without_labels_can_be_written(table, tmp_path):
    part = table.rows(np.array([2]))
    write_table(part, tmp_path / "t.npz")
    assert_same(read_table(tmp_path / "t.npz"), part)


def test_what_was_compressed_since_is_read_too(table, tmp_path):
    write_table(table, tmp_path / "t.npz")
    with np.load(tmp_path / "t.npz") as file:
        np.savez_compressed(tmp_path / "c.npz", **dict(file))
    assert_same(read_table(tmp_path / "c.npz", 0.0), table)


def test_mapped_rows_are_written_again(table, tmp_path):
    write_table(table, tmp_path / "t.npz")
    write_table(read_table(tmp_path / "t.npz", 0.0).rows(np.array([4, 0])), tmp_path / "u.npz")
    assert_same(read_table(tmp_path / "u.npz"), table.rows(np.array([4, 0])))


def test_a_full_disk_leaves_the_older_file(table, tmp_path, monkeypatch):
    write_table(table, tmp_path / "t.npz")
    before = (tmp_path / "t.npz").read_bytes()

    def fill_up(entry, values):
        entry.write(b"something")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(paired_store, "_write_array", fill_up)
    with pytest.raises(OSError, match="the disk is full"):
        write_table(table.part("train"), tmp_path / "t.npz")
    assert (tmp_path / "t.npz").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["t.npz"]


def test_what_cannot_be_read(table, tmp_path):
    with pytest.raises(FileNotFoundError, match="no file"):
        read_table(tmp_path / "none.npz")
    np.savez(tmp_path / "other.npz", a=np.ones(3))
    (tmp_path / "text.npz").write_text("hello")
    for name in ("other.npz", "text.npz"):
        assert not is_table_npz(tmp_path / name)
        with pytest.raises(ValueError, match="was not written by write_table"):
            read_table(tmp_path / name)
    write_table(table, tmp_path / "t.npz")
    with pytest.raises(ValueError, match="memory_share"):
        read_table(tmp_path / "t.npz", 2.0)
    with zipfile.ZipFile(tmp_path / "t.npz") as whole, zipfile.ZipFile(tmp_path / "half.npz", "w") as half:
        for name in whole.namelist():
            if name != "values/s1.npy":
                half.writestr(name, whole.read(name))
    with pytest.raises(ValueError, match="is damaged"):
        read_table(tmp_path / "half.npz")
    data = bytearray((tmp_path / "t.npz").read_bytes())
    at = data.rindex(table.modality("s1").values.tobytes())
    data[at] ^= 255
    (tmp_path / "flipped.npz").write_bytes(data)
    with pytest.raises(ValueError, match="is damaged"):
        read_table(tmp_path / "flipped.npz")
