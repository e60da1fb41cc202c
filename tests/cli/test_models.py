"""Mirrors src/geotether/cli/models.py, and uses a name wherever a command takes a model."""

import json

import pyarrow.parquet as pq
import pytest

from geotether.checkpoint import named
from geotether.checkpoint.model import ModelParts, save_model
from geotether.encoders.build import build_location_encoder

PARTS = {"positional": {"name": "cartesian"}, "network": {"name": "linear"}, "embed_dim": 4}


@pytest.fixture
def planet(monkeypatch, tmp_path):
    """A shipped model of that name, a damaged one of the user, and no others."""
    facts = {"rows": 1200, "dim": 3, "split": {"train": 1200}, "origin": {"licence": "CC BY 4.0"}}
    tables = {"soil": facts, "towns": facts | {"origin": {"licence": "public domain"}}}
    monkeypatch.setattr(named, "SHIPPED", tmp_path / "package")
    monkeypatch.setattr(named, "user_data", lambda: tmp_path / "home")
    parts = ModelParts(build_location_encoder(PARTS, seed=0), provenance={"tables": tables, "scores": {"line": "R2 1"}})
    save_model(tmp_path / "package" / "planet", parts)
    save_model(tmp_path / "home" / "models" / "broken", parts)
    (tmp_path / "home" / "models" / "broken" / "model.safetensors").write_bytes(b"no")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_models_are_listed_with_what_is_known_of_them(planet, geotether):
    status, said, _ = geotether("models")
    assert status == 0
    shipped, broken = said.split("broken  ")
    for fact in ("planet  ", "4 numbers per place", "soil, towns", "CC BY 4.0, public domain", "R2 1"):
        assert fact in shipped
    assert str(named.SHIPPED / "planet") in shipped
    assert "model.safetensors is truncated" in broken


def test_no_models(monkeypatch, tmp_path, geotether):
    monkeypatch.setattr(named, "SHIPPED", tmp_path)
    monkeypatch.setattr(named, "user_data", lambda: tmp_path)
    assert geotether("models")[:1] == (0,)


def test_every_command_takes_a_name(planet, geotether):
    rows = [f"{lon},{lat},{lat}" for lon in range(-170, 180, 20) for lat in range(-60, 61, 12)]
    (planet / "sites.csv").write_text("\n".join(["lon,lat,warmth", *rows]) + "\n")
    (planet / "tasks.yaml").write_text("- {name: warmth, table: sites.csv, label: warmth}\n")
    points = ("--points", "sites.csv", "--label", "warmth")
    quick = ("--labels", 60, "--seeds", 2)
    for command in (
        ("encode", "planet", "sites.csv", "--out", "out.parquet"),
        ("describe", "planet"),
        ("diagnose", "planet", "--places", 60),
        ("evaluate", "planet", *points, "--split", "random", *quick),
        ("compare", "planet", "--tasks", "tasks.yaml", "--out", "compared", "--split", "blocks-20", *quick),
    ):
        status, said, errors = geotether(*command)
        assert status == 0, (command, errors)
        if command[0] == "compare":
            assert "planet" in said
    assert pq.read_schema("out.parquet").field("embedding").type.list_size == 4
    status, _, errors = geotether("describe", "plant")
    assert status == 1
    assert "Did you mean 'planet'?" in errors


def test_a_card_that_was_changed_by_hand_does_not_hide_the_model(planet, geotether):
    path = named.SHIPPED / "planet" / "provenance.json"
    path.write_text(json.dumps({"tables": {"soil": {}}}))
    assert "4 numbers per place" in geotether("models")[1]
