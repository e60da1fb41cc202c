"""Mirrors src/geotether/featurizing/cluster.py, and exports on a cluster."""

import os
import pickle
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from geotether.exporting.export import Plan, Work, export
from geotether.featurizing import cluster as room
from geotether.featurizing.build import build_table

TOYS = Path(__file__).parent / "toys"


@pytest.fixture(scope="module")
def cluster(toys, tmp_path_factory):
    """A client of a cluster of two processes for the tests of this file, and the path of its scheduler file."""
    pytest.importorskip("distributed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(TOYS), *sys.path]))
        with room.cluster_client("local", 2) as client:
            file = tmp_path_factory.mktemp("cluster") / "scheduler.json"
            client.write_scheduler_file(str(file))
            yield client, str(file)


def spec(places, **options):
    return {"path": str(places), "source": "toy", "split": None, "tolerance": 1.0, **options}


def contents(out):
    files = (out, out.with_name("t.rejected.parquet"), out.with_name("t.transform.safetensors"))
    return [file.read_bytes() for file in files]


def parts_read(log):
    """The first rows of reads of whole parts."""
    reads = [tuple(map(int, line.split())) for line in log.read_text().splitlines()]
    return [start for start, stop, _ in reads if stop - start >= 100]


def test_a_cluster_writes_the_same_bytes_and_a_worker_that_dies_costs_its_part(
    cluster, places, tmp_path, capsys, monkeypatch
):
    log, fatal = tmp_path / "log", tmp_path / "fatal"
    monkeypatch.chdir(tmp_path)  # workers have another current folder
    here = spec("places.npy", broken=50, ids="pairs", times=True, log=str(log), fatal=str(fatal))
    fatal.touch()
    build_table(here, "one/t.parquet", workers=1, progress="none")
    fatal.unlink()
    log.unlink()
    table = build_table(here, "two/t.parquet", scheduler=cluster[1], progress="lines")
    assert fatal.exists()  # a worker killed itself by SIGKILL in the third part
    assert len(table) == 980
    assert contents(tmp_path / "one" / "t.parquet") == contents(tmp_path / "two" / "t.parquet")
    counts = np.bincount(np.array(parts_read(log)) // 128, minlength=8)
    assert counts[2] == 2
    assert counts.sum() - 1 <= 8 + 1  # at most the part that waited at the worker was read again
    assert "1,000 of 1,000 rows" in capsys.readouterr().err


def test_errors_of_parts_are_those_of_one_process(cluster, places, tmp_path):
    with pytest.raises(ValueError, match="not these rows once each"):
        build_table(spec(places, lies=True), tmp_path / "t.parquet", scheduler=cluster[1], progress="none")


def test_an_export_on_a_cluster_has_the_same_bytes_though_a_worker_is_killed(
    cluster, small_model, tmp_path, monkeypatch
):
    client, file = cluster
    done = export(small_model, tmp_path / "one.tif", "Fiji", 0.02, progress="none")
    killed = []

    def wait_for(part, scheduler):
        if not killed:
            killed.append(min(client.run(os.getpid).values()))
            os.kill(killed[0], signal.SIGKILL)
        return real(part, scheduler)

    real = room._wait_for
    monkeypatch.setattr(room, "_wait_for", wait_for)
    again = export(small_model, tmp_path / "two.tif", "Fiji", 0.02, scheduler=file, progress="none")
    assert killed
    assert again.places == done.places
    assert (tmp_path / "one.tif").read_bytes() == (tmp_path / "two.tif").read_bytes()
    assert not list(tmp_path.glob(".*job*"))


def test_what_is_sent_to_other_processes_makes_the_same_parts(small_model, tmp_path):
    plan = Plan.of(small_model, tmp_path / "t.tif", "Fiji", 0.1, cells=None, dim=None, dtype="float16", layer=None)
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one = Work(plan.parts, plan.embedder, plan._coding(), tmp_path / "one")
    two = pickle.loads(pickle.dumps(replace(one, folder=tmp_path / "two")))
    one.make(0)
    two.make(0)
    assert one.complete == two.complete == [0]
    assert one.part_file(0).read_bytes() == two.part_file(0).read_bytes()


def test_clusters_that_are_not_there(places, tmp_path, monkeypatch):
    monkeypatch.setattr(room, "_START_SECONDS", 1.0)
    began = time.monotonic()
    with pytest.raises(OSError, match=r"no Dask scheduler at tcp://127\.0\.0\.1:9"):
        build_table(spec(places), tmp_path / "t.parquet", scheduler="tcp://127.0.0.1:9", progress="none")
    assert time.monotonic() - began < 20
    with pytest.raises(FileNotFoundError, match=r"no scheduler file nothing\.json"):
        build_table(spec(places), tmp_path / "t.parquet", scheduler="nothing.json", progress="none")
    with pytest.raises(ValueError, match="leave out the number of workers"):
        build_table(spec(places), tmp_path / "t.parquet", scheduler="tcp://127.0.0.1:9", workers=2, progress="none")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError, match=r"pip install 'geotether\[dask\]'"):
        build_table(spec(places), tmp_path / "t.parquet", scheduler="local", progress="none")
