"""Mirrors src/geotether/training/recording.py."""

import numpy as np
import pytest
import torch

from geotether.batches.batch import Batch
from geotether.processes import Processes
from geotether.tables.table import Table
from geotether.training import loop
from geotether.training.adaptation import AdaptMethod
from geotether.training.config import load_config
from geotether.training.location import LocationMethod
from geotether.training.optimizer import build_optimizer
from geotether.training.recording import WARM_STEPS, RecordedSteps, Recording, StepInputs, recordable

SMALL = {
    "batch_size": 48,
    "steps": 36,
    "jitter_m": 1000,
    "clip_norm": 0.5,
    "validate_every": None,
    "encoder": {"positional": {"l_max": 3}, "network": {"name": "mlp", "hidden_dim": 16, "dropout": 0.2}},
    "context": {"observations": {"components": 0}},
}
CASES = {
    "melt": {},
    "salt": {"schedule": {"name": "salt", "switch": "step"}},
    "shares that do not divide": {"batch_size": 50, "schedule": {"shares": "proportional"}},
    "all pairs": {"objective": {"reading": "all_pairs", "ignore_km": 100}},
    "sigmoid": {"objective": {"reading": "sigmoid", "chunk_rows": 7}},
    "own parts": {"objective": {"specific_dim": 4, "regression_weight": 1}, "ema_decay": 0.9},
    "parts": {"gradient_parts": 3},
    "bf16": {"precision": "bf16"},
}


def tables() -> dict[str, Table]:
    made = {}
    for number, (name, rows, dim) in enumerate([("land", 400, 8), ("text", 250, 5), ("lights", 300, 3)]):
        rng = np.random.default_rng(number)
        lonlat = np.stack([rng.uniform(-180, 180, rows), np.degrees(np.arcsin(rng.uniform(-1, 1, rows)))], axis=1)
        made[name] = Table.single(name, lonlat, rng.normal(size=(rows, dim)).astype(np.float32))
    return made


def train(device: str, settings: dict) -> tuple[torch.Tensor, list[dict]]:
    """Return all weights, and the metrics of every step without their times."""
    config = load_config(overrides=[SMALL, {**settings, "device": device}], recipe="default")
    trained = loop.train(LocationMethod(config, tables()), progress="none")
    modules = [trained.module, *trained.heads.values(), *trained.decoders.values()]
    weights = torch.cat([weight.detach().cpu().flatten() for one in modules for weight in one.parameters()])
    return weights, [{name: value for name, value in line.items() if name != "seconds"} for line in trained.history]


class Replayed(RecordedSteps):
    """Recorded steps without a GPU: a replay computes from the memory of the recording alone."""

    replays = 0

    def _as_written(self, inputs):
        return self.update(*self.method.losses_of(self.model, inputs))

    def _record(self, inputs):
        kept = inputs.copied()
        scalars, names, numbers = torch.empty(0), [], {}

        class Graph:
            def replay(graph):  # noqa: N805
                Replayed.replays += 1
                values = self._as_written(kept)
                found = [value.detach().float() for value in values.values() if isinstance(value, torch.Tensor)]
                if not len(scalars):
                    scalars.resize_(len(found))
                scalars.copy_(torch.stack(found))
                names[:] = [name for name, value in values.items() if isinstance(value, torch.Tensor)]
                numbers.update({name: value for name, value in values.items() if not isinstance(value, torch.Tensor)})

        return Recording(Graph(), kept, names, scalars, numbers)


@pytest.mark.parametrize("settings", CASES.values(), ids=CASES.keys())
def test_a_step_depends_on_nothing_but_its_inputs_kind_and_seed(settings, monkeypatch):
    """Computed from the memory and the number of another step of its kind, it is the same bit for bit."""
    expected = train("cpu", settings)
    monkeypatch.setattr(loop, "recordable", lambda method, device, processes: method)
    monkeypatch.setattr(loop, "build_optimizer", lambda *arguments: build_optimizer(*arguments[:3]))
    monkeypatch.setattr(loop, "RecordedSteps", Replayed)
    monkeypatch.setattr(Replayed, "replays", 0)
    weights, lines = train("cpu", settings)
    assert torch.equal(weights, expected[0])
    assert lines == expected[1]
    # With and without recall, of three modalities in turn, and of groups of two sizes: all leave replays.
    assert Replayed.replays >= SMALL["steps"] - 12 * WARM_STEPS + 12


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("settings", CASES.values(), ids=CASES.keys())
def test_recorded_steps_equal_steps_as_written(settings, monkeypatch):
    weights, lines = train("cuda", settings)
    monkeypatch.setattr(loop, "recordable", lambda *_: None)
    expected, wanted = train("cuda", settings)
    torch.testing.assert_close(weights, expected, rtol=1e-5, atol=1e-6)
    assert [line.keys() for line in lines] == [line.keys() for line in wanted]
    found = [[line["loss"] for line in part] for part in (lines, wanted)]
    np.testing.assert_allclose(*found, rtol=1e-4)


def test_what_is_not_recorded():
    gpu, several = torch.device("cuda"), Processes(0, 2)
    method = LocationMethod(load_config(overrides=[SMALL], recipe="default"), tables())
    assert recordable(method, gpu, Processes()) is method
    assert recordable(method, torch.device("cpu"), Processes()) is None
    assert recordable(method, gpu, several) is None
    assert recordable(object(), gpu, Processes()) is None
    assert not AdaptMethod.recordable.fget(None)
    large = LocationMethod(load_config(overrides=[{**SMALL, "batch_size": 8193}], recipe="default"), tables())
    assert recordable(large, gpu, Processes()) is None


def test_copied_inputs_share_no_memory_and_kinds_are_shapes_and_names():
    lonlat = torch.zeros(4, 2, dtype=torch.float64)
    batch = Batch(lonlat, {"a": torch.zeros(4, 3)}, {"a": slice(0, 4)})
    inputs = StepInputs(3, batch, lonlat, {"noise": torch.zeros(4, 1)}, measures=False)
    copied = inputs.copied()
    for kept in copied.tensors():
        kept += 1
    assert all(not tensor.any() for tensor in inputs.tensors())
    assert copied.batch.lonlat is not copied.lonlat
    assert copied.kind == inputs.kind
    other = Batch(lonlat, {"b": torch.zeros(4, 3)}, {"b": slice(0, 4)})
    assert StepInputs(3, other, lonlat, {"noise": lonlat}, measures=False).kind != inputs.kind
    assert StepInputs(3, batch, lonlat, {}, measures=False).kind != inputs.kind
    assert StepInputs(3, batch, lonlat, {"noise": lonlat}, measures=True).kind != inputs.kind
