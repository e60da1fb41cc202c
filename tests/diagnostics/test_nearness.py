"""Mirrors src/geotether/diagnostics/nearness.py."""

import numpy as np
import pytest

from geotether.diagnostics.nearness import coverage, leakage, seen_places
from geotether.diagnostics.places import even_places
from geotether.geodesy.distance import great_circle_km
from geotether.tables.table import Table


@pytest.fixture
def tables():
    return {"photos": even_places(40, seed=1), "texts": even_places(15, seed=2)}


@pytest.mark.parametrize("measure", [leakage, coverage])
def test_equals_a_double_loop(tables, measure):
    places = even_places(30)
    found = measure(places, tables)
    assert list(found) == ["photos", "texts", "any modality"]
    for name in tables:
        want = [min(great_circle_km(place, other) for other in tables[name]) for place in places]
        np.testing.assert_allclose(found[name].km, want)
        assert found[name].rows == len(tables[name])
    np.testing.assert_allclose(found["any modality"].km, np.minimum(found["photos"].km, found["texts"].km))
    assert found["any modality"].rows == 55


def test_quantiles_and_shares():
    east = np.linspace(0.0, 1.0, 101)
    found = leakage(np.stack([east, np.zeros(101)], axis=1), {"one": np.array([[0.0, 0.0]])})["one"]
    assert found.quantiles_km["50%"] == pytest.approx(55.6, abs=0.1)
    assert found.quantiles_km["95%"] == pytest.approx(105.6, abs=0.1)
    assert found.within == pytest.approx({"1 km": 1 / 101, "10 km": 9 / 101, "50 km": 45 / 101, "100 km": 90 / 101,
                                          "500 km": 1.0})  # fmt: skip


def test_one_modality_needs_no_summary_and_an_empty_one_is_infinitely_far():
    found = coverage(even_places(4), {"none": np.empty((0, 2))})
    assert list(found) == ["none"]
    assert np.isinf(found["none"].km).all()
    assert set(found["none"].quantiles_km.values()) == {np.inf}
    assert set(found["none"].within.values()) == {0.0}


def test_distances_cross_the_antimeridian():
    assert coverage(np.array([[179.9, 0.0]]), {"a": np.array([[-179.9, 0.0]])})["a"].km[0] == pytest.approx(
        22.24, abs=0.01
    )


def test_only_rows_that_training_saw_count():
    lonlat = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [3.0, 0.0]])
    table = Table.single("t", lonlat, np.eye(4, dtype=np.float32))
    np.testing.assert_array_equal(seen_places(table), lonlat)
    split = np.array(["train", "validation", "buffer", "test"])
    table = Table.single("t", lonlat, np.eye(4, dtype=np.float32), split=split)
    np.testing.assert_array_equal(seen_places(table), lonlat[:2])


def test_misuse_is_named(tables):
    with pytest.raises(ValueError, match="0 places and 2 modalities"):
        leakage(np.empty((0, 2)), tables)
    with pytest.raises(ValueError, match="4 places and 0 modalities"):
        coverage(even_places(4), {})
    with pytest.raises(ValueError, match="the other way round"):
        coverage(even_places(4), {"swapped": np.array([[-33.87, 151.21]])})
