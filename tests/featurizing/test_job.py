"""Mirrors src/geotether/featurizing/job.py and workers.py: real kills at any point, and what comes after."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import geotether
from geotether.featurizing.build import build_table
from geotether.files.disk import writing
from geotether.tables.store import read_table

TOYS = Path(__file__).parent / "toys"
SRC = Path(geotether.__file__).parents[1]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
OPTIONS = {"source": "toy", "broken": 50, "ids": "pairs", "times": True, "encode_time": ["hour"]}
# Runs the command line; where asked, it waits just before something, so that the kill hits that moment.
DRIVER = """
import sys, time
from pathlib import Path
import toy_places
toy_places.register()
from geotether.featurizing import build
before, marker = sys.argv[1:3]
def waiting(function):
    def wait(*arguments, **options):
        if not before.startswith("2nd ") or Path(marker + ".first").exists():
            Path(marker).touch()
            time.sleep(120)
        Path(marker + ".first").touch()
        return function(*arguments, **options)
    return wait
name = before.removeprefix("2nd ")
if name == "rmtree":
    from geotether.files import job_folder as job
    job.shutil = type("shutil", (), {"rmtree": staticmethod(waiting(job.shutil.rmtree))})
elif name != "-":
    owner = build.Work if name == "gather" else build
    setattr(owner, name, waiting(getattr(owner, name)))
sys.argv = ["geotether", *sys.argv[3:]]
from geotether.cli.app import main
main()
"""


def command(places, out, before="-", marker="-", **options):
    given = {**OPTIONS, **options}
    workers = given.pop("workers", 1)
    settings = [f"--set={key}={json.dumps(value)}" for key, value in given.items()]
    return [sys.executable, "-c", DRIVER, before, str(marker), "table", "build", str(places), "--out", str(out),
            f"--workers={workers}", *settings]  # fmt: skip


def run(*arguments, **options):
    return subprocess.run(command(*arguments, **options), env=ENVIRONMENT, capture_output=True, text=True, timeout=120)


def start(*arguments, **options):
    return subprocess.Popen(
        command(*arguments, **options), env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def until(true, process, seconds=60):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came to that"
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)


def files_of(out):
    names = [f"{out.stem}{ending}" for ending in (".parquet", ".rejected.parquet", ".transform.safetensors")]
    return [out.with_name(name).read_bytes() for name in names]


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def job_folder(out):
    return out.with_name(f".{out.stem}.job")


def parts_of(out):
    return sorted((job_folder(out) / "parts").glob("*.arrow"))


def ended(process):
    """Kill the main process, and wait for those it started: all of them hold its pipe for errors open."""
    process.kill()
    process.communicate(timeout=60)


@pytest.fixture(scope="module", autouse=True)
def environment(without_pandas):
    """Of the processes of this file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ENVIRONMENT, "PYTHONPATH", os.pathsep.join(map(str, (without_pandas, SRC, TOYS))))
        yield


@pytest.fixture(scope="module")
def undisturbed(lasting_places, tmp_path_factory):
    """What the job makes when nobody disturbs it, in a folder of its own."""
    out = tmp_path_factory.mktemp("whole") / "t.parquet"
    build_table({**OPTIONS, "path": str(lasting_places)}, out, workers=1, progress="none")
    return files_of(out)


@pytest.mark.parametrize(
    "before",
    ["fit_transform", "gather", "write_table", "replace_path", "2nd replace_path", "2nd rmtree"],
)
def test_a_job_killed_just_before_the_end(lasting_places, undisturbed, tmp_path, caplog, before):
    places, out, marker = lasting_places, tmp_path / "t.parquet", tmp_path / "now"
    process = start(places, out, before, marker)
    until(marker.exists, process)
    ended(process)
    complete = len(parts_of(out))
    assert complete == (0 if before in ("fit_transform", "2nd rmtree") else 8)
    assert (tmp_path / ".t.job.done").exists() == (before == "2nd rmtree")
    caplog.set_level("INFO", "geotether")
    build_table({**OPTIONS, "path": str(places)}, out, workers=1, progress="none")
    assert files_of(out) == undisturbed
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []
    assert ("continuing; 8 of 8 parts are complete" in caplog.text) == (complete == 8)
    assert ("up to date" in caplog.text) == (before == "2nd rmtree")


def test_a_job_killed_between_parts_repeatedly(lasting_places, undisturbed, tmp_path):
    places, out, log, gate = lasting_places, tmp_path / "t.parquet", tmp_path / "reads.log", tmp_path / "gate"
    options = {"log": str(log), "pause": 0.1, "gate": str(gate)}  # the last part waits, however late the kill comes
    kept = {}
    for wanted, workers in ((2, 1), (5, 2)):
        process = start(places, out, workers=workers, **options)
        until(lambda wanted=wanted: len(parts_of(out)) >= wanted, process)
        ended(process)
        now = {file.name: file.stat().st_mtime_ns for file in parts_of(out)}
        assert kept.items() <= now.items()  # a complete part was not made again
        kept = now
    assert 5 <= len(kept) < 8
    last_reads = len(log.read_text().splitlines())
    gate.touch()
    build_table({**OPTIONS, "path": str(places), **options}, out, workers=1, progress="none")
    again = [tuple(map(int, line.split()[:2])) for line in log.read_text().splitlines()[last_reads:]]
    of_parts = [(start, stop) for start, stop in again if stop - start > 1 and (start, stop) != (0, 32)]
    # Neither fit nor complete parts were read again; a part may be read twice while libraries start their threads.
    missing = {number for number in range(8) if f"{number:07d}.arrow" not in kept}
    assert {first // 128 for first, _ in of_parts} == missing
    # The specification in the note names log, pause and gate; everything else is the same.
    assert files_of(out)[1] == undisturbed[1]
    (tmp_path / "u.parquet").write_bytes(undisturbed[0])
    assert read_table(out).content_hash == read_table(tmp_path / "u.parquet").content_hash


def test_no_worker_outlives_the_main_process(lasting_places, tmp_path):
    out, log = tmp_path / "t.parquet", tmp_path / "reads.log"
    process = start(lasting_places, out, log=str(log), pause=100, workers=2)  # no worker comes to an end by itself
    pids = set()

    def both_at_work():
        pids.update(int(line.split()[2]) for line in log.read_text().splitlines()) if log.exists() else None
        return len(pids - {process.pid}) == 2

    until(both_at_work, process)
    ended(process)
    assert not any(is_alive(pid) for pid in pids)


def test_a_worker_that_dies_is_reported_and_the_same_command_continues(lasting_places, tmp_path):
    places, out = lasting_places, tmp_path / "t.parquet"
    options = {"fatal": str(tmp_path / "once"), "workers": 2, "pause": 0.05}
    first = run(places, out, **options)
    assert first.returncode == 1
    assert "A worker process died" in first.stderr
    assert "Run the same command to continue" in first.stderr
    assert "Traceback" not in first.stderr
    del options["workers"]
    build_table({**OPTIONS, **options, "path": str(places)}, out, workers=1, progress="none")
    assert out.exists()


def test_ctrl_c_ends_all_processes_and_says_how_to_continue(lasting_places, tmp_path):
    out = tmp_path / "t.parquet"
    endless = command(lasting_places, out, gate=str(tmp_path / "never"), workers=2)
    process = subprocess.Popen(endless, env=ENVIRONMENT, start_new_session=True,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)  # fmt: skip
    until(lambda: parts_of(out), process)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "run the same command to continue" in errors
    assert "Traceback" not in errors


def test_ctrl_c_while_a_worker_starts_does_not_reach_it(lasting_places, tmp_path):
    """As it begins its imports, each worker gets the signal that the terminal would send it."""
    early = tmp_path / "early"
    early.mkdir()
    (early / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "if 'spawn_main' in ' '.join(sys.orig_argv):\n"
        f"    open({str(tmp_path / 'sent')!r}, 'a').write('x')\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
    )
    path = os.pathsep.join(filter(None, [str(early), ENVIRONMENT.get("PYTHONPATH")]))
    out = tmp_path / "t.parquet"
    process = subprocess.run(command(lasting_places, out, workers=2), env={**ENVIRONMENT, "PYTHONPATH": path},
                             capture_output=True, text=True, timeout=120)  # fmt: skip
    assert (tmp_path / "sent").read_text() == "xx"
    assert process.returncode == 0, process.stderr
    assert "KeyboardInterrupt" not in process.stderr
    assert out.exists()


def build(places, out, **options):
    return build_table({"source": "toy", "path": str(places), **options}, out, workers=1, progress="none")


def unfinished(places, out, monkeypatch, **options):
    """Leave a job with all its parts."""
    from geotether.featurizing import build as room

    with monkeypatch.context() as patch:
        patch.setattr(room.Work, "gather", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            build(places, out, **options)
    assert len(parts_of(out)) == 8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "starts again: the specification has changed."),
        ({"features": {"width": 3}}, "starts again: the specification has changed."),
        ({"data": 1}, "starts again: the data have changed."),
        ({"code": 1}, "starts again: the code that makes the features has changed."),
    ],
)
def test_another_job_starts_again_and_says_why(places, tmp_path, monkeypatch, caplog, change, message):
    from geotether.featurizing import job

    out = tmp_path / "t.parquet"
    unfinished(places, out, monkeypatch)
    (job_folder(out) / "stray").touch()
    if "data" in change:
        np.save(places, np.load(places)[::-1])
    if "code" in change:
        monkeypatch.setattr(job, "code_hash", lambda module: "later code")
    build(places, out, **{key: value for key, value in change.items() if key not in ("data", "code")})
    assert message in caplog.text
    assert not job_folder(out).exists()


@pytest.mark.parametrize("change", [{"tolerance": 0.5}, {"licence": "CC0"}, {"url": "https://example.org"}])
def test_options_that_do_not_affect_the_features_keep_the_parts(places, tmp_path, monkeypatch, caplog, change):
    out = tmp_path / "t.parquet"
    unfinished(places, out, monkeypatch)
    caplog.set_level("INFO", "geotether")
    build(places, out, **change)
    assert "continuing; 8 of 8 parts are complete" in caplog.text


def test_two_processes_never_build_the_same_table(places, tmp_path):
    with writing(tmp_path / "t.parquet"), pytest.raises(BlockingIOError, match=f"process {os.getpid()}"):
        build(places, tmp_path / "t.parquet")
    assert build(places, tmp_path / "t.parquet", ids="rows").id[0] == "row 0"


def test_a_foreign_folder_is_unchanged(places, tmp_path):
    (tmp_path / ".t.job").mkdir()
    (tmp_path / ".t.job" / "thesis.txt").write_text("three years")
    with pytest.raises(ValueError, match="is in the way: it is not a job of geotether"):
        build(places, tmp_path / "t.parquet")
    assert (tmp_path / ".t.job" / "thesis.txt").exists()


def test_a_source_that_cannot_be_pickled_is_reported(places, tmp_path, monkeypatch):
    import toy_places

    class Unpicklable(toy_places.ToySource):
        def __init__(self, path):
            super().__init__(path)
            self.open_file = open(path, "rb")  # noqa: SIM115

        def __del__(self):
            self.open_file.close()

    monkeypatch.setattr(toy_places, "ToySource", Unpicklable)
    with pytest.raises(ValueError, match=r"Unpicklable or its features cannot be sent to other processes .*one worker"):
        build_table({"source": "toy", "path": str(places)}, tmp_path / "t.parquet", workers=2, progress="none")
