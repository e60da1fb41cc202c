"""Mirrors src/geotether/processes.py: real processes train together as one does alone."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection
from contextlib import nullcontext
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
import torch
import torch.distributed as dist

import geotether
from geotether.processes import Processes, Split, joined
from geotether.tables.store import write_table
from geotether.tables.table import Table
from geotether.training.config import load_config
from geotether.training.location import LocationMethod
from geotether.training.loop import train
from geotether.training.pretraining import PAIRED_METHODS, pretrain

SOURCE = Path(geotether.__file__).parents[1]

SMALL = [
    "batch_size=50",  # neither 2 nor 3 processes, nor 3 modalities, divide it
    "steps=20",
    "warmup_steps=3",
    "learning_rate=1e-2",
    "jitter_m=1000",
    "clip_norm=1.0",
    "encoder.positional.l_max=3",
    "encoder.network.hidden_dim=16",
    "encoder.network.dropout=0.2",
    "encoder.embed_dim=8",
    "encoder.readout=output",
    "context.observations.components=0",
    "objective.regression_components=3",
    "heads={hidden_dim: 8, dropout: 0.2}",
    "validate_every=null",
    "device=cpu",
]
CASES = {
    "melt": [],
    "all pairs": ["objective.reading=all_pairs", "objective.ignore_km=500"],
    "to modality": ["objective.reading=location_to_modality", "objective.specific_dim=4"],
    "blocked": ["objective.chunk_rows=4", "objective.ignore_km=500"],
    "sigmoid": ["objective.reading=sigmoid", "objective.ignore_km=500"],
    "salt": ["schedule={name: salt, switch: step}", "ema_decay=0.9"],
    "pairwise": ["schedule={name: pairwise, modality: text}"],
    "parts": ["gradient_parts=4"],
}


PAIRED = {
    "mdico": [],
    "mosaic": ["ties.location=1", "location={positional: {l_max: 3}, network: {hidden_dim: 8}, readout: output}",
               "ties.specific_dim=4", "ties.discrimination=1"],
    "distilled": ["modality=radar", "augment=true"],
}  # fmt: skip
OF_THREE = ("melt", "to modality", "sigmoid", "mdico")  # three processes take longer
PAIRS = [(name, 2) for name in (*CASES, *PAIRED)] + [(name, 3) for name in OF_THREE]


def make_tables() -> dict[str, Table]:
    tables = {}
    for number, (name, rows, dim) in enumerate([("satellite", 90, 8), ("text", 60, 5), ("lights", 70, 3)]):
        rng = np.random.default_rng(number)
        lonlat = np.stack([rng.uniform(-180, 180, rows), rng.uniform(-80, 80, rows)], axis=1)
        places = np.cos(np.radians(lonlat) @ rng.normal(size=(2, dim)))
        tables[name] = Table.single(name, lonlat, (places + 0.1 * rng.normal(size=places.shape)).astype(np.float32))
    return tables


def weights_alone(self, model, state):
    """Finish a run without fitting a readout, which takes longer than these runs."""
    return SimpleNamespace(weights={name: value.numpy() for name, value in model.state_dict().items()})


def run_all(names: Collection[str], fields: Table, small_pairing: list[str]) -> dict[str, dict[str, np.ndarray]]:
    """Train every case, and return its losses and final weights."""
    tables, methods = make_tables(), {}
    for name, overrides in ((name, CASES[name]) for name in names if name in CASES):
        methods[name] = LocationMethod(load_config(overrides=[*SMALL, *overrides]), tables)
    for name, overrides in ((name, PAIRED[name]) for name in names if name in PAIRED):
        common = [*small_pairing, "target=crop", "validate_every=null", "keep=last", "patience=null", "steps=20"]
        config = load_config(overrides=[*common, "batch_size=25", *overrides], recipe=name)
        methods[name] = PAIRED_METHODS[config.method](config, fields)
    found = {}
    for name, method in methods.items():
        with mock.patch.object(type(method), "finish", weights_alone) if name != "distilled" else nullcontext():
            trained = train(method, progress="none")
        weights = getattr(trained, "weights", None) or {k: v.numpy() for k, v in trained.module.state_dict().items()}
        found[name] = {"loss": np.array([line["loss"] for line in trained.history]), **weights}
    return found


def work(rank: int, count: int, folder: str, *data) -> None:
    """Be one of several processes: train all cases, and keep the results of the first and of the last process."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet-{count}", rank=rank, world_size=count)
    with joined() as processes:
        assert (processes.rank, processes.count) == (rank, count)
        for name, found in run_all(OF_THREE if count == 3 else [*CASES, *PAIRED], *data).items():
            if rank in (0, count - 1):
                np.savez(f"{folder}/{name}-{count}-{'first' if rank == 0 else 'last'}.npz", **found)
        if rank:
            with pytest.raises(ValueError, match="The seed differs between process 1 and process"):
                processes.check_agreement("The seed", rank)
        else:
            processes.check_agreement("The seed", rank)
        with pytest.raises(ZeroDivisionError) as error:
            processes.from_first(lambda: 1 // 0)
        assert (rank > 0) == hasattr(error.value, "__notes__")
        assert processes.in_turn(lambda: rank) == rank
        assert processes.from_first(lambda: rank) == 0
        assert processes.any_of(lambda: rank == 1)()
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def results(tmp_path_factory, make_fields, small_pairing) -> dict[str, dict[str, np.ndarray]]:
    """Train every case with one process, with two and with three."""
    folder = tmp_path_factory.mktemp("processes")
    context = get_context("forkserver")
    # The second is what every optimiser imports.
    context.set_forkserver_preload(["geotether.training.pretraining", "torch._dynamo"])
    data = (make_fields(), small_pairing)
    started = [
        context.Process(target=work, args=(rank, count, str(folder), *data))
        for count in (2, 3)
        for rank in range(count)
    ]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for process in started:
        process.start()
    found = run_all([*CASES, *PAIRED], *data)
    torch.set_num_threads(threads)
    for process in started:
        process.join(120)
        assert process.exitcode == 0
    for path in folder.glob("*.npz"):
        found[path.stem] = dict(np.load(path))
    return found


@pytest.mark.parametrize(("name", "count"), PAIRS)
def test_several_processes_train_as_one_does(results, name, count):
    one, first, last = (results[key] for key in (name, f"{name}-{count}-first", f"{name}-{count}-last"))
    if name == "distilled":  # from a teacher whose statistics depend on rounding, see below
        np.testing.assert_allclose(first["loss"], one["loss"], rtol=1e-3)
        return
    np.testing.assert_allclose(first["loss"], one["loss"], rtol=1e-5)
    for key, weight in one.items():
        np.testing.assert_array_equal(first[key], last[key])
        # Gradients of biases before a normalisation are rounding errors, which Adam scales up.
        if name not in PAIRED or not key.endswith(("bias", "running_mean")):
            np.testing.assert_allclose(first[key], weight, rtol=0, atol=1e-5 * max(np.abs(weight).max(initial=0), 1e-9))


def test_parts_of_a_batch_give_what_the_whole_batch_gives(results):
    for key, weight in results["melt"].items():
        np.testing.assert_allclose(results["parts"][key], weight, rtol=0, atol=1e-5 * np.abs(weight).max(initial=0))


def test_a_group_needs_a_row_for_each_process():
    with pytest.raises(ValueError, match="text has 2 rows in a batch, but there are 3 processes"):
        Split(Processes(0, 3), {"text": slice(0, 2)}, "cpu")


def test_shares_and_parts_contain_every_row_once():
    groups = {"text": slice(0, 7), "image": slice(7, 18)}
    rows, batch = [], torch.arange(18)
    for rank in range(3):
        split = Split(Processes(rank, 3), groups, "cpu")
        for part in split.parts(4):
            own = torch.cat([batch[group][part.in_group[name]] for name, group in groups.items()])
            assert own.tolist() == batch[part.rows].tolist() == split.own[part.local].tolist()
            rows += own.tolist()
        parts = [split.own[part.local][:, None].double() for part in split.parts(4)]
        assert split.joined(parts)[:, 0].tolist() == split.own.tolist()
    assert sorted(rows) == batch.tolist()


RUN = """
recipe: paper
tables: {satellite: satellite.parquet, text: text.parquet}
batch_size: 31
steps: 60
save_every: 1000
validate_every: null
jitter_m: 1000
device: cpu
encoder: {positional: {l_max: 3}, network: {hidden_dim: 16, dropout: 0.2}, embed_dim: 8}
"""


def test_a_killed_process_ends_the_others_and_the_run_goes_on_with_one(tmp_path):
    for name in ("satellite", "text"):
        write_table(make_tables()[name], tmp_path / f"{name}.parquet")
    (tmp_path / "run.yaml").write_text(RUN)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = ["-m", "geotether", "pretrain", "run.yaml", "--out", "cut"]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"}
    started = subprocess.Popen(
        [*torchrun, *command], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    metrics = tmp_path / "cut" / "metrics.jsonl"
    while not metrics.is_file() or metrics.read_bytes().count(b"\n") < 10:
        assert started.poll() is None, started.communicate()[1]
        time.sleep(0.01)
    os.kill(process_of(started.pid, rank=1), signal.SIGKILL)
    said = started.communicate(timeout=20)[1]
    assert started.returncode == 1
    assert "geotether: Another of the 2 processes of this run has ended" in said
    assert "The state is saved in cut: run the same command with --resume" in said
    saved = json.loads((tmp_path / "cut" / "state" / "state.json").read_text())
    assert 10 <= saved["step"] < 60

    config = load_config(tmp_path / "run.yaml")
    found = pretrain(config=config, out=tmp_path / "cut", resume=True, progress="none")
    expected = pretrain(config=config, progress="none")
    assert [line["step"] for line in found.history] == list(range(60))
    for key, weight in expected.module.state_dict().items():
        torch.testing.assert_close(found.module.state_dict()[key], weight, rtol=0, atol=1e-3 * weight.abs().max())


def process_of(torchrun: int, rank: int) -> int:
    """Return the process with a rank among those that torchrun started."""
    for child in Path(f"/proc/{torchrun}/task/{torchrun}/children").read_text().split():
        if f"RANK={rank}\0" in Path(f"/proc/{child}/environ").read_text().replace("LOCAL_RANK", ""):
            return int(child)
    raise AssertionError(f"torchrun has no process of rank {rank}")
