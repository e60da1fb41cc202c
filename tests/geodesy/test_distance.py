"""Mirrors src/geotether/geodesy/distance.py."""

import math

import numpy as np
import pytest
from sklearn.metrics.pairwise import haversine_distances

from geotether.geodesy.coordinates import unit_vectors
from geotether.geodesy.distance import EARTH_RADIUS_KM, chord_of_km, great_circle_km, nearest_km


def world(n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([rng.uniform(-180, 180, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))], axis=1)


def test_agrees_with_scikit_learn():
    a, b = world(40, 0), world(30, 1)
    want = EARTH_RADIUS_KM * haversine_distances(np.radians(a[:, ::-1]), np.radians(b[:, ::-1]))
    np.testing.assert_allclose(great_circle_km(a[:, None], b[None]), want, rtol=1e-9)


@pytest.mark.parametrize(
    ("a", "b", "degrees"),
    [
        ((179.9, 0), (-179.9, 0), 0.2),
        ((0, 90), (123, 90), 0),
        ((0, 89), (180, 89), 2),
        ((0, 0), (180, 0), 180),
        ((10, 20), (-170, -20), 180),
        ((5.66, 51.97), (5.66, 51.97), 0),
        ((0, 0), (0, 1e-9), 1e-9),
    ],
)
def test_known_distances(a, b, degrees):
    got = great_circle_km(np.array(a, dtype=float), np.array(b, dtype=float))
    assert got == pytest.approx(math.radians(degrees) * EARTH_RADIUS_KM, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("km", [0, 0.001, 5, 1000, 20_015.0])
def test_chord_is_the_straight_line(km):
    degrees = math.degrees(km / EARTH_RADIUS_KM)
    a, b = unit_vectors(np.array([[0.0, 0.0], [degrees, 0.0]]))
    assert chord_of_km(km) == pytest.approx(np.linalg.norm(a - b), abs=1e-15)


def test_chord_limits():
    assert chord_of_km(1e9) == 2
    for bad in (-1, float("nan")):
        with pytest.raises(ValueError, match="km must be 0 or more"):
            chord_of_km(bad)


def test_nearest_agrees_with_all_pairs():
    a, b = world(200, 2), np.concatenate([world(50, 3), [[-180.0, 10.0], [0.0, 90.0]]])
    want = great_circle_km(a[:, None], b[None]).min(axis=1)
    np.testing.assert_allclose(nearest_km(a, b), want, atol=1e-6)


def test_the_nearest_of_no_places_is_infinitely_far():
    assert np.isinf(nearest_km(world(3, 0), np.empty((0, 2)))).all()
    assert nearest_km(np.empty((0, 2)), world(3, 0)).shape == (0,)
