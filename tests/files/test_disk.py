"""Mirrors src/geotether/files/disk.py."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from geotether.files.disk import check_output, replacing_file, replacing_folder, writing

SRC = Path(__file__).parents[2] / "src"


def write_half(replacing, target, error):
    with replacing(target) as part:
        (part / "a" if part.is_dir() else part).write_text("half")
        raise error


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_replaces_the_old_one(tmp_path):
    target = tmp_path / "new" / "deep" / "note.txt"
    for text in ("one", "two"):
        with replacing_file(target) as part:
            part.write_text(text)
    assert target.read_text() == "two"
    assert names(target.parent) == ["note.txt"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, error):
    target = tmp_path / "note.txt"
    target.write_text("old")
    with pytest.raises(error):
        write_half(replacing_file, target, error)
    assert target.read_text() == "old"
    assert names(tmp_path) == ["note.txt"]


def test_a_failure_removes_the_folders_it_made(tmp_path):
    with pytest.raises(RuntimeError), replacing_file(tmp_path / "a" / "b" / "note.txt"):
        raise RuntimeError
    assert names(tmp_path) == []


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("real.txt")
    with replacing_file(tmp_path / "link.txt") as part:
        part.write_text("new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_device_is_named_and_stays_a_device():
    with (
        pytest.raises(OSError, match=r"/dev/full: the disk is full.*Free some space"),
        replacing_file("/dev/full") as part,
        part.open("wb") as file,
    ):
        file.write(b"x" * 100_000)
    assert not Path("/dev/full").is_file()


@pytest.mark.parametrize("replacing", [replacing_file, replacing_folder])
def test_a_path_through_a_file_is_named(tmp_path, replacing):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError, match=r"a part of this path is a file"), replacing(tmp_path / "file" / "out"):
        pass
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("replacing", [replacing_file, replacing_folder])
def test_a_read_only_disk_is_an_error_that_names_it(tmp_path, monkeypatch, replacing):
    """Even clearing up is refused there, which must not hide the reason."""

    def refuse(*_, **__):
        raise OSError(30, "Read-only file system")

    for name in ("open", "mkdir", "unlink", "rmdir", "rename"):
        monkeypatch.setattr(Path, name, refuse)
    with pytest.raises(OSError, match=r"cannot be written to. Choose another folder"):
        write_half(replacing, tmp_path / "out", RuntimeError)


def test_a_read_only_folder_is_named(tmp_path, monkeypatch):
    target = tmp_path / "note.txt"
    target.write_text("old")

    def refuse(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match=r"cannot be written to. Choose another folder"), replacing_file(target) as part:
        part.write_text("new")
    assert target.read_text() == "old"
    assert names(tmp_path) == ["note.txt"]


def test_a_folder_is_not_a_file(tmp_path):
    with pytest.raises(IsADirectoryError, match="Give the name of a file"), replacing_file(tmp_path):
        pass


def test_a_folder_replaces_the_old_one_and_keeps_other_files(tmp_path):
    target = tmp_path / "model"
    target.mkdir()
    (target / "a").write_text("old")
    (target / "mine").write_text("mine")
    (target / "sub").mkdir()
    with replacing_folder(target) as part:
        (part / "a").write_text("new")
    assert {path.name: path.read_text() for path in target.iterdir() if path.is_file()} == {"a": "new", "mine": "mine"}
    assert names(target) == ["a", "mine", "sub"]
    assert names(tmp_path) == ["model"]


@pytest.mark.parametrize("existing", [True, False])
def test_a_failure_leaves_the_old_folder(tmp_path, existing):
    target = tmp_path / "model"
    if existing:
        target.mkdir()
        (target / "a").write_text("old")
    with pytest.raises(RuntimeError):
        write_half(replacing_folder, target, RuntimeError)
    assert names(tmp_path) == (["model"] if existing else [])
    assert not existing or (target / "a").read_text() == "old"


def test_a_failed_exchange_puts_the_old_folder_back(tmp_path, monkeypatch):
    target = tmp_path / "model"
    target.mkdir()
    (target / "a").write_text("old")
    rename = Path.rename

    def fail_on_the_new(self, to):
        if self.name.endswith(".part"):
            raise OSError(28, "No space left on device")
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", fail_on_the_new)
    with pytest.raises(OSError, match="the disk is full"), replacing_folder(target) as part:
        (part / "a").write_text("new")
    assert (target / "a").read_text() == "old"
    assert names(tmp_path) == ["model"]


@pytest.mark.parametrize("link", [None, os.symlink, os.link])
def test_an_output_that_is_an_input_is_refused(tmp_path, link):
    given, out = tmp_path / "in.csv", tmp_path / "out.csv"
    given.write_text("lon,lat")
    if link:
        link(given, out)
    with pytest.raises(FileExistsError, match=r"in\.csv"), writing(out if link else given, inputs=["no.csv", given]):
        pass
    assert given.read_text() == "lon,lat"


def test_a_folder_reached_through_a_link_is_the_same_input(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "link").symlink_to("model")
    with pytest.raises(FileExistsError, match="link"):
        check_output(tmp_path / "link", folder=True, inputs=[tmp_path / "model"])


@pytest.mark.parametrize(
    ("name", "folder", "error"),
    [
        ("file", True, NotADirectoryError),
        ("folder", False, IsADirectoryError),
        ("file/new", True, NotADirectoryError),
        ("file/deep/new.csv", False, NotADirectoryError),
    ],
)
def test_an_output_of_the_wrong_kind_is_refused(tmp_path, name, folder, error):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    with pytest.raises(error, match="file"), writing(tmp_path / name, folder=folder):
        pass
    assert names(tmp_path) == ["file", "folder"]


HOLD = """
import sys
from geotether.files.disk import writing
with writing(sys.argv[1], folder=True):
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_another_process_is_named_and_its_end_frees_the_output(tmp_path):
    out = tmp_path / "new" / "run"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(out)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        with pytest.raises(BlockingIOError, match=f"process {other.pid} on"), writing(out, folder=True):
            pass
        with writing(out.parent / "another", folder=True):
            pass
        # What belongs to a locked output within an owned folder is not debris.
        part = out.parent / ".run.1-00000000.part"
        part.touch()
        with writing(tmp_path / "new", folder=True):
            assert part.exists()
        other.kill()
    assert names(out.parent) == [part.name, ".run.lock"]
    with writing(out, folder=True):
        pass
    assert names(out.parent) == []


def test_debris_of_killed_processes_is_swept(tmp_path):
    out = tmp_path / "run"
    for name in (
        "run/.model.7-0a1b2c3d.part/weights",
        "run/state/.x.part",
        "run/state/.step-9.1-00000000.part",
        "mine",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("half")
    for name in (".run.7-0a1b2c3d.old", ".run.x.7-0a1b2c3d.part", "run/.state.lock"):
        (tmp_path / name).touch()
    with writing(out, folder=True):
        pass
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == [
        ".run.x.7-0a1b2c3d.part",
        "mine",
        "run",
        "run/state",
        "run/state/.x.part",
    ]


@pytest.mark.parametrize("new", [True, False])
def test_an_interrupted_exchange_of_folders_is_completed(tmp_path, new):
    for kind in ("old", "part")[: 1 + new]:
        (tmp_path / f".model.7-0a1b2c3d.{kind}").mkdir()
        (tmp_path / f".model.7-0a1b2c3d.{kind}" / kind).touch()
    with writing(tmp_path / "model", folder=True):
        pass
    assert names(tmp_path) == ["model"]
    assert names(tmp_path / "model") == ["part" if new else "old"]
