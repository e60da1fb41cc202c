"""Mirrors src/geotether/sources/planet.py: is the shipped planet what docs/demo-planet.md says?"""

import hashlib
from importlib import resources

import numpy as np
import pytest

from geotether.geodesy.blocks import block_id
from geotether.geodesy.distance import nearest_km
from geotether.sources.planet import (
    MOSAIC_STEP,
    planet_facts,
    read_chips,
    read_mosaic,
    read_place_texts,
    read_probe_places,
)


@pytest.fixture(scope="module")
def probes():
    return read_probe_places()


@pytest.fixture(scope="module")
def modalities():
    chips = {name: read_chips(name) for name in ("satellite", "night_lights")}
    return {**chips, "texts": read_place_texts()}


def test_the_files_are_those_that_were_built():
    folder = resources.files("geotether") / "sources" / "planet_data"
    for name, digest in planet_facts()["sha256"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name
    assert sum(len(file.read_bytes()) for file in folder.iterdir()) < 12e6


def test_sizes(probes, modalities):
    sizes = {"satellite": 16_000, "night_lights": 12_000, "texts": 20_000}
    assert {name: len(kept.lonlat) for name, kept in modalities.items()} == sizes
    assert modalities["satellite"].chips.shape == (16_000, 16, 16, 3)
    assert len(modalities["texts"].texts) == 20_000
    assert all(len(values) == 20_000 for values in probes.labels.values())
    assert probes.labels["population_density"].min() >= 0


def test_probe_places_are_apart_from_every_place_used_for_pretraining(probes, modalities):
    for kept in modalities.values():
        assert nearest_km(kept.lonlat, probes.lonlat).min() > 5.0


def test_a_mosaic_shows_at_a_chip_what_the_chip_shows(modalities):
    mosaic, chips = read_mosaic("night_lights"), modalities["night_lights"]
    assert mosaic.shape == (1440, 2880, 3)  # grey
    row = ((90 - chips.lonlat[:, 1]) // MOSAIC_STEP).astype(int)
    column = ((chips.lonlat[:, 0] + 180) // MOSAIC_STEP).astype(int) % 2880
    shown = mosaic[row, column, 0]
    centre = chips.chips[:, 7:9, 7:9, 0].mean((1, 2))
    assert np.isfinite(shown).all()
    assert np.corrcoef(shown, centre)[0, 1] > 0.95
    assert np.isnan(mosaic[720, 1440 - 240]).all()  # the Atlantic at 30 degrees west


def test_modalities_share_no_places(modalities):
    places = [set(map(tuple, kept.lonlat.round(3))) for kept in modalities.values()]
    assert len(places[0] & places[1]) + len(places[0] & places[2]) + len(places[1] & places[2]) < 10


def test_the_split_is_made_of_whole_blocks_with_a_buffer(probes):
    blocks = block_id(probes.lonlat, planet_facts()["block_km"])
    np.testing.assert_array_equal(blocks, probes.block)
    inside = probes.split != "buffer"
    parts = {}
    for block, part in zip(blocks[inside], probes.split[inside], strict=True):
        parts.setdefault(block, set()).add(part)
    assert all(len(found) == 1 for found in parts.values())
    train, test = probes.lonlat[probes.split == "train"], probes.lonlat[probes.split == "test"]
    assert nearest_km(train, test).min() >= planet_facts()["buffer_km"] - 1e-6
    assert len(train) >= 9000


def test_an_error_about_unknown_chips_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"'radar'.* satellite, night_lights"):
        read_chips("radar")
