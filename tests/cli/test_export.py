"""`geotether export` from the command line."""

import json

import pytest
import torch
from typer.testing import CliRunner

from geotether.checkpoint.folder import CONFIG
from geotether.cli.app import app
from geotether.encoder import Encoder
from geotether.encoders.build import build_location_encoder
from geotether.encoders.graph import FACTS_FILE


@pytest.fixture
def folder(tmp_path, monkeypatch):
    parts = {"positional": {"name": "cartesian"}, "network": {"name": "linear"}, "embed_dim": 4}
    Encoder(build_location_encoder(parts, seed=0)).save(tmp_path / "small")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words):
    return CliRunner().invoke(app, ["export", *words])


def test_the_result_says_size_loss_and_what_lies_beside(folder):
    done = run("small", "--region", "Kenya", "--resolution", "1", "--dtype", "int8", "--out", "a.tif")
    assert done.exit_code == 0, done.output
    for part in ("a.tif", "region Kenya", "4 numbers, int8", "cosine similarities", "a.tif.stac.json"):
        assert part in done.output
    again = run("small", "--region", "Kenya", "--resolution", "1", "--dtype", "int8", "--out", "a.tif")
    assert "up to date" in again.output
    rounded = run(
        *["small", "--region", "Kenya", "--resolution", "1", "--dtype", "int8", "--out", "a.tif", "--precision", "bf16"]
    )
    assert "is written" in rounded.output


def test_a_layer_comes_with_a_picture(folder):
    done = run("small", "--region", "Kenya", "--resolution", "1", "--layer", "rgb", "--out", "a.tif")
    assert done.exit_code == 0, done.output
    assert (folder / "a.png").read_bytes().startswith(b"\x89PNG")


def said_of(path):
    extra = {FACTS_FILE: ""}
    torch.export.load(path, extra_files=extra)
    return json.loads(extra[FACTS_FILE])


def test_a_graph_says_which_model_it_is(folder):
    encoder = Encoder.load("small")
    encoder.provenance["licence"], encoder.card = "CC BY 4.0", "# Card"
    encoder.save("planet")
    done = run("planet", "--out", "planet.pt2")
    assert done.exit_code == 0, done.output
    assert "4 numbers per place" in done.output
    facts, saved = said_of("planet.pt2"), json.loads((folder / "planet" / CONFIG).read_text())
    assert {key: facts[key] for key in ("model", "licence", "card", "dim")} == {
        "model": "planet", "licence": "CC BY 4.0", "card": "# Card", "dim": "4"
    }  # fmt: skip
    assert facts["weights_sha256"] == saved["weights_sha256"]
    tuned = Encoder.load("planet")
    with torch.no_grad():
        tuned.module.network.output.bias += 1
    tuned.export_graph("tuned.pt2")
    assert "weights_sha256" not in said_of("tuned.pt2")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--region", "Kenia", "--resolution", "1", "--out", "a.tif"), "Kenya"),
        (("--out", "a.tif"), "--resolution"),
        (("--resolution", "1", "--dim", "wide", "--out", "a.tif"), "wide"),
        (("--resolution", "1", "--out", "a.docx"), "docx"),
        (("--resolution", "1", "--region", "Kenya", "--out", "a.onnx"), "--region, --resolution"),
        (("--dim", "3", "--out", "a.pt2"), "4 numbers"),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, tuple) else "",
)
def test_faults_name_what_to_change(folder, words, message):
    done = run("small", *words)
    assert done.exit_code == 1
    assert message in str(done.exception)
