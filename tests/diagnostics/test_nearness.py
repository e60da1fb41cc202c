"""Mirrors src/geotether/diagnostics/nearness.py: distances of all pairs give the expected values."""

import numpy as np
import pytest

from geotether.diagnostics.nearness import nearness, overlap, seen_places
from geotether.diagnostics.places import even_places
from geotether.diagnostics.table_summary import overlap_lines
from geotether.geodesy.blocks import block_id
from geotether.geodesy.distance import great_circle_km
from geotether.tables.table import Table


@pytest.fixture
def soil():
    features = np.random.default_rng(0).standard_normal((400, 2)).astype(np.float32)
    split = np.array(["train", "train", "validation", "test"] * 100)
    return Table.single("soil", even_places(400), features, split=split)


def test_equals_a_double_loop():
    places, tables = even_places(30), {"photos": even_places(40, seed=1), "texts": even_places(15, seed=2)}
    found = nearness(places, tables)
    assert {name: one.rows for name, one in found.items()} == {"photos": 40, "texts": 15, "any modality": 55}
    for name in tables:
        want = [min(great_circle_km(place, other) for other in tables[name]) for place in places]
        np.testing.assert_allclose(found[name].km, want)
    np.testing.assert_allclose(found["any modality"].km, np.minimum(found["photos"].km, found["texts"].km))


def test_quantiles_and_shares():
    east = np.linspace(0.0, 1.0, 101)
    found = nearness(np.stack([east, np.zeros(101)], axis=1), {"one": np.array([[0.0, 0.0]])})["one"]
    assert found.quantiles_km["50%"] == pytest.approx(55.6, abs=0.1)
    assert found.quantiles_km["95%"] == pytest.approx(105.6, abs=0.1)
    shares = {1.0: 1 / 101, 10.0: 9 / 101, 50.0: 45 / 101, 100.0: 90 / 101, 500.0: 1.0}
    assert found.within() == pytest.approx(shares)


def test_an_empty_modality_is_infinitely_far():
    found = nearness(even_places(4), {"none": np.empty((0, 2))})
    assert list(found) == ["none"]
    assert np.isinf([*found["none"].km, *found["none"].quantiles_km.values()]).all()
    assert set(found["none"].within().values()) == {0.0}


def test_distances_cross_the_antimeridian():
    found = nearness(np.array([[179.9, 0.0]]), {"a": np.array([[-179.9, 0.0]])})["a"]
    assert found.km[0] == pytest.approx(22.24, abs=0.01)


def test_only_rows_that_training_saw_count():
    lonlat, features = even_places(4), np.eye(4, dtype=np.float32)
    np.testing.assert_array_equal(seen_places(Table.single("t", lonlat, features)), lonlat)
    split = np.array(["train", "validation", "buffer", "test"])
    np.testing.assert_array_equal(seen_places(Table.single("t", lonlat, features, split=split)), lonlat[:2])


@pytest.mark.parametrize(
    ("places", "tables", "message"),
    [
        (np.empty((0, 2)), {"a": even_places(2), "b": even_places(2)}, "0 places and 2 modalities"),
        (even_places(4), {}, "4 places and 0 modalities"),
        (even_places(4), {"swapped": np.array([[-33.87, 151.21]])}, "the other way round"),
    ],
)
def test_wrong_input(places, tables, message):
    with pytest.raises(ValueError, match=message):
        nearness(places, tables)


def test_the_overlap_equals_that_of_all_pairs(soil):
    other = Table.single("rain", even_places(150, 5), np.ones((150, 2), np.float32) * np.arange(150)[:, None])
    found = overlap(soil, other)
    km = great_circle_km(soil.lonlat[:, None], other.lonlat[None])  # every pair
    np.testing.assert_allclose(found.forth.km, km.min(axis=1), rtol=1e-6)
    np.testing.assert_allclose(found.back.km, km.min(axis=0), rtol=1e-6)
    held = np.isin(soil.split, ["validation", "test"])
    np.testing.assert_allclose(found.seen_back.km, km[held].min(axis=1), rtol=1e-6)
    assert found.seen_forth.within() == {}, "a table without a split has no held-out rows"
    mine, theirs = (set(block_id(one.lonlat, 500.0).tolist()) for one in (soil, other))
    assert found.blocks == (len(mine), len(theirs), len(mine & theirs))
    assert len(overlap(soil, other, max_rows=40).forth.km) == 40


@pytest.mark.parametrize(("near_rows", "verdict"), [(400, "contradict"), (4, "except at borders"), (0, "agree")])
def test_contradicting_splits(soil, near_rows, verdict):
    lonlat = np.tile([[0.0, -89.9]], (400, 1))
    lonlat[:near_rows] = soil.lonlat[:near_rows] + np.array([0.0, 5.0 / 111.2])
    lonlat = np.clip(lonlat, -180, 90)
    far = Table.single("far", lonlat, soil.features, split=np.full(400, "train"))
    lines = [words for name, words in overlap_lines(overlap(soil, far)) if name == "splits"]
    assert len(lines) == 1
    assert verdict in lines[0].rsplit(":", 1)[1]
