"""Mirrors experiments/ship_world.py: licences, hashes, the folder and the file of embeddings, on a small model."""

import hashlib
import json
import shlex
import sys
from dataclasses import replace

import numpy as np
import pytest
import yaml

from geotether.checkpoint import named
from geotether.checkpoint.model import ModelParts, save_model
from geotether.diagnostics import even_places
from geotether.encoder import Encoder
from geotether.encoders.build import build_location_encoder
from geotether.encoders.heads import ProjectionHead
from geotether.featurizing.transform import transform_of_bytes
from geotether.geodesy.coordinates import unit_vectors
from geotether.loading import load
from geotether.tables.origin import Origin
from geotether.tables.store import read_table, write_table
from geotether.tables.table import Table
from geotether.training.card import plain_settings, run_provenance
from geotether.training.config import load_config
from geotether.training.pretraining import pretrain
from geotether.training.state import RunState

PARTS = {"positional": {"name": "cartesian"}, "network": {"name": "linear"}, "embed_dim": 4}
SOIL = {"licence": "CC BY 4.0", "source": "Soil Atlas", "citation": "Digger (2020)"}


@pytest.fixture
def parts():
    """A small model as a run leaves it, with a head."""
    lonlat = np.array([[5.0, 52.0], [10.0, 50.0], [-70.0, -10.0]])
    tables = {"soil": Table.single("soil", lonlat, np.eye(3, dtype=np.float32))}
    config = load_config(recipe="default")
    provenance = run_provenance(config, tables, RunState(step=30))
    provenance["tables"]["soil"]["origin"] = SOIL
    location = build_location_encoder(PARTS, seed=0).eval()
    return ModelParts(location, plain_settings(config), provenance, heads={"soil": ProjectionHead(3, 4)})


def test_the_commands_of_its_own_text_are_understood(script):
    lines = [line.strip() for line in script.__doc__.splitlines() if "python experiments/ship_world.py" in line]
    made, queries, places = (script.parsed(shlex.split(line)[2:]) for line in lines)
    assert (made.run.name, made.out.name, made.golden.name, made.tables) == ("world", "world", "world.npz", None)
    assert queries.queries
    assert (places.tables.name, places.out.name) == ("TABLES", "world")
    with pytest.raises(SystemExit):
        script.parsed(["--run", "runs/world"])


def test_credits_follow_the_licences(script):
    towns = {"licence": "public domain, CC BY 4.0", "source": "Gazetteer"}
    provenance = {"tables": {"soil": {"origin": SOIL}, "towns": {"origin": towns}}}
    raster, polygons = {"licence": "NASA open data", "origin": "NASA"}, {"licence": "public domain", "origin": "Maps"}
    provenance["context"] = {"rasters": {"land": raster}, "land": polygons}
    said = script.credits(provenance)
    assert [line.split("**")[1] for line in said] == ["CC BY 4.0", "public domain", "NASA open data"]
    assert said[0].endswith("Here: soil, towns.")
    assert said[1].endswith("Here: towns, land polygons (context).")
    assert said[2].endswith("Here: land (context).")


@pytest.mark.parametrize(
    ("origin", "message"),
    [
        ({"licence": "CC BY 4.0, CC BY-SA 4.0", "source": "x"}, "soil has the licence CC BY-SA 4.0.*share-alike"),
        ({"licence": "ODbL 1.0", "source": "x"}, "share-alike"),
        ({"licence": "mine", "source": "x"}, "'mine', whose terms are not known"),
        ({"licence": "CC BY 4.0"}, "no licence or source"),
        ({}, "no licence or source"),
    ],
)
def test_sources_that_cannot_be_passed_on_are_refused(script, origin, message):
    with pytest.raises(ValueError, match=message):
        script.credits({"tables": {"soil": {"origin": origin}}})


def test_only_raw_files_that_are_named_are_hashed(script, tmp_path):
    (tmp_path / "pretrain").mkdir()
    (tmp_path / "pretrain" / "a.tif").write_bytes(b"a")
    recipe = {"context": {"rasters": {"one": {"path": "pretrain/a.tif"}}}, "tables": {"b": {"path": "gone", "n": [1]}}}
    assert script.hashes(recipe, tmp_path) == {"pretrain/a.tif": hashlib.sha256(b"a").hexdigest()}


def test_the_folder_has_the_encoder_alone_with_card_and_provenance(script, parts, tmp_path, monkeypatch):
    facts = {"command": "geotether pretrain x"}
    size = script.write(parts, tmp_path / "world", ["## Not for", "", "Maps."], facts, {})
    shipped = Encoder.load(tmp_path / "world")
    places = script.golden_places()
    assert places.shape == (10_000, 2)
    np.testing.assert_allclose(shipped.encode(places), Encoder(parts.location).encode(places), atol=1e-4)
    assert shipped.heads == {}  # its features are not known
    assert 'geotether.load("world")' in shipped.card
    assert "Maps." in shipped.card
    assert "geotether pretrain x" in shipped.card
    assert json.loads((tmp_path / "world" / "provenance.json").read_text())["seed"] == 0
    assert size == sum(file.stat().st_size for file in (tmp_path / "world").iterdir())
    monkeypatch.setattr(script, "MOST_BYTES", 1000)
    with pytest.raises(ValueError, match="more than"):
        script.write(parts, tmp_path / "world", [], {"command": ""}, {})


def test_the_file_of_embeddings_is_small_and_exact(script, parts, tmp_path):
    encoder = Encoder(parts.location)
    script.write_golden(encoder, tmp_path / "golden.npz")
    with np.load(tmp_path / "golden.npz") as golden:
        np.testing.assert_array_equal(golden["first"], encoder.encode(script.golden_places()[:200]))
        np.testing.assert_allclose(golden["mean"], encoder.encode(script.golden_places()).mean(axis=0), atol=1e-6)


def test_scores_become_a_table_and_one_line(script, make_outcomes):
    outcomes = make_outcomes({"world": 0.9, "untrained": 0.3}, tasks=("elevation", "biome"))
    scores = {}
    for one in outcomes:
        scores.setdefault(one.encoder, {}).setdefault(one.task, []).append(one)
    lines, facts = script.score_table(scores)
    assert len(lines) == 10
    assert lines[-2].startswith("| world | 0.899 [0.887, 0.910] | ")
    assert facts["line"].startswith("elevation 0.90, biome 0.90 (ridge")
    assert len(facts["encoders"]["untrained"]["biome"]) == 3


def test_features_of_texts_are_made_small_and_lead_to_nearly_the_same(script, trained):
    texts = [f"walrus fjord {number}" for number in range(30)]
    exact = transform_of_bytes(trained.transforms["town"], "town").featurizer
    script.LETTER_GROUPS = len(exact.buckets_) - 10
    content = script.small_features(trained.transforms["town"], "town")
    small = transform_of_bytes(content, "town").featurizer
    assert len(content) < len(trained.transforms["town"]) / 2
    assert len(small.buckets_) == len(exact.buckets_) - 10
    one, other = exact.transform(texts), small.transform(texts)
    cosine = (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    assert cosine.min() > 0.95
    parts = ModelParts(trained.module, heads=trained.heads, decoders=trained.decoders)
    kept = script.with_queries(parts, trained.tables)
    assert set(kept.heads) == set(kept.transforms) == {"climate"}  # the others are not asked of the world model
    assert set(kept.decoders) == set(trained.decoders)
    lines = script.search_lines(trained, trained.tables)
    assert [line.split(" | ")[0] for line in lines if line.startswith("| climate")] == ["| climate"] * 3


def test_coverage_counts_land_near_training_rows(script, parts):
    lonlat = np.array([[20.0, 50.0], [25.0, 0.0]])
    tables = {"soil": Table.single("soil", lonlat, np.eye(2, dtype=np.float32))}
    lines, facts = script.coverage_lines(Encoder(parts.location), tables)
    assert 0 < facts["soil"]["100 km"] < facts["soil"]["500 km"] < 0.1
    assert lines[-1].startswith("| soil | 2 | 0% |")


def test_places_are_added_from_the_tables_of_the_training_alone(script, parts, tmp_path):
    split = np.where(np.arange(900) < 600, "train", "test")
    table = Table.single("soil", script.even_places(900), np.eye(900, 1, dtype=np.float32), split=split)
    write_table(table, tmp_path / "soil.parquet")
    sha256 = read_table(tmp_path / "soil.parquet", name="soil").content_hash
    old = replace(
        parts, provenance={"tables": {"soil": {"sha256": sha256}}}, card="# C\n\ncommon value; then.\n\n## D\n"
    )
    save_model(tmp_path / "world", old)
    for _ in range(2):
        script.add_places(tmp_path / "world", tmp_path)
    found = Encoder.load(tmp_path / "world")
    assert found.coverage(table.lonlat).nearest_km[:600].max() < 10
    assert found.coverage(table.lonlat).nearest_km[600:].max() > 200
    assert found.card.count("`encoder.coverage(lon=, lat=)`") == 1
    assert found.card.endswith("\n\n## D\n")
    save_model(tmp_path / "world", replace(old, provenance={"tables": {"soil": {"sha256": "another"}}}))
    with pytest.raises(ValueError, match=r"soil.parquet is not the table"):
        script.add_places(tmp_path / "world", tmp_path)


def test_the_resolution_is_where_vectors_differ_half_as_much_as_unrelated_ones(script, monkeypatch):
    monkeypatch.setattr(script, "land_places", lambda count: script.even_places(60))
    lines, km = script.resolution(unit_vectors)
    quarter = np.degrees(np.arccos(0.75)) * 111.19  # of unit vectors, whose mean is about 0
    assert km["50%"] == pytest.approx(quarter, rel=0.1)
    assert lines[-1].startswith("| difference | 0% | ")


@pytest.fixture
def miniature(script, tmp_path, monkeypatch, write_geotiff):
    """The recipe of the world with two tables of 300 rows, two rasters of 3 degrees and small networks."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    lat, lon = np.meshgrid(np.linspace(90, -90, 60), np.linspace(-180, 180, 120), indexing="ij")
    wave = np.cos(np.radians(3 * lon)) * np.sin(np.radians(4 * lat)) + 2
    write_geotiff(tmp_path / "land.tif", np.stack([wave, np.cos(np.radians(lat))]).astype(np.float32))
    write_geotiff(tmp_path / "lights.tif", wave.astype(np.float32))
    recipe = yaml.safe_load(script.WORLD.read_text())
    changes = [f"tables.{name}=null" for name in recipe["tables"]]
    for seed, name in enumerate(("satellite", "text")):
        lonlat, rng = even_places(300, seed), np.random.default_rng(seed)
        x, y = np.radians(lonlat).T
        features = np.stack([np.sin(y), np.cos(3 * x) * np.sin(4 * y), np.cos(x), rng.standard_normal(300)], axis=1)
        split = np.where(np.arange(300) % 5 == 0, "validation", "train")
        origin = Origin(licence="CC BY 4.0", source="Atlas")
        table = Table.single(name, lonlat, features.astype(np.float32), split=split, origin=origin)
        write_table(table, tmp_path / f"{name}.parquet")
        changes.append(f"tables.{name}={tmp_path / name}.parquet")
    for name in recipe["context"]["rasters"]:
        here = f"context.rasters.{name}"
        changes += [f"{here}.path={name}.tif", f"{here}.filters=4", f"{here}.components=2"]
    changes += ["context.land=null", "context.scales_km=[500, 1500]", f"data={tmp_path}", "device=cpu"]
    changes += ["encoder.positional.l_max=6", "encoder.network_degree=3", "encoder.network.hidden_dim=32"]
    changes += ["objective.regression_components=3", "steps=200", "batch_size=128", "validate_every=50"]
    return load_config(script.WORLD, changes)


def test_two_hundred_steps_of_the_recipe_in_miniature_make_a_folder(script, miniature, tmp_path, monkeypatch):
    trained = pretrain(config=miniature, out=tmp_path / "run", progress="none")
    losses = [row["validation/loss"] for row in trained.history if "validation/loss" in row]
    assert losses[-1] < 0.95 * losses[0]
    monkeypatch.setattr(script, "scored", lambda *arguments: (["| world |"], {"line": "good"}))
    monkeypatch.setattr(script, "RESOLUTION_PLACES", 20)
    given = [
        "--run",
        tmp_path / "run",
        "--data",
        tmp_path,
        "--judged",
        tmp_path,
        "--out",
        tmp_path / "models" / "world",
    ]
    monkeypatch.setattr(sys, "argv", ["ship_world.py", *map(str, given), "--golden", str(tmp_path / "golden.npz")])
    script.main()
    monkeypatch.setattr(named, "SHIPPED", tmp_path / "models")
    world = load("world")
    places = script.golden_places()[:50]
    np.testing.assert_allclose(world.encode(places), trained.encode(places), atol=script.ROUNDING)
    assert set(world.decoders) == set(trained.decoders)
    assert world.encode(places, dim=32).shape == (50, 32)
    for heading in ("Scores", "Coverage", "Effective resolution", "Licences", "Not for", "How it was made"):
        assert f"## {heading}\n" in world.card
    assert str(tmp_path) not in world.card + json.dumps([world.provenance, world.config])
