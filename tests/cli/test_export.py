"""`geotether export` from the command line."""

import pytest
from typer.testing import CliRunner

from geotether.cli.app import app
from geotether.encoder import Encoder
from geotether.encoders.build import build_location_encoder


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


def test_a_layer_comes_with_a_picture(folder):
    done = run("small", "--region", "Kenya", "--resolution", "1", "--layer", "rgb", "--out", "a.tif")
    assert done.exit_code == 0, done.output
    assert (folder / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--region", "Kenia", "--resolution", "1", "--out", "a.tif"), "Kenya"),
        (("--out", "a.tif"), "--resolution"),
        (("--resolution", "1", "--dim", "wide", "--out", "a.tif"), "wide"),
        (("--resolution", "1", "--out", "a.docx"), "docx"),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, tuple) else "",
)
def test_faults_name_what_to_change(folder, words, message):
    done = run("small", *words)
    assert done.exit_code == 1
    assert message in str(done.exception)
