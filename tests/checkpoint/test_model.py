"""Mirrors src/geotether/checkpoint/model.py and folder.py."""

import hashlib
import io
import json
import os
import pickle
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from geotether.checkpoint.model import ModelParts, load_model, save_model
from geotether.encoder import Encoder
from geotether.encoders.build import build_location_encoder
from geotether.encoders.heads import ProjectionHead
from geotether.loading import load

SRC = Path(__file__).parents[1] / "src"
WEIGHTS = "model.safetensors"
FILES = ["README.md", "config.json", "model.safetensors", "provenance.json"]
ENCODER = {
    "positional": {"name": "spherical_harmonics", "l_max": 3},
    "network": {"name": "siren", "hidden_dim": 8},
    "embed_dim": 4,
    "readout": "hidden_and_output",
}
PLACES = torch.tensor([[5.66, 51.97], [180.0, -90.0], [-180.0, 0.0]], dtype=torch.float64)


@pytest.fixture
def location():
    return build_location_encoder(ENCODER, seed=1).eval()


@pytest.fixture
def folder(location, tmp_path):
    Encoder(location, {"a": (1, 2)}, {"seed": 1, "score": float("nan")}, card="# Card\n").save(tmp_path / "model")
    return tmp_path / "model"


def edit(folder, **changes):
    """Change the configuration of a folder of an older version, which has no hash of it."""
    about = json.loads((folder / "config.json").read_text())
    about.pop("config_sha256", None)
    (folder / "config.json").write_text(json.dumps(about | changes))


def replace_weights(folder, weights):
    save_file(weights, folder / "model.safetensors")
    edit(folder, weights_sha256=hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest())


def refusal(folder):
    """Return why a folder is refused; None if it loads."""
    try:
        load(folder)
    except ValueError as error:
        return str(error)
    return None


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_loading_gives_back_what_was_saved(folder, location):
    parts = load_model(folder)
    loaded = parts.location
    assert names(folder) == FILES
    assert (parts.config, parts.provenance) == ({"a": [1, 2]}, {"seed": 1, "score": None})
    assert (folder / "README.md").read_text() == "# Card\n"
    assert not loaded.training
    assert loaded.config == location.config
    torch.testing.assert_close(loaded.handout(PLACES), location.handout(PLACES), rtol=0, atol=0)


@pytest.mark.parametrize(
    "positional",
    [
        {"name": "sphere_fourier", "num_features": 6, "sigma": 2.0, "seed": 3},
        {"name": "equal_earth_fourier", "seed": 3},
    ],
)
def test_random_frequencies_come_back(tmp_path, positional):
    encoder = build_location_encoder({**ENCODER, "positional": positional, "network": {"name": "linear"}}, seed=0)
    Encoder(encoder).save(tmp_path / "model")
    torch.testing.assert_close(load_model(tmp_path / "model").location(PLACES), encoder(PLACES), rtol=0, atol=0)


@pytest.fixture
def with_context(make_context_encoder, tmp_path):
    Encoder(make_context_encoder()).save(tmp_path / "context")
    return tmp_path / "context"


def test_context_and_readout_come_back(with_context, make_context_encoder):
    loaded, wanted = load_model(with_context).location, make_context_encoder()
    assert loaded.config == wanted.config
    torch.testing.assert_close(loaded.handout(PLACES, 80), wanted.handout(PLACES, 80), rtol=0, atol=0)
    assert torch.equal(loaded.context.coverage(PLACES), wanted.context.coverage(PLACES))
    if torch.cuda.is_available():
        there = loaded.to("cuda").handout(PLACES.cuda()).cpu()
        torch.testing.assert_close(there, wanted.handout(PLACES), atol=1e-3, rtol=1e-3)


@pytest.fixture
def with_places(location, tmp_path):
    encoder, rng = Encoder(location), np.random.default_rng(0)
    encoder.learn_coverage({"night lights": rng.uniform(-80, 80, (90, 2)), "rain": rng.uniform(-60, 60, (40, 2))})
    encoder.save(tmp_path / "places")
    return encoder, tmp_path / "places"


def test_places_of_the_training_come_back_and_older_folders_have_none(with_places, folder):
    encoder, path = with_places
    loaded, asked = Encoder.load(path), encoder.seen.centers
    for name, values in encoder.coverage(asked).columns.items():
        np.testing.assert_array_equal(loaded.coverage(asked).columns[name], values)
    assert loaded.seen.describe() == encoder.seen.describe()
    loaded.save(path)
    assert Encoder.load(path).seen.describe() == encoder.seen.describe()
    assert Encoder.load(folder).seen is None


@pytest.mark.parametrize("damage", ["cut", "missing", "type", "count", "side", "threshold", "shape"])
def test_damaged_places_of_the_training_are_named(with_places, damage):
    path = with_places[1]
    weights, name = load_file(path / WEIGHTS), "seen.rain"
    seen = json.loads((path / "config.json").read_text())["seen"]
    if damage == "cut":
        weights[name] = weights[name][:-3].clone()
    elif damage == "missing":
        del weights[name]
    elif damage == "type":
        weights[name] = weights[name].float()
    elif damage == "shape":
        weights[name] = weights[name].reshape(1, -1)
    replace_weights(path, weights)
    changed = {"count": {"cells": {"rain": 10**9}}, "side": {"cell_km": 0}, "threshold": {"threshold": "high"}}
    edit(path, seen=seen | changed.get(damage, {}))
    with pytest.raises(ValueError, match=rf"{re.escape(str(path))}.*(places of its training|NaN)"):
        load(path)


@pytest.mark.parametrize("damage", ["cut", "cut, with its size", "mask", "missing", "type"])
def test_a_damaged_context_is_named(with_context, damage):
    weights, name = load_file(with_context / WEIGHTS), "location.context.values/0"
    about = json.loads((with_context / "config.json").read_text())
    if damage.startswith("cut"):
        weights[name] = weights[name][:-5].clone()
    if damage == "cut, with its size":
        about["encoder"]["context"]["levels"][0]["stored"] -= 5
    if damage == "mask":
        weights["location.context.mask/0"][100:110] ^= 255
    if damage == "missing":
        del weights[name]
    if damage == "type":
        weights[name] = weights[name].float()
    replace_weights(with_context, weights)
    edit(with_context, encoder=about["encoder"])
    with pytest.raises(ValueError, match=rf"{re.escape(str(with_context))}.*{WEIGHTS}.*(differs|damaged|in all)"):
        load(with_context)


@pytest.mark.parametrize(
    "change",
    [
        {"stored": 10**9},
        {"stored": -1},
        {"groups": {"land": 10**9}},
        {"groups": 3},
        {"rows": 10**7, "step": 1e-5, "columns": 36 * 10**6},
        {"step": "wide"},
        {"source": None},
    ],
    ids=str,
)
def test_a_size_of_a_context_that_lies_is_an_error_at_once(with_context, change):
    about = json.loads((with_context / "config.json").read_text())
    about["encoder"]["context"]["levels"][0].update(change)
    edit(with_context, encoder=about["encoder"])
    started = time.monotonic()
    with pytest.raises(ValueError, match=rf"{re.escape(str(with_context))}.*cannot build"):
        load(with_context)
    assert time.monotonic() - started < 5


def test_heads_are_saved_and_restored(location, tmp_path):
    heads = torch.nn.ModuleDict({"text": ProjectionHead(5, 4), "night_lights": ProjectionHead(7, 4, hidden_dim=6)})
    heads["text"].fit_standardisation(np.random.default_rng(0).normal(3, 2, (9, 5)))
    Encoder(location, heads=heads).save(tmp_path / "model")
    loaded = load_model(tmp_path / "model").heads
    assert list(loaded) == ["text", "night_lights"]
    for name, width in (("text", 5), ("night_lights", 7)):
        torch.testing.assert_close(loaded[name](torch.ones(2, width)), heads[name].eval()(torch.ones(2, width)))
    load_model(tmp_path / "model")


def test_saving_again_replaces_the_model_and_keeps_other_files(folder, location):
    (folder / "coverage.png").write_bytes(b"map")
    Encoder(build_location_encoder(ENCODER, seed=2)).save(folder)
    assert names(folder) == sorted([*FILES, "coverage.png"])
    assert not torch.equal(load_model(folder).location(PLACES), location(PLACES))
    assert names(folder.parent) == ["model"]


def test_a_folder_of_another_kind_is_unchanged(location, tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(FileExistsError, match="contains other files than a model"):
        Encoder(location).save(tmp_path)
    assert names(tmp_path) == ["thesis.tex"]
    (tmp_path / "empty").mkdir()
    Encoder(location).save(tmp_path / "empty")


@pytest.mark.parametrize(
    "provenance, error, message",
    [
        ({"tables": {"a": object()}}, TypeError, "provenance.json: tables: a contains a object"),
        (None, ValueError, "not finite"),
    ],
)
def test_values_that_cannot_be_saved_are_named_and_nothing_is_written(location, tmp_path, provenance, error, message):
    if provenance is None:
        with torch.no_grad():
            next(location.parameters())[0] = float("nan")
    with pytest.raises(error, match=message):
        Encoder(location, {}, provenance).save(tmp_path / "model")
    assert names(tmp_path) == []


def test_numbers_of_numpy_are_plain(location, tmp_path):
    Encoder(location, {"rate": np.float32(0.5), "path": Path("a")}, {"n": np.arange(2)}).save(tmp_path / "m")
    parts = load_model(tmp_path / "m")
    assert (parts.config, parts.provenance) == ({"rate": 0.5, "path": "a"}, {"n": [0, 1]})


class Trap:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def torch_file():
    torch.save({"trap": Trap()}, buffer := io.BytesIO())
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        *((name, None, f"is not a model folder: it has no {name}") for name in FILES[1:]),
        *((WEIGHTS, lambda data, keep=keep: data[:keep], "truncated or not a safetensors") for keep in (0, 4, 100, -1)),
        (WEIGHTS, lambda data: data[:-3] + bytes([data[-3] ^ 1]) + data[-2:], "do not belong together"),
        (WEIGHTS, lambda data: pickle.dumps(Trap(), protocol=2), "looks like a pickle, which is never loaded"),
        (WEIGHTS, lambda data: torch_file(), "looks like a pickle, which is never loaded"),
        *(
            (name, lambda data, content=content: content, name)
            for name in ("config.json", "provenance.json")
            for content in (b"[" * 100_000, b"\xff\xfe{", b"null", b'{"tables": null}', b"", b"[1]")
        ),
    ],
)
def test_a_damaged_folder_is_named(folder, monkeypatch, name, damage, message):
    monkeypatch.chdir(folder.parent)
    data = (folder / name).read_bytes()
    (folder / name).unlink()
    if damage is not None:
        (folder / name).write_bytes(damage(data))
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        load(folder)
    assert not (folder.parent / "executed").exists()


def test_wrong_paths_are_named(folder):
    with pytest.raises(FileNotFoundError, match="there is no such folder"):
        load_model(folder / "no")
    with pytest.raises(FileNotFoundError, match=r"Did you mean .*model\?"):
        load_model(folder.parent)
    with pytest.raises(ValueError, match=r"is a file; give the model's folder"):
        load_model(folder / "model.safetensors")
    (folder / "config.json").write_text('{"format": "geotether-model", "format_version": 1}')
    with pytest.raises(ValueError, match="has no encoder, heads, weights_sha256, config"):
        load_model(folder)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"format": "bert"}, "not from geotether: its format is 'bert'"),
        ({"format_version": 2}, "format version 2, written by geotether .* reads up to 1. Upgrade"),
        ({"format_version": None}, "format version None"),
        ({"encoder": {**ENCODER, "network": {"name": "mamba"}}}, "cannot build: Unknown network 'mamba'"),
        ({"encoder": {**ENCODER, "network": {"name": "siren", "hidden_dim": 9}}}, "does not fit the encoder"),
        ({"encoder": {**ENCODER, "network": {"name": "linear"}}}, "does not fit the encoder"),
        ({"weights_sha256": "0"}, "do not belong together"),
    ],
)
def test_a_foreign_or_newer_configuration_is_named(folder, changes, message):
    edit(folder, **changes)
    with pytest.raises(ValueError, match=message):
        load_model(folder)


def test_every_edited_digit_of_the_configuration_is_refused(tmp_path, make_context_encoder):
    """Or leaves all embeddings as they are; in a folder with a context and every kind of setting."""
    encoder = Encoder(make_context_encoder(), {"steps": 20, "rate": 1e-3}, {"seed": 1})
    encoder.save(tmp_path)
    expected, file = encoder.encode(PLACES), tmp_path / "config.json"
    text = file.read_text()
    digits = [at for at, sign in enumerate(text) if sign.isdigit()]
    loads = []
    for at in digits:
        file.write_text(text[:at] + str((int(text[at]) + 1) % 10) + text[at + 1 :])
        refused = refusal(tmp_path)
        assert refused is None or str(tmp_path) in refused
        if refused is None:
            np.testing.assert_array_equal(load(tmp_path).encode(PLACES), expected, err_msg=text[at - 20 : at + 20])
            loads.append(at)
    assert len(digits) > 100
    assert {text[at - 15 : at].partition('"')[2][:7] for at in loads} == {"config_"}  # the name of the hash itself


@pytest.mark.parametrize(
    "change", [{"readout": "mixed_positional_and_output"}, {"memory": {"sizes": {"rain": [40, 3]}}}], ids=str
)
def test_a_folder_with_a_memory_or_a_mixed_readout_must_be_trained_again(folder, change):
    edit(folder, encoder={**ENCODER, **change})
    with pytest.raises(ValueError, match=rf"{re.escape(str(folder))}.*older version of geotether.*train again"):
        load(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_numbers_are_refused(folder, value):
    weights = load_file(folder / "model.safetensors")
    name = next(name for name, tensor in weights.items() if tensor.numel() > 1)
    weights[name].view(-1)[1] = value
    replace_weights(folder, weights)
    with pytest.raises(ValueError, match=rf"model\.safetensors contains NaN or infinite numbers, first in {name}"):
        load_model(folder)


NETWORK, HARMONICS = ENCODER["network"], ENCODER["positional"]


@pytest.mark.parametrize(
    "changes",
    [
        {"encoder": {**ENCODER, "network": {**NETWORK, "num_layers": 1e9}}},
        {"encoder": {**ENCODER, "network": {**NETWORK, "num_layers": 10**9}}},
        {"encoder": {**ENCODER, "network": {**NETWORK, "num_layers": 100}}},
        {"encoder": {**ENCODER, "network": {**NETWORK, "hidden_dim": 10**6}}},
        {"encoder": {**ENCODER, "network": {**NETWORK, "hidden_dim": -1}}},
        {"encoder": {**ENCODER, "embed_dim": 10**9}},
        {"encoder": {**ENCODER, "positional": {**HARMONICS, "l_max": 10**6}}},
        {"encoder": {**ENCODER, "positional": {"name": "sphere_fourier", "num_features": 10**9}}},
        {"encoder": {**ENCODER, "positional": {"name": "grid", "num_scales": 10**9}}},
        {"encoder": {**ENCODER, "positional": {"name": []}}},
        {"encoder": {**ENCODER, "positional": "spherical_harmonics"}},
        {"encoder": [1]},
        {"encoder": None},
        {"heads": {"a": {"in_dim": 10**9, "embed_dim": 10**9}}},
        {"heads": {"a": {"width": 1}}},
        {"heads": 3},
        {"decoders": {"a": {"in_dim": 10**6, "embed_dim": 10**6, "components": 3}}},
        {"specific": {"in_dims": {"a": 10**7}, "shared_dim": 10**7, "specific_dim": 10**7}},
        {"paired": {"module": "TiedSensors", "settings": {}, "modalities": [], "predicts_from": []}},
        {"paired": 3},
        {"paired": {"module": ["TiedSensors"]}},
        {"config": 7},
        {"plugins": 7},
        {"plugins": [{"kind": "x"}]},
    ],
    ids=lambda changes: json.dumps(changes)[-70:],
)
def test_an_impossible_configuration_is_an_error_at_once(folder, changes):
    """Sizes are compared with the weights before anything is built; in folders of older versions, without a hash."""
    edit(folder, **changes)
    started = time.monotonic()
    with pytest.raises(ValueError, match=re.escape(str(folder))):
        load(folder)
    assert time.monotonic() - started < 10  # the machine may be busy


def test_missing_extra_and_converted_weights_are_named(folder):
    weights = load_file(folder / "model.safetensors")
    first = sorted(weights)[0]
    for changed in (
        {name: tensor for name, tensor in weights.items() if name != first},
        {**weights, "location.more": torch.zeros(1)},
        {**weights, first: weights[first].half()},
    ):
        replace_weights(folder, changed)
        with pytest.raises(ValueError, match=r"does not fit the encoder in config.json: location\..* differs"):
            load_model(folder)


def test_a_full_disk_leaves_the_old_model(folder):
    """The kernel refuses the write halfway, as on a full disk."""
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    program = (
        "import sys; from geotether.encoder import Encoder\n"
        "from geotether.encoders.build import build_location_encoder\n"
        "parts = {'positional': {'name': 'cartesian'}, 'network': {'name': 'mlp', 'hidden_dim': 512}}\n"
        "Encoder(build_location_encoder(parts, 0)).save(sys.argv[1])"
    )
    child = subprocess.run(
        [sys.executable, "-c", program, str(folder)],
        env={**os.environ, "PYTHONPATH": str(SRC), "PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "the disk is full or a size limit was reached" in child.stderr
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert names(folder.parent) == ["model"]


def test_double_precision_comes_back_double(tmp_path):
    location = build_location_encoder(
        {"positional": {"name": "cartesian"}, "network": {"name": "linear"}, "embed_dim": 4}, seed=0
    ).double()
    Encoder(location).save(tmp_path / "model")
    again = load_model(tmp_path / "model").location
    assert {parameter.dtype for parameter in again.parameters()} == {torch.float64}


def test_further_files_and_rounded_weights_come_back_and_are_checked(location, tmp_path):
    folder = tmp_path / "model"
    parts = ModelParts(location, transforms={"text": b"any bytes"})
    save_model(folder, parts, rounded=["location.network"])
    back = load_model(folder)
    assert back.transforms == {"text": b"any bytes"}
    for name, tensor in location.network.state_dict().items():
        allowed = tensor.abs().amax(-1, keepdim=True) / 65_534 * 1.01 if tensor.ndim == 2 else tensor * 0
        assert ((back.location.network.state_dict()[name] - tensor).abs() <= allowed).all(), name
    file = folder / "text.transform.safetensors"
    file.write_bytes(b"other bytes")
    with pytest.raises(ValueError, match=r"text\.transform\.safetensors and config\.json do not belong together"):
        load_model(folder)
    file.unlink()
    with pytest.raises(FileNotFoundError, match=r"text\.transform\.safetensors"):
        load_model(folder)
