"""Mirrors src/geotether/datasets/checksums.py, headers.py and partial.py."""

import subprocess

import pytest

from geotether.datasets.checksums import Checksums
from geotether.datasets.headers import with_header
from geotether.datasets.partial import Partial, Version
from geotether.datasets.registry import PlainTable

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_what_is_recorded_is_read_again_and_sha256sum_agrees(tmp_path):
    sums = Checksums(tmp_path)
    (tmp_path / "maps").mkdir()
    for name in ("a file.csv", "maps/b.csv"):
        (tmp_path / name).touch()
        sums.record(name, EMPTY)
    assert Checksums(tmp_path).get("maps/b.csv") == EMPTY
    assert Checksums(tmp_path).get("c") is None
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    sums.record("a file.csv", "0" * 64)
    sums.record("a file.csv", "0" * 64)
    assert Checksums(tmp_path).get("a file.csv") == "0" * 64
    assert len((tmp_path / "SHA256SUMS").read_text().splitlines()) == 2
    (tmp_path / "SHA256SUMS").write_text("what a user wrote\n")
    assert Checksums(tmp_path).get("a file.csv") is None


def test_headers_for_every_dialect(tmp_path):
    (tmp_path / "t.csv").write_bytes(b'1,"a, b",\\N\r\n2,"c ""d""",x\r\n')
    table = PlainTable(**{"from": "t.csv", "to": "out.csv", "columns": ("id", "name", "code"), "missing": r"\N"})
    assert with_header(table, tmp_path).read_text() == 'id,name,code\n1,"a, b",\n2,"c ""d""",x\n'
    (tmp_path / "t.csv").write_bytes(b"1,a,b\n2,c\n")
    with pytest.raises(ValueError, match="line 2 has 2 values, but there are 3 columns"):
        with_header(table, tmp_path)
    (tmp_path / "t.csv").write_bytes(b"1,Z\xfcrich,b\n")
    with pytest.raises(ValueError, match=r"is not as expected: .*utf-8"):
        with_header(table, tmp_path)
    (tmp_path / "t.csv").unlink()
    with pytest.raises(FileNotFoundError, match="There is no table"):
        with_header(table, tmp_path)
    assert (tmp_path / "out.csv").read_text().startswith("id,name,code\n1"), "an older one stays"


def test_a_partial_file_knows_what_it_is_part_of(tmp_path):
    part = Partial(tmp_path / "a.tif")
    assert (len(part), part.version) == (0, None)
    part.restart(Version("http://a.org/a.tif", etag='"one"', total=9))
    part.path.write_bytes(b"1234")
    again = Partial(tmp_path / "a.tif")
    assert (len(again), again.version) == (4, Version("http://a.org/a.tif", '"one"', "", 9))
    (tmp_path / "a.tif.part.json").write_text("{")
    assert again.version is None
    again.become(tmp_path / "a.tif")
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


def test_versions():
    strong, weak = Version("a", etag='"1"'), Version("a", etag='W/"1"', modified="Monday")
    assert (strong.validator, weak.validator, Version("a").validator) == ('"1"', "Monday", "")
    assert not strong.differs_from(Version("a"))
    assert strong.differs_from(Version("a", etag='"2"'))
    assert Version("a", total=3).differs_from(Version("a", etag='"2"', total=4))
