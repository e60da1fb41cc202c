"""Mirrors src/geotether/datasets/archive.py."""

import io
import os
import stat
import tarfile
import zipfile

import pytest

from geotether.datasets.archive import unpack, with_header
from geotether.datasets.registry import PlainTable


def make_zip(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def make_tar(path, *infos, mode="w"):
    with tarfile.open(path, mode) as archive:
        for info, content in infos:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def member(name, kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_zip_and_tar_in_all_compressions(tmp_path):
    make_zip(tmp_path / "a.zip", {"maps/": "", "maps/a.txt": "one", "b.txt": "two"})
    unpack(tmp_path / "a.zip", tmp_path / "zip")
    assert names(tmp_path / "zip") == ["b.txt", "maps/a.txt"]
    assert (tmp_path / "zip" / "maps" / "a.txt").read_text() == "one"
    for kind in ("", ":gz", ":bz2", ":xz"):
        make_tar(
            tmp_path / "a.tar", (member("maps", tarfile.DIRTYPE), b""), (member("maps/a"), b"one"), mode=f"w{kind}"
        )
        unpack(tmp_path / "a.tar", tmp_path / f"tar{kind[1:]}")
        assert (tmp_path / f"tar{kind[1:]}" / "maps" / "a").read_bytes() == b"one"


@pytest.mark.parametrize("name", ["../out.txt", "/tmp/out.txt", "maps/../../out.txt", "..\\out.txt", "C:/out.txt"])
def test_names_outside_the_archive(tmp_path, name):
    inside = tmp_path / "deep" / "inside"
    for archive in (
        make_zip(tmp_path / "a.zip", {"good.txt": "one", name: "evil"}),
        make_tar(tmp_path / "a.tar", (member("good.txt"), b"one"), (member(name), b"evil")),
    ):
        with pytest.raises(ValueError, match="would land outside the folder"):
            unpack(archive, inside)
        assert not inside.exists()
    assert not (tmp_path / "out.txt").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_outside_the_archive_and_devices_in_a_tar(tmp_path, kind):
    make_tar(tmp_path / "a.tar", (member("door", kind, link="/etc/passwd"), b""))
    with pytest.raises(ValueError, match="door"):
        unpack(tmp_path / "a.tar", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_link_in_a_zip_becomes_a_plain_file(tmp_path):
    info = zipfile.ZipInfo("door")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    unpack(tmp_path / "a.zip", tmp_path / "out")
    assert not (tmp_path / "out" / "door").is_symlink()
    assert (tmp_path / "out" / "door").read_text() == "/etc/passwd"


def test_damage(tmp_path):
    (tmp_path / "a.zip").write_text("<html>")
    with pytest.raises(ValueError, match="neither a zip nor a tar"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    make_zip(tmp_path / "b.zip", {"a.txt": os.urandom(5000)})
    content = bytearray((tmp_path / "b.zip").read_bytes())
    content[2000] ^= 0xFF
    (tmp_path / "b.zip").write_bytes(content)
    with pytest.raises(ValueError, match=r"b\.zip cannot be unpacked: Bad CRC-32"):
        unpack(tmp_path / "b.zip", tmp_path / "out")
    make_tar(tmp_path / "c.tar", (member("a"), b"x" * 20_000))
    (tmp_path / "c.tar").write_bytes((tmp_path / "c.tar").read_bytes()[:5000])
    with pytest.raises(ValueError, match=r"c\.tar cannot be unpacked"):
        unpack(tmp_path / "c.tar", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_archive_larger_than_the_disk_is_refused_before_unpacking(tmp_path, monkeypatch):
    import shutil

    make_zip(tmp_path / "a.zip", {"a.txt": b"0" * 100_000})
    monkeypatch.setattr(shutil, "disk_usage", lambda path: type("Usage", (), {"free": 50_000}))
    with pytest.raises(OSError, match="contains 100,000 bytes, but only 50,000 are free"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


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
