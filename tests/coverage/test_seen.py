"""Mirrors src/geotether/coverage/seen.py."""

import numpy as np
import pytest

from geotether.coverage.seen import REFERENCE_PLACES, SeenPlaces
from geotether.geodesy.blocks import block_id
from geotether.geodesy.coordinates import unit_vectors
from geotether.geodesy.distance import great_circle_km
from geotether.probes.applicability import upper_whisker


def land(count, seed=0):
    """Places in the western half of the northern hemisphere."""
    rng = np.random.default_rng(seed)
    return np.stack([rng.uniform(-180, 0, count), np.degrees(np.arcsin(rng.uniform(0, 1, count)))], axis=1)


@pytest.fixture
def seen():
    found = SeenPlaces.of({"rain": land(900), "soil": land(300, seed=1)})
    found.fit(unit_vectors)
    return found


def test_thresholds_are_the_whiskers_of_left_out_blocks(seen):
    places = seen.centers
    blocks = block_id(places, 1000.0)
    # Other folds are at least as far as other blocks, and every place is in a block of its own fold.
    km = great_circle_km(places[:, None], places[None])
    other_blocks = np.where(blocks[:, None] == blocks[None], np.inf, km).min(axis=1)
    assert upper_whisker(other_blocks) <= seen.threshold_km < 2000
    near, far = (seen.dissimilarity(one, unit_vectors) for one in (land(500, seed=2), -land(500, seed=2)))
    assert (near <= seen.threshold).mean() > 0.99
    assert (far <= seen.threshold).mean() < 0.2


def test_many_places_are_represented_by_a_sample_that_does_not_change():
    asked = []

    def encode(lonlat):
        asked.append(lonlat)
        return unit_vectors(lonlat)

    for _ in range(2):
        seen = SeenPlaces.of({"a": land(9000), "b": land(5000, seed=4)})
        seen.fit(encode)
    np.testing.assert_array_equal(asked[0], asked[len(asked) // 2])
    assert len(asked[0]) == REFERENCE_PLACES < len(seen.centers)
    assert np.isin(block_id(asked[0], 10.0), np.union1d(seen.cells["a"].ids, seen.cells["b"].ids)).all()


def test_saved_places_give_the_same_answers(seen):
    again = SeenPlaces.unpack(seen.describe(), seen.pack())
    places = land(50, seed=3)
    for name, km in seen.km_to(places).items():
        np.testing.assert_array_equal(again.km_to(places)[name], km)
    assert again.describe() == seen.describe()
    np.testing.assert_array_equal(again.dissimilarity(places, unit_vectors), seen.dissimilarity(places, unit_vectors))


def test_an_odd_place_that_was_seen_is_known_although_no_reference_place_is_like_it():
    odd = np.array([[10.0, 50.0]])

    def encode(lonlat):
        there = np.abs(lonlat - odd).max(axis=1, keepdims=True) < 0.2
        return np.where(there, 9.0, unit_vectors(lonlat))

    places = np.concatenate([land(9000), odd])
    seen = SeenPlaces.of({"rain": places})
    seen.fit(encode)
    without = SeenPlaces.of({"rain": places[:-1]})
    without.fit(encode)
    assert seen.dissimilarity(odd, encode)[0] < 1e-6
    assert without.dissimilarity(odd, encode)[0] > without.threshold


def test_places_of_a_region_have_smaller_blocks():
    found = SeenPlaces.of({"rain": [5.0, 52.0] + 0.02 * land(500)})
    found.fit(unit_vectors)
    assert 0 < found.threshold_km < 200


@pytest.mark.parametrize(
    ("places", "encode"),
    [(np.array([[5.0, 52.0]]), unit_vectors), (land(300), lambda lonlat: np.ones((len(lonlat), 3)))],
    ids=["one_place", "equal_embeddings"],
)
def test_without_contrast_there_is_no_threshold(places, encode):
    found = SeenPlaces.of({"rain": places})
    found.fit(encode)
    assert found.threshold is found.threshold_km is found.dissimilarity(places, encode) is None
    assert SeenPlaces.unpack(found.describe(), found.pack()).threshold is None
    assert found.km_to(places)["rain"].max() < 10


def test_no_places_are_refused():
    with pytest.raises(ValueError, match="no training places"):
        SeenPlaces.of({"rain": land(1)[:0]})
