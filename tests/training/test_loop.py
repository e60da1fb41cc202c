"""Mirrors src/geotether/training/loop.py."""

import json
import signal
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from geotether.checkpoint.model import load_model
from geotether.encoder import Encoder
from geotether.settings import flatten
from geotether.training import loop
from geotether.training.config import load_config
from geotether.training.location import LocationMethod
from geotether.training.loop import choose_device
from geotether.training.metrics import read_metrics
from geotether.training.pretraining import pretrain
from geotether.training.state import FinishedRunError, RunInterrupted

SCHEDULES = {
    "melt": [],
    "salt by epoch": ["schedule.name=salt"],
    "salt by step": ["schedule.name=salt", "schedule.switch=step"],
    "pairwise": ["schedule.name=pairwise", "schedule.modality=text"],
    "proportional": ["schedule.shares=proportional"],
    "modality to location": ["objective.reading=modality_to_location"],
    "location to modality": ["objective.reading=location_to_modality"],
    "all pairs": ["objective.reading=all_pairs", "objective.ignore_km=100"],
    "sigmoid": ["objective.reading=sigmoid"],
    "bf16": ["precision=bf16"],
    "all options": ["ema_decay=0.9", "keep=best", "encoder.network.dropout=0.2", "heads.hidden_dim=8", "clip_norm=0.5"],
}


def weights_of(encoder: Encoder) -> dict[str, torch.Tensor]:
    modules = {"location": encoder.module, **{f"heads.{name}": head for name, head in encoder.heads.items()}}
    return {f"{part}.{name}": t.clone() for part, one in modules.items() for name, t in one.state_dict().items()}


def assert_equal_bits(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


@pytest.mark.parametrize("overrides", SCHEDULES.values(), ids=SCHEDULES.keys())
def test_held_out_loss_falls(planet, small, tmp_path, overrides):
    config = small("objective.regression_weight=0", *overrides, "jitter_m=1000")  # the contrast by itself
    pretrain(planet, config=config, out=tmp_path, progress="none")
    lines = read_metrics(tmp_path)
    training = [line for line in lines if "loss" in line]
    held_out = [line for line in lines if "validation/loss" in line]
    assert [line["step"] for line in training] == list(range(30))
    assert [line["step"] for line in held_out] == [9, 19, 29]
    modalities = ["text"] if config.schedule.name == "pairwise" else list(planet)
    for modality in modalities:
        of_modality = [line[f"loss/{modality}"] for line in training if f"loss/{modality}" in line]
        assert np.mean(of_modality[-3:]) < np.mean(of_modality[:2])
        chance = held_out[-1][f"validation/chance/{modality}"]
        assert held_out[-1][f"validation/loss/{modality}"] < 0.9 * chance
        assert held_out[-1][f"validation/recall@10/{modality}"] > 2 * 10 / 80


def test_the_same_seed_gives_the_same_bits(planet, small):
    config = small("steps=4", "jitter_m=500", "encoder.network.dropout=0.3")
    torch.manual_seed(1)
    first = weights_of(pretrain(planet, config=config, progress="none"))
    torch.manual_seed(2)
    before = torch.get_rng_state()
    assert_equal_bits(first, weights_of(pretrain(planet, config=config, progress="none")))
    assert torch.equal(torch.get_rng_state(), before)  # the caller's stream is as it was
    other = weights_of(pretrain(planet, config=small("steps=4", "jitter_m=500", "seed=1"), progress="none"))
    assert not torch.equal(first["heads.text.projection.1.weight"], other["heads.text.projection.1.weight"])


def test_the_folder_explains_itself(planet, small, tmp_path):
    config = small("steps=3", "encoder.readout=hidden_and_output")
    model = pretrain(planet, config=config, out=tmp_path, progress="none", card_notes="Made for a test.")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml", "metrics.jsonl", "model", "state"]
    assert not model.module.training
    loaded = load_model(tmp_path / "model")
    settings, provenance = loaded.config, loaded.provenance
    assert_equal_bits(weights_of(Encoder.load(tmp_path / "model")), weights_of(model))
    assert model.history == read_metrics(tmp_path)
    assert flatten(settings)["encoder.positional.l_max"] == 4
    assert provenance["steps"] == 3
    assert provenance["tables"]["text"]["sha256"] == planet["text"].content_hash
    assert "Made for a test." in (tmp_path / "model" / "README.md").read_text()


def test_rows_for_testing_are_never_touched(planet, small):
    """Whatever stands in test rows, the model is the same."""
    config = small("steps=3")
    spoilt = {}
    for name, table in planet.items():
        features = table.features.copy()
        features[table.split == "test"] = 1e6
        spoilt[name] = type(table).single(name, table.lonlat, features, split=table.split)
    one, other = (weights_of(pretrain(tables, config=config, progress="none")) for tables in (planet, spoilt))
    assert_equal_bits(one, other)


def test_the_best_weights_are_kept_and_a_stale_run_stops(planet, small, tmp_path):
    """A rate so high that the first validation stays the best."""
    overrides = ["validate_every=1", "learning_rate=0.9", "warmup_steps=0", "final_share=1", "keep=best", "patience=3"]
    model = pretrain(planet, config=small(*overrides), out=tmp_path, progress="none")
    held_out = [line for line in read_metrics(tmp_path) if "validation/loss" in line]
    losses = [line["validation/loss"] for line in held_out]
    best = int(np.argmin(losses))
    assert len(losses) == best + 1 + 3 < 30
    provenance = json.loads((tmp_path / "model" / "provenance.json").read_text())
    assert (provenance["best_step"], provenance["stopped_early"]) == (best + 1, True)
    until_best = pretrain(planet, config=small(*overrides[:4], f"steps={best + 1}"), progress="none")
    assert_equal_bits(weights_of(model), weights_of(until_best))


class Interrupting:
    def on_step(self, step, values):
        if step == 6:
            signal.raise_signal(signal.SIGINT)


def test_ctrl_c_saves_the_state_and_the_resumed_run_is_identical(planet, small, tmp_path, default_sigint):
    config = small("steps=12", "ema_decay=0.9", "keep=best", "validate_every=2", "jitter_m=500", "save_every=null")
    whole = pretrain(planet, config=config, out=tmp_path / "whole", progress="none")
    cut: dict = {"out": tmp_path / "cut", "progress": "none"}
    with pytest.raises(RunInterrupted, match=r"Stopped after step 7 of 12.*--resume"):
        pretrain(planet, config=config, callbacks=[Interrupting()], **cut)
    with pytest.raises(FileExistsError, match="--resume"):
        pretrain(planet, config=config, **cut)
    with pytest.raises(ValueError, match="seed: the run had 0, now 3"):
        pretrain(planet, config=config.model_copy(update={"seed": 3}), resume=True, **cut)
    shifted = {**planet, "text": planet["text"].rows(np.arange(1, 250))}
    with pytest.raises(ValueError, match="table text: it has changed"):
        pretrain(shifted, config=config, resume=True, **cut)
    resumed = pretrain(planet, config=config, resume=True, **cut)
    assert_equal_bits(weights_of(whole), weights_of(resumed))
    assert [{**line, "seconds": 0} for line in whole.history] == [{**line, "seconds": 0} for line in resumed.history]
    assert resumed.history == read_metrics(tmp_path / "cut")
    with pytest.raises(FinishedRunError, match="is finished"):
        pretrain(planet, config=config, resume=True, **cut)


def test_a_finished_run_is_replaced_only_if_asked_for(planet, small, tmp_path):
    config, weights = small("steps=2", "save_every=null"), tmp_path / "model" / "model.safetensors"
    pretrain(planet, config=config, out=tmp_path, progress="none")
    before = weights.read_bytes()
    same = config.model_copy(update={"save_every": 1, "recipe": "other"})  # these decide no number
    with pytest.raises(FinishedRunError, match="--fresh"):
        pretrain(planet, config=same, out=tmp_path, progress="none")
    longer = config.model_copy(update={"steps": 3})
    with pytest.raises(FileExistsError, match=r"(?s)--resume.*--fresh.*\n  steps: the run had 2, now 3$") as refused:
        pretrain(planet, config=longer, out=tmp_path, progress="none")
    assert not isinstance(refused.value, FinishedRunError)
    shorter = {**planet, "text": planet["text"].rows(np.arange(1, 250))}
    with pytest.raises(FileExistsError, match="table text: it has changed"):
        pretrain(shorter, config=config, out=tmp_path, progress="none")
    with pytest.raises(ValueError, match="give one of them"):
        pretrain(planet, config=longer, out=tmp_path, resume=True, fresh=True, progress="none")
    assert weights.read_bytes() == before
    pretrain(planet, config=longer, out=tmp_path, fresh=True, progress="none")
    assert json.loads((tmp_path / "model" / "provenance.json").read_text())["steps"] == 3
    (tmp_path / "model" / "provenance.json").unlink()
    with pytest.raises(FileExistsError, match="cannot be read"):
        pretrain(planet, config=longer, out=tmp_path, progress="none")


@pytest.mark.parametrize("overrides", [(), ("ema_decay=0.9", "keep=best", "validate_every=2")])
def test_an_extended_run_equals_a_longer_one(planet, small, tmp_path, overrides):
    """With a constant learning rate, on which the length has no influence."""
    usual = ("final_share=1", *overrides)
    whole = pretrain(planet, config=small("steps=8", *usual), out=tmp_path / "whole", progress="none")
    pretrain(planet, config=small("steps=5", *usual), out=tmp_path / "parts", progress="none")
    extended = pretrain(planet, config=small("steps=8", *usual), out=tmp_path / "parts", resume=True, progress="none")
    assert_equal_bits(weights_of(whole), weights_of(extended))
    assert load_config(tmp_path / "parts" / "config.yaml").steps == 8
    steps = [[line["step"] for line in one.history if "loss" in line] for one in (whole, extended)]
    assert steps == [list(range(8))] * 2
    for fault in ({"steps": 7}, {"seed": 3, "steps": 9}):
        changed = small("steps=8", *usual).model_copy(update=fault)
        with pytest.raises((FinishedRunError, ValueError)):
            pretrain(planet, config=changed, out=tmp_path / "parts", resume=True, progress="none")


def test_a_run_can_keep_no_state(planet, small, tmp_path):
    pretrain(planet, config=small("steps=2"), out=tmp_path, progress="none", keep_state=False)
    assert not (tmp_path / "state").exists()
    with pytest.raises(FileNotFoundError):
        pretrain(planet, config=small("steps=3"), out=tmp_path, resume=True, progress="none")


def test_callbacks_see_every_step_and_validation(planet, small):
    seen: list = []
    recorder = SimpleNamespace(on_step=lambda step, values: seen.append((step, "validation/loss" in values)))
    encoder = pretrain(planet, config=small("steps=4", "validate_every=2"), progress="none", callbacks=[recorder])
    assert seen == [(0, False), (1, True), (2, False), (3, True)]
    assert [line["step"] for line in encoder.history] == [0, 1, 2, 3]
    without = pretrain(planet, config=small("steps=4", "validate_every=null"), progress="none")
    assert_equal_bits(weights_of(encoder), weights_of(without))  # validation does not change the run
    with pytest.raises(TypeError, match="on_step"):
        pretrain(planet, config=small("steps=2"), progress="none", callbacks=[print])


def test_misleading_lengths_are_reported(planet, small, capsys):
    pretrain(planet, config=small("epochs=1", "warmup_steps=50"), progress="lines")
    said = capsys.readouterr().err
    assert "1 epochs are 5 steps." in said
    assert "The run has 5 steps and a warm-up of 50" in said
    assert "above chance" not in said


def test_it_runs_outside_the_main_thread(planet, small):
    caught: list[BaseException] = []

    def work() -> None:
        try:
            pretrain(planet, config=small("steps=2"), progress="none")
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert caught == []


class Reads(TorchDispatchMode):
    """Records the steps in which a value of a tensor is read, for which a GPU would have to be waited for."""

    OPERATIONS = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero", "_unique2")

    def __init__(self):
        super().__init__()
        self.step, self.steps = -1, set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function._schema.name.removeprefix("aten::")
        by_mask = name == "index" and any(index is not None and index.dtype == torch.bool for index in args[1])
        if name in self.OPERATIONS or by_mask:
            self.steps.add(self.step)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    "overrides",
    [
        ["objective.regression_weight=1", "clip_norm=1", "ema_decay=0.9", "encoder.network.dropout=0.2"],
        ["objective.reading=all_pairs", "objective.ignore_km=100"],
        ["objective.reading=sigmoid", "objective.specific_dim=4", "schedule.name=salt", "schedule.switch=step"],
    ],
    ids=["within modality", "all pairs", "sigmoid"],
)
def test_no_value_is_read_from_the_device_but_where_metrics_are_read(planet, small, monkeypatch, overrides):
    reads = Reads()

    def counted(of):
        def read(tensor, *args, **kwargs):
            reads.steps.add(reads.step)
            return of(tensor, *args, **kwargs)

        return read

    for name in ("tolist", "numpy", "cpu"):
        monkeypatch.setattr(torch.Tensor, name, counted(getattr(torch.Tensor, name)))
    seed = loop.seed_step

    def seed_step(run_seed, step, device):
        reads.step = step
        seed(run_seed, step, device)

    def finish(method, model, state):
        raise InterruptedError

    monkeypatch.setattr(loop, "seed_step", seed_step)
    monkeypatch.setattr(LocationMethod, "finish", finish)
    found = {}
    for every in (1, 5):
        reads.step, reads.steps = -1, set()
        config = small("steps=15", "jitter_m=500", "validate_every=null", f"read_every={every}", *overrides)
        lines = found[every] = []
        callback = SimpleNamespace(on_step=lambda step, line, lines=lines: lines.append({**line, "seconds": 0}))
        with reads, pytest.raises(InterruptedError):
            pretrain(planet, config=config, callbacks=[callback], progress="none")
        assert reads.steps - {-1} == set(range(every - 1, 15, every))
    assert found[1] == found[5]
    assert len(found[1]) == 15


def test_callbacks_see_every_step_late_if_metrics_are_read_seldom(planet, small, tmp_path):
    seen = []
    callback = SimpleNamespace(on_step=lambda step, line: seen.append(step))
    config = small("steps=12", "read_every=5", "validate_every=null", "save_every=7")
    pretrain(planet, config=config, out=tmp_path, callbacks=[callback], progress="none")
    assert seen == [line["step"] for line in read_metrics(tmp_path)] == list(range(12))


@pytest.mark.parametrize("precision", ["float32", "tf32"])
def test_products_are_rounded_only_if_asked_for_and_only_in_the_run(planet, small, precision):
    seen = []
    callback = SimpleNamespace(on_step=lambda step, line: seen.append(torch.backends.cuda.matmul.allow_tf32))
    pretrain(planet, config=small("steps=2", f"precision={precision}"), callbacks=[callback], progress="none")
    assert seen == [precision == "tf32"] * 2
    assert not torch.backends.cuda.matmul.allow_tf32


def test_an_exploding_run_is_reported(planet, small, monkeypatch):
    monkeypatch.setattr("geotether.training.location.mean_over_rows", lambda losses, rows: losses[0] * torch.nan)
    with pytest.raises(FloatingPointError, match="The loss is nan at step 0: lower learning_rate"):
        pretrain(planet, config=small(), progress="none")


def test_a_batch_too_large_for_a_gpu_is_reported_with_advice(planet, small, monkeypatch):
    def full(losses, rows):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has ...")

    monkeypatch.setattr("geotether.training.location.mean_over_rows", full)
    with pytest.raises(MemoryError, match=r"CUDA out of memory.*batch_size.*gradient_parts"):
        pretrain(planet, config=small(), progress="none")


def test_observations_and_decoders_come_out_of_the_folder_again(planet, small, tmp_path):
    config = small("steps=3", "context.observations.components=3", "objective.regression_weight=2")
    model = pretrain(planet, config=config, out=tmp_path, progress="none")
    location = load_model(tmp_path / "model").location
    place = torch.tensor([[5.66, 51.97], [179.9, -89.0]], dtype=torch.float64)
    torch.testing.assert_close(location.handout(place), model.module.handout(place))
    assert [name for _, name, _ in location.context.groups] == list(planet)
    assert set(load_model(tmp_path / "model").decoders) == set(planet)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    for name in planet:
        assert 0 < lines[0][f"regression/{name}"] < 10
    with_it, without = lines[0]["loss"], sum(lines[0][f"loss/{name}"] for name in planet) / len(planet)
    errors = sum(lines[0][f"regression/{name}"] for name in planet) / len(planet)
    assert with_it == pytest.approx(without + 2 * errors, rel=0.05)  # rows of modalities differ by one at most


def test_a_missing_gpu_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto").type == choose_device("cpu").type == "cpu"
    with pytest.raises(ValueError, match="needs an NVIDIA GPU"):
        choose_device("cuda")
