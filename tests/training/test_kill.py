"""A real child process, a real `kill -9`, and the same bits afterwards."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

import geotether.training
from geotether.training.config import load_config
from geotether.training.pretraining import pretrain

SOURCE = Path(geotether.training.__file__).parents[2]

CHILD = """
import signal, sys
import numpy as np, torch
from geotether.tables.table import Table
from geotether.training.config import load_config
from geotether.training.state import RunInterrupted
from geotether.training.pretraining import pretrain

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs start with it ignored
torch.set_num_threads(1)
folder, out, resume = sys.argv[1], sys.argv[2], sys.argv[3] == "resume"
tables = {}
for name in ("satellite", "text"):
    data = np.load(f"{folder}/{name}.npz")
    tables[name] = Table.single(name, data["lonlat"], data["features"], split=data["split"])
try:
    pretrain(tables, config=f"{folder}/run.yaml", out=out, resume=resume, progress="none")
except RunInterrupted as stopped:
    sys.stderr.write(str(stopped))
    sys.exit(130)
"""

RUN = """
steps: 150
batch_size: 64
save_every: 7
validate_every: 10
jitter_m: 1000
ema_decay: 0.9
keep: best
device: cpu
schedule: {name: salt, switch: step}
encoder: {positional: {l_max: 4}, network: {hidden_dim: 32, dropout: 0.2}, embed_dim: 16}
"""


@pytest.fixture
def folder(tmp_path, planet):
    for name in ("satellite", "text"):
        table = planet[name]
        np.savez(tmp_path / f"{name}.npz", lonlat=table.lonlat, features=table.features, split=table.split)
    (tmp_path / "run.yaml").write_text(RUN)
    return tmp_path


def start(folder: Path, out: str, mode: str = "new") -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-c", CHILD, str(folder), str(folder / out), mode]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def stop_after(child: subprocess.Popen, out: Path, lines: int, number: int) -> str:
    """Wait until so many lines are logged, send the signal, and return what the child said."""
    wait_for(child, out, lines)
    child.send_signal(number)
    return child.communicate(timeout=120)[1]


def wait_for(child: subprocess.Popen, out: Path, lines: int) -> None:
    deadline = time.monotonic() + 120
    metrics = out / "metrics.jsonl"
    while not metrics.is_file() or metrics.read_bytes().count(b"\n") < lines:
        assert child.poll() is None, child.communicate()[1]
        assert time.monotonic() < deadline, "the child logged nothing"
        time.sleep(0.002)


def finish(child: subprocess.Popen) -> None:
    said = child.communicate(timeout=240)[1]
    assert child.returncode == 0, said


def test_a_killed_and_resumed_run_equals_an_uninterrupted_one(folder, planet):
    cut = start(folder, "cut")
    config, tables = load_config(folder / "run.yaml"), {name: planet[name] for name in ("satellite", "text")}
    wait_for(cut, folder / "cut", 5)
    for options in ({}, {"resume": True}, {"fresh": True}):
        with pytest.raises(BlockingIOError, match=rf"Another process writes .*cut: .*{cut.pid} on "):
            pretrain(tables, config=config, out=folder / "cut", progress="none", **options)
    stop_after(cut, folder / "cut", 20, signal.SIGKILL)
    assert cut.returncode == -signal.SIGKILL
    assert not (folder / "cut" / "model").exists()
    for debris in ("", "model", "state"):  # as a kill at other moments leaves it
        part = folder / "cut" / debris / f".model.{cut.pid}-0a1b2c3d.part"
        part.mkdir(parents=True)
        (part / "model.safetensors").write_bytes(b"half")
    (folder / "cut" / f".metrics.jsonl.{cut.pid}-0a1b2c3d.part").touch()

    again = start(folder, "cut", "resume")
    said = stop_after(again, folder / "cut", 60, signal.SIGINT)
    assert again.returncode == 130, said
    assert "run the same command with --resume" in said

    finish(start(folder, "cut", "resume"))
    assert not [path for path in folder.rglob("*") if path.name.startswith(".")]
    pretrain(tables, config=config, out=folder / "whole", progress="none")
    want, got = (load_file(folder / name / "model" / "model.safetensors") for name in ("whole", "cut"))
    assert want.keys() == got.keys()
    for name, tensor in want.items():
        assert tensor.numpy().tobytes() == got[name].numpy().tobytes(), name
