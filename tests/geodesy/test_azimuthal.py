"""Mirrors src/geotether/geodesy/azimuthal.py."""

import numpy as np
import pytest

from geotether.geodesy.azimuthal import LARGEST_KM, ground_squares
from geotether.geodesy.coordinates import unit_vectors, wrap_longitude
from geotether.geodesy.distance import great_circle_km

CENTERS = np.array([
    [5.66, 51.97], [0, 0], [179.99, 60], [-180, -17], [30, 89.9], [30, -89.9], [0, 90], [77, -90],
], dtype=float)  # fmt: skip


@pytest.mark.parametrize("size", [2, 3, 8])
def test_agrees_with_projs_equal_area_map_on_the_sphere(size):
    pyproj = pytest.importorskip("pyproj")
    squares = ground_squares(CENTERS, km=300.0, size=size)
    offsets = ((np.arange(size) + 0.5) / size - 0.5) * 300_000.0
    x, y = np.meshgrid(offsets, -offsets)
    for (lon, lat), square in zip(CENTERS, squares, strict=True):
        # At a pole PROJ cannot say which way is north; a hair beside it can.
        lat = np.clip(lat, -90 + 1e-9, 90 - 1e-9)
        local = pyproj.Proj(proj="laea", lat_0=lat, lon_0=lon, R=6371008.8)
        there = np.stack(local(x, y, inverse=True), axis=-1)
        assert great_circle_km(there, square).max() < 1e-3


@pytest.mark.parametrize("km", [1.0, 100.0])
def test_sides_have_the_same_length_on_the_ground_everywhere(km):
    size = 11  # so corner centres lie 10/11 of the side apart
    squares = ground_squares(CENTERS, km, size)
    corners = squares[:, [0, 0, -1, -1], [0, -1, -1, 0]]
    sides = great_circle_km(corners, np.roll(corners, -1, axis=1))
    np.testing.assert_allclose(sides, km * 10 / 11, rtol=1e-4)
    np.testing.assert_allclose(great_circle_km(squares[:, 5, 5], CENTERS), 0, atol=1e-4)


def test_north_is_up_and_east_is_right_and_longitudes_run_on_over_the_antimeridian():
    square = ground_squares(np.array([[179.9, 60.0]]), km=200.0, size=5)[0]
    assert (np.diff(square[:, 2, 1]) < 0).all()
    assert (np.diff(square[2, :, 0]) > 0).all()
    assert square[2, 4, 0] > 180
    assert wrap_longitude(square[2, 4, 0]) < 0


def test_a_square_over_the_pole_reaches_all_round_it():
    square = ground_squares(np.array([[0.0, 90.0]]), km=200.0, size=20)[0]
    quarters = np.unique(np.floor(wrap_longitude(square[..., 0]) / 90))
    assert quarters.tolist() == [-2, -1, 0, 1]
    assert np.abs(unit_vectors(square).mean(axis=(0, 1))[:2]).max() < 1e-12


def test_pixels_of_a_square_that_nearly_covers_the_earth_keep_their_area():
    places = ground_squares(np.array([[10.0, 40.0]]), km=0.9 * LARGEST_KM, size=60)[0]
    a, b, c, d = (unit_vectors(places)[i : 59 + i, j : 59 + j] for i, j in ((0, 0), (0, 1), (1, 1), (1, 0)))
    # Flat quadrilaterals hang a little below the sphere, by a share that is alike for all.
    area = np.linalg.norm(np.cross(c - a, d - b), axis=-1) / 2
    assert np.ptp(area[20:40, 20:40]) < 0.002 * area[20:40, 20:40].mean()
    assert ground_squares(np.empty((0, 2)), km=1.0, size=3).shape == (0, 3, 3, 2)


@pytest.mark.parametrize("km, size, words", [(0, 3, "above 0"), (1e5, 3, "up to 18,002"), (1, 0, "size must be 1")])
def test_a_side_that_is_not_square_is_an_error(km, size, words):
    with pytest.raises(ValueError, match=words):
        ground_squares(CENTERS, km, size)
