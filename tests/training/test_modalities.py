"""Mirrors src/geotether/training/modalities.py."""

import json
from pathlib import Path

import numpy as np
import pytest

from geotether.tables.store import write_table
from geotether.tables.table import Table
from geotether.training.config import load_config
from geotether.training.loop_config import config_yaml
from geotether.training.modalities import open_tables, table_folder
from geotether.training.pretraining import pretrain


@pytest.fixture
def raw(tmp_path):
    """A folder with a CSV of wells, a ready table, and a configuration that names both."""
    rng = np.random.default_rng(0)
    lonlat = np.stack([rng.uniform(-180, 180, 200), np.degrees(np.arcsin(rng.uniform(-1, 1, 200)))], axis=1)
    rows = [f"{lon:.4f},{lat:.4f},{abs(lat):.3f},{'salty' if lon > 0 else 'fresh'}" for lon, lat in lonlat]
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "wells.csv").write_text("\n".join(["lon,lat,depth,kind", *rows]))
    write_table(Table.single("ready", lonlat, rng.standard_normal((200, 3))), tmp_path / "ready.parquet")
    (tmp_path / "run.yaml").write_text(
        "data: raw\ncache: kept\nsteps: 2\nbatch_size: 32\nvalidate_every: null\ntables:\n  ready: ready.parquet\n"
        "  wells: {path: wells.csv, licence: CC0, origin: Well Survey, url: 'https://example.org/wells', split: null}\n"
    )
    return tmp_path


def test_ready_tables_are_read_and_others_built(raw):
    config = load_config(raw / "run.yaml")
    tables = open_tables(config, workers=1, progress="none")
    assert list(tables) == ["ready", "wells"]
    assert len(tables["wells"]) == 200
    assert tables["wells"].origin.licence == "CC0"
    assert (table_folder(config, "wells") / "wells.parquet").is_file()
    assert table_folder(config, "wells").parent == raw / "kept"


def test_a_second_time_nothing_is_built(raw):
    config = load_config(raw / "run.yaml")
    open_tables(config, workers=1, progress="none")
    built = table_folder(config, "wells") / "wells.parquet"
    before = built.stat().st_mtime_ns
    open_tables(config, workers=1, progress="none")
    assert built.stat().st_mtime_ns == before
    (raw / "raw" / "wells.csv").write_text((raw / "raw" / "wells.csv").read_text() + "\n1.0,2.0,3.0,fresh")
    assert len(open_tables(config, workers=1, progress="none")["wells"]) == 201


def test_other_specifications_do_not_take_each_others_place(raw):
    config = load_config(raw / "run.yaml")
    other = load_config(raw / "run.yaml", ["tables.wells.features={name: columns, max_levels: 3}"])
    assert table_folder(config, "wells") != table_folder(other, "wells")


def test_licences_reach_provenance_and_card(raw):
    config = load_config(raw / "run.yaml")
    pretrain(open_tables(config, workers=1, progress="none"), config=config, out=raw / "out", progress="none")
    facts = json.loads((raw / "out" / "model" / "provenance.json").read_text())["tables"]
    assert facts["wells"]["origin"]["licence"] == "CC0"
    assert facts["wells"]["origin"]["made"]["specification"]["path"] == "wells.csv"
    assert "origin" not in facts["ready"]
    card = (raw / "out" / "model" / "README.md").read_text()
    assert "| wells | CC0 | [Well Survey](https://example.org/wells) |  |" in card
    assert "Nothing is stated of ready." in card
    assert str(raw) not in card


def test_the_saved_configuration_can_be_read_elsewhere(raw, tmp_path_factory):
    config = load_config(raw / "run.yaml")
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "again.yaml"
    elsewhere.write_text(config_yaml(config))
    assert load_config(elsewhere) == config


def test_a_table_is_left_out_by_null(raw):
    assert list(load_config(raw / "run.yaml", ["tables.wells=null"]).tables) == ["ready"]


def test_data_typed_is_seen_from_the_working_directory(raw, monkeypatch):
    monkeypatch.chdir(raw / "raw")
    assert load_config(raw / "run.yaml", ["data=."]).data == raw / "raw"


def test_data_is_the_files_folder_unless_said(raw):
    (raw / "plain.yaml").write_text("tables: {wells: {path: raw/wells.csv}}")
    config = load_config(raw / "plain.yaml", [f"cache={raw / 'kept'}"])
    assert config.data == raw
    assert len(open_tables(config, workers=1, progress="none")["wells"]) == 200


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("tables.wells.path=nothing.csv", "Modality 'wells'.*nothing.csv"),
        ("tables.wells.sourc=columns", "Modality 'wells'.*'sourc'.*Did you mean 'source'"),
        ("tables.ready=absent.parquet", "Modality 'ready'.*absent.parquet"),
    ],
)
def test_a_fault_names_the_modality(raw, override, message):
    config = load_config(raw / "run.yaml", [override])
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        open_tables(config, workers=1, progress="none")


def test_a_specification_without_a_path_is_refused_at_once(raw):
    with pytest.raises(ValueError, match=r"tables: mine: A table's specification needs `path`.*it has licence"):
        load_config(raw / "run.yaml", ["tables.mine={licence: CC0}"])


WORLD = Path(__file__).parents[2] / "recipes" / "world.yaml"


def test_the_world_recipe_goes_from_raw_files_to_a_model(shared_data, tmp_path):
    """The quickest of its ten modalities, for two steps; docs/results.md has the whole."""
    large = ("satellite", "night_lights", "text", "places", "birds", "languages", "fossils")
    without = [f"tables.{name}=null" for name in large]
    settings = [f"data={shared_data}", f"cache={tmp_path}", "steps=2", "batch_size=64", "validate_every=null", *without]
    config = load_config(WORLD, settings)
    tables = open_tables(config, workers=1, progress="none")
    assert set(tables) == {"climate", "mammals", "airports"}
    pretrain(tables, config=config, out=tmp_path / "run", progress="none")
    card = (tmp_path / "run" / "model" / "README.md").read_text()
    assert "ODbL 1.0" in card
    assert not any("lat" in name.split("_") for name in tables["mammals"].origin.made["features"])


def test_the_world_recipe_names_a_licence_for_each_of_ten_modalities():
    tables = load_config(WORLD).tables
    assert len(tables) == 10
    assert all(isinstance(given, dict) and given["licence"] and given["origin"] for given in tables.values())
