"""Mirrors src/geotether/checkpoint/named.py: models by name, in Python and on every command that takes one."""

import logging

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import geotether
from geotether.checkpoint import named
from geotether.encoder import Encoder
from geotether.encoders.build import build_location_encoder
from geotether.loading import named_encoder

LONLAT = np.array([[5.66, 51.97], [180.0, -90.0], [-74.01, 40.71]])


def small(dim: int) -> Encoder:
    parts = {"positional": {"name": "cartesian"}, "network": {"name": "linear"}, "embed_dim": dim}
    return Encoder(build_location_encoder(parts, seed=0), provenance={"tables": {}})


@pytest.fixture
def folders(monkeypatch, tmp_path):
    """A shipped model `planet` of 4 numbers, the user's `island` of 5 and `theirs`, and an empty working directory."""
    monkeypatch.setattr(named, "SHIPPED", tmp_path / "package")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(named, "user_data", lambda: tmp_path / "home")
    small(4).save(tmp_path / "package" / "planet")
    small(5).save(tmp_path / "home" / "models" / "island")
    small(5).save(tmp_path / "home" / "models" / "planet")
    columns = {"lon": LONLAT[:, 0], "lat": LONLAT[:, 1], "e0": [1.0, 2.0, 3.0]}
    pq.write_table(pa.table(columns), tmp_path / "home" / "models" / "theirs.parquet")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


@pytest.mark.parametrize(("name", "dim"), [("planet", 4), ("island", 5), ("theirs", 1)])
def test_models_are_loaded_by_name(folders, name, dim):
    assert geotether.load(name).dim == dim
    got, encoder = named_encoder(name)
    assert (got, encoder(LONLAT).shape) == (name, (3, dim))
    assert named_encoder(f"mine={name}")[0] == "mine"


def test_the_package_comes_first_and_names_are_listed_once(folders):
    assert list(named.named_models()) == ["planet", "island", "theirs"]
    assert named.named_models()["planet"].parent == named.SHIPPED
    assert Encoder.load("planet").folder == named.SHIPPED / "planet"


def test_a_model_in_the_working_directory_comes_before_a_name_with_a_warning(folders, caplog):
    small(7).save("planet")
    with caplog.at_level(logging.WARNING, logger="geotether"):
        assert geotether.load("planet").dim == 7
    assert len(caplog.records) == 1
    assert str(named.SHIPPED / "planet") in caplog.text
    assert named_encoder("planet")[1](LONLAT).shape == (3, 7)


def test_a_run_in_the_working_directory_is_not_silently_replaced_by_a_name(folders):
    small(7).save("planet/model")
    with pytest.raises(FileNotFoundError, match=r"Did you mean .*planet/model\?"):
        geotether.load("planet")


def test_other_folders_of_a_name_do_not_hide_it(folders):
    (folders / "here" / "planet").mkdir()
    assert geotether.load("planet").dim == 4
    with pytest.raises(FileNotFoundError, match="it has no config"):
        geotether.load("./planet")


@pytest.mark.parametrize("load", [geotether.load, Encoder.load, geotether.load_encoder])
def test_an_unknown_name_is_an_error_that_lists_the_known_ones(folders, load):
    with pytest.raises(FileNotFoundError, match=r"planet, island, theirs\. Did you mean 'planet'\?"):
        load("plant")
    with pytest.raises(FileNotFoundError) as caught:
        load("./planet")
    assert "by name" not in str(caught.value)


def test_without_any_named_model_nothing_is_suggested(monkeypatch, tmp_path):
    monkeypatch.setattr(named, "SHIPPED", tmp_path)
    monkeypatch.setattr(named, "user_data", lambda: tmp_path)
    assert named.named_models() == {}
    assert named.names_hint("world") == ""
