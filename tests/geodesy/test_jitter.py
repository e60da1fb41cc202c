"""Mirrors src/geotether/geodesy/jitter.py."""

import math

import numpy as np
import pytest
import torch

from geotether.geodesy.distance import great_circle_km
from geotether.geodesy.jitter import jitter_lonlat

PLACES = [(0.0, 0.0), (5.66, 51.97), (180.0, 0.0), (-180.0, 65.0), (0.0, 90.0), (77.0, -90.0), (30.0, 89.99)]


def jittered(place: tuple[float, float], sigma_m: float, n: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    lonlat = torch.tensor([place], dtype=torch.float64).repeat(n, 1)
    moved = jitter_lonlat(lonlat, sigma_m, torch.Generator().manual_seed(0))
    return lonlat.numpy(), moved.numpy()


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("sigma_m", [1.0, 20_000.0])
def test_steps_are_as_long_everywhere(place, sigma_m):
    start, moved = jittered(place, sigma_m)
    steps = 1000 * great_circle_km(start, moved)
    # Two independent Gaussian axes: a Rayleigh distribution.
    assert np.sqrt((steps**2).mean()) == pytest.approx(math.sqrt(2) * sigma_m, rel=0.02)
    assert np.median(steps) == pytest.approx(sigma_m * math.sqrt(2 * math.log(2)), rel=0.03)


@pytest.mark.parametrize("place", PLACES[:4])
def test_no_direction_is_preferred(place):
    """On the ground, not in degrees; measured in a plane computed by hand around the place."""
    _, moved = jittered(place, 1000.0)
    east = np.radians((moved[:, 0] - place[0] + 180) % 360 - 180) * math.cos(math.radians(place[1])) * 6_371_008.8
    north = np.radians(moved[:, 1] - place[1]) * 6_371_008.8
    covariance = np.cov(east, north) / 1000.0**2
    np.testing.assert_allclose(covariance, np.eye(2), atol=0.04)
    np.testing.assert_allclose([east.mean(), north.mean()], 0, atol=30)


def test_every_longitude_occurs_around_the_pole():
    _, moved = jittered((0.0, 90.0), 1000.0)
    shares, _ = np.histogram(moved[:, 0], bins=8, range=(-180, 180))
    np.testing.assert_allclose(shares / len(moved), 1 / 8, atol=0.02)


@pytest.mark.parametrize("place", PLACES)
def test_the_result_is_valid_places(place):
    _, moved = jittered(place, 200_000.0)
    assert np.isfinite(moved).all()
    assert (np.abs(moved[:, 1]) <= 90).all()
    assert ((moved[:, 0] >= -180) & (moved[:, 0] < 180)).all()


def test_edges():
    empty = torch.empty(0, 2, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    assert jitter_lonlat(empty, 5.0, generator).shape == (0, 2)
    one = torch.tensor([[181.0, 5.0]], dtype=torch.float64)
    torch.testing.assert_close(jitter_lonlat(one, 0, generator), one)
    for bad in (-1.0, float("nan")):
        with pytest.raises(ValueError, match="sigma_m must be 0 metres or more"):
            jitter_lonlat(one, bad, generator)
