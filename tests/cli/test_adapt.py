"""Mirrors src/geotether/cli/adapt.py."""

import csv
import json

import numpy as np
import pytest

from geotether.cli.adapt import named_tables, raster_layers
from geotether.studies import adaptation
from geotether.tables.store import write_table
from geotether.tables.table import Table
from geotether.training.config import load_config
from geotether.training.pretraining import pretrain

QUICK = ("steps=6", "batch_size=32", "adapt.heads_steps=3", "validate_every=3", "adapt.keep_rows=32")
FAST = [word for setting in QUICK for word in ("--set", setting)]


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A small model, a table and labels around (30, 10)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(adaptation, "_outside_scores", lambda method, encoders: [])
    rng = np.random.default_rng(0)
    lonlat = np.stack([rng.uniform(20, 40, 300), rng.uniform(0, 20, 300)], axis=1)
    sites = Table.single("sites", lonlat, np.cos(lonlat / 4).astype(np.float32))
    write_table(sites, tmp_path / "sites.parquet")
    settings = ["steps=4", "batch_size=32", "encoder.positional.l_max=3", "encoder.network.hidden_dim=16"]
    config = load_config(overrides=[*settings, "context.observations.components=0", "validate_every=null"])
    pretrain({"sites": sites}, config=config, progress="none").save(tmp_path / "model")
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["lon", "lat", "height", "zone"])
        writer.writerows([[f"{x:.4f}", f"{y:.4f}", f"{np.cos(x):.4f}", "wet" if x > 30 else "dry"] for x, y in lonlat])
    return tmp_path


def test_it_prints_what_it_writes_and_can_be_read_again(geotether, files):
    command = ["adapt", "model", "wells=sites.parquet", "--region", "20", "0", "40", "20", "--out", "out", *FAST]
    status, said, errors = geotether(*command, "--labels", "labels.csv", "--label", "height", "--label", "zone")
    assert status == 0, errors
    saved = json.loads((files / "out" / "adapt.json").read_text())
    assert [name.split(",")[0] for name in saved["inside"]] == ["wells", "height", "zone"]
    assert said.startswith(saved["verdict"])
    card = (files / "out" / "model" / "README.md").read_text()
    assert "Adapted from the model" in card
    assert saved["verdict"] in card
    assert geotether("encode", "out/model", "labels.csv", "--out", "vectors.parquet")[0] == 0
    status, _, errors = geotether(*command)
    assert status == 1
    assert "finished: the model is" in errors


def test_a_configuration_names_tables_and_rasters(geotether, files):
    (files / "run.yaml").write_text("tables: {sites: sites.parquet}\nadapt: {keep_inside: 0.5}\n")
    status, _, errors = geotether("adapt", "model", "run.yaml", "--region", "20 0 40 20", "--out", "out", *FAST)
    assert status == 0, errors
    saved = load_config(files / "out" / "config.yaml")
    assert (saved.recipe, saved.adapt.keep_inside, saved.adapt.region) == ("adapt", 0.5, "20 0 40 20")
    assert saved.adapt.model == str(files / "model")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sites.parquet", "--region", "Kenia"], "Did you mean 'Kenya'"),
        (["sites.parquet", "--region", "world"], "whole Earth"),
        (["sites.parquet", "--region", "Brazil"], "0 rows in Brazil"),
        (["gone.parquet", "--region", "Kenya"], "gone.parquet"),
        (["sites.parquet", "--region", "20 0 40 20", "--labels", "labels.csv"], "--label"),
        (["sites.parquet", "--region", "20 0 40 20", "--raster", "fine.tif"], "NAME=FILE"),
        (["sites.parquet", "--region", "20 0 40 20", "--raster", "fine=gone.tif"], "there is no file"),
    ],
)
def test_wrong_input_ends_in_one_line(geotether, files, arguments, said):
    status, _, errors = geotether("adapt", "model", *arguments, "--out", "out", *FAST)
    assert status == 1
    assert said in errors
    assert not (files / "out" / "state").exists()


def test_files_of_embeddings_and_models_without_places_are_refused(geotether, files):
    geotether("encode", "model", "labels.csv", "--out", "vectors.parquet")
    status, _, errors = geotether(
        "adapt", "vectors.parquet", "sites.parquet", "--region", "Kenya", "--out", "out", *FAST
    )
    assert status == 1
    assert "cannot be trained" in errors


def test_tables_and_rasters_get_names(tmp_path):
    path, named = named_tables([tmp_path / "a.parquet", "b=c.parquet"])
    assert (path, list(named)) == (None, ["a", "b"])
    assert named_tables([tmp_path / "run.yaml"])[0] == tmp_path / "run.yaml"
    for wrong in (["a.parquet", "x/a.parquet"], ["run.yaml", "a.parquet"]):
        with pytest.raises(ValueError, match=r"a\.parquet"):
            named_tables(wrong)
    assert raster_layers(["ndvi=/x.tif"]) == [{"context": {"rasters": {"ndvi": {"path": "/x.tif"}}}}]
