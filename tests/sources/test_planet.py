"""Mirrors src/geotether/sources/planet.py: is the shipped planet what docs/demo-planet.md says?"""

import hashlib
from importlib import resources

import numpy as np
import pytest
from PIL import Image

from geotether.geodesy import block_id, great_circle_km, nearest_km
from geotether.sources.planet import planet_facts, read_chips, read_place_texts, read_probe_places


@pytest.fixture(scope="module")
def probes():
    return read_probe_places()


@pytest.fixture(scope="module")
def modalities():
    return {
        "satellite": read_chips("satellite"),
        "night_lights": read_chips("night_lights"),
        "texts": read_place_texts(),
    }


def nearest(probes, lon, lat):
    return int(great_circle_km(probes.lonlat, np.array([lon, lat])).argmin())


def test_the_files_are_those_that_were_built():
    folder = resources.files("geotether") / "sources" / "planet_data"
    for name, digest in planet_facts()["sha256"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name
    assert sum(len(file.read_bytes()) for file in folder.iterdir()) < 12e6


def test_sizes(probes, modalities):
    assert {name: len(kept.lonlat) for name, kept in modalities.items()} == {
        "satellite": 16_000,
        "night_lights": 12_000,
        "texts": 20_000,
    }
    assert modalities["satellite"].chips.shape == (16_000, 16, 16, 3)
    assert len(modalities["texts"].texts) == 20_000
    assert all(len(values) == 20_000 for values in probes.labels.values())


def test_probe_places_are_apart_from_every_place_used_for_pretraining(probes, modalities):
    for kept in modalities.values():
        assert nearest_km(kept.lonlat, probes.lonlat).min() > 5.0


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


@pytest.mark.parametrize(
    ("lon", "lat", "country"),
    [(2.35, 48.85, "FR"), (-99.1, 39.5, "US"), (134.0, -25.0, "AU"), (77.2, 28.6, "IN"), (-47.9, -15.8, "BR")],
)
def test_countries_that_everyone_knows(probes, lon, lat, country):
    assert probes.labels["country"][nearest(probes, lon, lat)] == country


def test_heights_that_everyone_knows(probes):
    height = probes.labels["elevation_m"]
    assert height[nearest(probes, 88.0, 33.0)] > 4000  # Tibet
    assert height[nearest(probes, -67.5, -20.0)] > 3300  # the Altiplano
    assert abs(height[nearest(probes, -60.0, -3.1)]) < 150  # the Amazon at Manaus
    assert 400 < height[nearest(probes, -99.0, 38.5)] < 900  # Kansas


def test_july_is_hot_and_cold_where_it_should_be(probes):
    july = probes.labels["july_temperature_c"]
    assert july[nearest(probes, 2.0, 25.0)] > 30  # the Sahara
    assert july[nearest(probes, -40.0, 72.0)] < 5 or july[nearest(probes, 88.0, 33.0)] < 15
    assert 14 < july[nearest(probes, 5.66, 51.97)] < 20  # Wageningen
    assert 5 < july[nearest(probes, 147.0, -42.0)] < 12  # Tasmania, in winter


def test_people_live_where_they_live(probes):
    density = probes.labels["population_density"]
    assert density.min() >= 0
    assert density[nearest(probes, 77.2, 28.6)] > 300  # Delhi
    assert density[nearest(probes, 25.0, 24.0)] < 5  # the Libyan desert


def test_lights_are_brighter_where_people_are(probes, modalities):
    lights = modalities["night_lights"]
    white = (lights.chips.min(axis=-1) > 100).mean(axis=(1, 2))
    here = probes.labels["population_density"][
        [great_circle_km(probes.lonlat, place).argmin() for place in lights.lonlat[:1500]]
    ]
    assert np.corrcoef(np.log1p(here), white[:1500])[0, 1] > 0.4


def test_heights_agree_with_an_independent_model(probes, shared_data):
    relief = np.asarray(Image.open(shared_data / "downstream" / "elevation_etopo_20min.tif"))
    rows = ((90 - probes.lonlat[:, 1]) / 180 * relief.shape[0]).astype(int)
    columns = np.minimum(((probes.lonlat[:, 0] + 180) / 360 * relief.shape[1]).astype(int), relief.shape[1] - 1)
    assert np.corrcoef(relief[rows, columns], probes.labels["elevation_m"])[0, 1] > 0.95


def test_unknown_chips_are_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="no chips called 'radar'; it has satellite, night_lights"):
        read_chips("radar")
