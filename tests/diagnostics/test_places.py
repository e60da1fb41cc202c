"""Mirrors src/geotether/diagnostics/places.py."""

import numpy as np
import pytest

from geotether.diagnostics.places import even_places, land_places, move
from geotether.geodesy.coordinates import unit_vectors
from geotether.geodesy.distance import great_circle_km

CORNERS = np.array(
    [[0.0, 0.0], [179.9, 10.0], [-180.0, -45.0], [30.0, 89.9], [0.0, 90.0], [120.0, -90.0], [359.0, 60.0]]
)


def test_misuse_is_named():
    with pytest.raises(ValueError, match="20,000 places on land to draw from; got count=20,001"):
        land_places(20_001)


def test_even_places_are_even_by_area():
    lonlat = even_places(20_000, seed=3)
    np.testing.assert_allclose(unit_vectors(lonlat).mean(axis=0), 0.0, atol=0.02)
    assert (np.abs(lonlat[:, 1]) < 30).mean() == pytest.approx(0.5, abs=0.02)  # half of the sphere's area


def test_draws_repeat_with_their_seed_and_do_not_repeat_places():
    for draw in (even_places, land_places):
        np.testing.assert_array_equal(draw(50, seed=1), draw(50, seed=1))
        assert not np.array_equal(draw(50, seed=1), draw(50, seed=2))
        assert len(np.unique(draw(500), axis=0)) == 500


@pytest.mark.parametrize("km", [0.5, 500.0, 12_000.0])
@pytest.mark.parametrize("bearing", [0.0, 77.0, 180.0, 300.0])
def test_jitter_moves_places_by_the_given_distance(km, bearing):
    np.testing.assert_allclose(great_circle_km(CORNERS, move(CORNERS, np.array([bearing]), km)), km, rtol=1e-8)


def test_bearings_are_clockwise_from_north():
    start = np.array([[10.0, 0.0]] * 4)
    quarter = 40030.17 / 360
    got = move(start, np.array([0.0, 90.0, 180.0, 270.0]), quarter)
    np.testing.assert_allclose(got, [[10, 1], [11, 0], [10, -1], [9, 0]], atol=1e-4)
