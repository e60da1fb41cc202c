"""Mirrors src/geotether/training/state.py."""

import copy
import json
import os
import signal

import pytest
import torch
from torch import nn

from geotether.training.optimizer import AdamW, build_optimizer
from geotether.training.state import (
    Interruption,
    RunState,
    check_folder,
    finish_state,
    load_state,
    pack_tensors,
    save_state,
    unpack_tensors,
)

IDENTITY = {
    "config": {"seed": 0, "encoder": {"embed_dim": 8}, "save_every": 5},
    "tables": {"text": "a1", "lights": "b2"},
}


def trained(steps: int, recorded: torch.device | None = None) -> tuple[nn.Module, AdamW]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    optimizer = build_optimizer(model, 0.01, 0.1, recorded)
    train(model, optimizer, range(steps))
    return model, optimizer


def train(model: nn.Module, optimizer: AdamW, steps: range) -> None:
    for step in steps:
        optimizer.zero_grad()
        model(torch.full((5, 3), 0.1 * step)).square().sum().backward()
        optimizer.step()


RECORDED = torch.device("cpu")  # the optimiser of recorded steps


@pytest.mark.parametrize("before, after", [(None, None), (RECORDED, RECORDED), (None, RECORDED), (RECORDED, None)])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, before, after):
    straight, _ = trained(7, before)
    model, optimizer = trained(4, before)
    averaged, best = copy.deepcopy(model), {"0.weight": torch.ones(4, 3)}
    save_state(tmp_path, RunState(step=4, best_loss=0.5), pack_tensors(model, optimizer, averaged, best), IDENTITY)

    fresh, optimizer = trained(0, after)
    averaged = copy.deepcopy(fresh)
    state, tensors = load_state(tmp_path, IDENTITY)
    best = unpack_tensors(tensors, fresh, optimizer, averaged)
    assert (state.step, state.best_loss) == (4, 0.5)
    assert torch.equal(best["0.weight"], torch.ones(4, 3))
    assert torch.equal(averaged[0].weight, model[0].weight)
    train(fresh, optimizer, range(4, 7))
    for name, weight in fresh.state_dict().items():
        torch.testing.assert_close(weight, straight.state_dict()[name], rtol=0, atol=0 if before is after else 1e-7)


def test_only_the_newest_state_is_kept(tmp_path):
    for step in (1, 2, 2):
        save_state(tmp_path, RunState(step=step), {"x": torch.full((2,), step)}, IDENTITY)
    assert sorted(path.name for path in (tmp_path / "state").iterdir()) == ["state.json", "step-00000002.safetensors"]
    assert load_state(tmp_path, IDENTITY)[1]["x"].tolist() == [2, 2]


def test_a_crash_while_saving_leaves_the_old_state(tmp_path, monkeypatch):
    save_state(tmp_path, RunState(step=1), {"x": torch.ones(2)}, IDENTITY)

    def full_disk(*arguments, **options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.write_text", full_disk)  # the tensors are written, the pointer is not
        with pytest.raises(OSError, match="disk is full"):
            save_state(tmp_path, RunState(step=2), {"x": torch.zeros(2)}, IDENTITY)
    state, tensors = load_state(tmp_path, IDENTITY)
    assert (state.step, tensors["x"].tolist()) == (1, [1, 1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"config": {"seed": 1, "encoder": {"embed_dim": 8}}}, r"seed: the run had 0, now 1"),
        ({"config": {"seed": 0, "encoder": {"embed_dim": 9}}}, r"encoder\.embed_dim: the run had 8, now 9"),
        ({"tables": {"text": "a2", "lights": "b2"}}, r"table text: it has changed"),
        ({"tables": {"text": "a1"}}, r"table lights: it is missing"),
        ({"tables": {"text": "a1", "lights": "b2", "birds": "c3"}}, r"table birds: it is new"),
        ({"tables": {"lights": "b2", "text": "a1"}}, r"in the order \['text', 'lights'\], now \['lights', 'text'\]"),
    ],
)
def test_another_run_is_an_error_that_names_the_difference(tmp_path, change, message):
    save_state(tmp_path, RunState(step=1), {}, IDENTITY)
    with pytest.raises(ValueError, match=message):
        load_state(tmp_path, {**IDENTITY, **change})


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (None, "deserializing header"),
        ({"format": 99}, "has format 99, this version reads 1"),
        ({"file": "gone.safetensors"}, r"gone\.safetensors"),
        ({"config": 3}, ""),
        ({"tables": None}, ""),
        ({"file": ["x"]}, ""),
        ('{"format": 1, "st', r"state\.json"),
        ("[1]", r"state\.json"),
        ("[" * 100_000, r"state\.json"),
    ],
)
def test_damage_is_named(tmp_path, content, named):
    save_state(tmp_path, RunState(step=1), {"x": torch.ones(100)}, IDENTITY)
    file, pointer = tmp_path / "state" / "step-00000001.safetensors", tmp_path / "state" / "state.json"
    if content is None:
        file.write_bytes(file.read_bytes()[:200])
    elif isinstance(content, str):
        pointer.write_text(content)
    else:
        pointer.write_text(json.dumps({**json.loads(pointer.read_text()), **content}))
    with pytest.raises(ValueError, match=rf"(?s)The state .*state\.json or its file is damaged .*{named}"):
        load_state(tmp_path, IDENTITY)


def test_the_folder_is_checked_before_work_begins(tmp_path):
    check_folder(tmp_path / "new", IDENTITY)
    with pytest.raises(FileNotFoundError, match="no run to resume"):
        check_folder(tmp_path / "new", IDENTITY, resume=True)
    save_state(tmp_path, RunState(), {}, IDENTITY)
    check_folder(tmp_path, IDENTITY, resume=True)
    with pytest.raises(FileExistsError, match=r"--resume.* --fresh"):
        check_folder(tmp_path, IDENTITY)
    check_folder(tmp_path, IDENTITY, fresh=True)
    finish_state(tmp_path, keep=False)
    check_folder(tmp_path, IDENTITY)
    assert list(tmp_path.iterdir()) == []
    finish_state(tmp_path, keep=False)  # nothing to do
    (tmp_path / "model").mkdir()
    check_folder(tmp_path, IDENTITY)
    (tmp_path / "model" / "thesis.docx").touch()
    with pytest.raises(FileExistsError, match="choose another folder"):
        check_folder(tmp_path, IDENTITY)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_request_waits_and_the_second_stops_at_once(default_sigint, number):
    before = signal.getsignal(number)
    with Interruption() as interruption:
        assert not interruption.requested
        os.kill(os.getpid(), number)
        assert interruption.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


def test_an_ignored_signal_stays_ignored(default_sigint):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Interruption() as interruption:
        os.kill(os.getpid(), signal.SIGINT)
        assert not interruption.requested
