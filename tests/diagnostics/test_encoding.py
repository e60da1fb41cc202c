"""Mirrors src/geotether/diagnostics/encoding.py."""

import numpy as np
import pytest

from geotether.diagnostics.encoding import encode_places, even_places, land_places, move
from geotether.geodesy.coordinates import unit_vectors
from geotether.geodesy.distance import great_circle_km

CORNERS = np.array(
    [[0.0, 0.0], [179.9, 10.0], [-180.0, -45.0], [30.0, 89.9], [0.0, 90.0], [120.0, -90.0], [359.0, 60.0]]
)


@pytest.mark.parametrize("chunk_rows", [1, 3, 100])
def test_chunks_do_not_matter(chunk_rows):
    asked = []

    def encoder(lonlat):
        asked.append(len(lonlat))
        return unit_vectors(lonlat)

    np.testing.assert_array_equal(encode_places(encoder, CORNERS, chunk_rows), unit_vectors(CORNERS))
    assert max(asked) <= chunk_rows


def test_whole_numbers_become_floats_and_float32_stays():
    assert encode_places(lambda p: np.ones((len(p), 2), dtype=int), CORNERS).dtype == np.float64
    assert encode_places(lambda p: np.ones((len(p), 2), dtype=np.float32), CORNERS).dtype == np.float32


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda p: np.ones(len(p)), r"shape \(7,\) for 7 places"),
        (lambda p: np.ones((3, 2)), r"shape \(3, 2\) for 7 places"),
        (lambda p: np.ones((len(p), 0)), r"shape \(7, 0\)"),
        (lambda p: np.full((len(p), 2), "a"), "<U1 of shape"),
        (lambda p: np.where(p == 89.9, np.nan, p), "NaN or infinity for 1 of 7 places, first at lon=30, lat=89.9"),
    ],
)
def test_unfit_answers_are_named(answer, message):
    with pytest.raises(ValueError, match=message):
        encode_places(answer, CORNERS)


def test_misuse_is_named():
    with pytest.raises(TypeError, match="encoder is a str"):
        encode_places("model", CORNERS)
    with pytest.raises(ValueError, match="no places to encode"):
        encode_places(unit_vectors, np.empty((0, 2)))
    with pytest.raises(ValueError, match="the other way round"):
        encode_places(unit_vectors, np.array([[-33.87, 151.21]]))
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
def test_moving_goes_as_far_as_told(km, bearing):
    np.testing.assert_allclose(great_circle_km(CORNERS, move(CORNERS, np.array([bearing]), km)), km, rtol=1e-8)


def test_bearings_are_clockwise_from_north():
    start = np.array([[10.0, 0.0]] * 4)
    quarter = 40030.17 / 360
    got = move(start, np.array([0.0, 90.0, 180.0, 270.0]), quarter)
    np.testing.assert_allclose(got, [[10, 1], [11, 0], [10, -1], [9, 0]], atol=1e-4)
