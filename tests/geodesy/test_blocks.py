"""Mirrors src/geotether/geodesy/blocks.py."""

import numpy as np
import pytest

from geotether.geodesy.blocks import block_center, block_count, block_id, within_km_of
from geotether.geodesy.distance import EARTH_RADIUS_KM, great_circle_km

SIDES = [300, 1000, 1112, 2500]


def uniform_on_the_sphere(n: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.stack([rng.uniform(-180, 180, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))], axis=1)


@pytest.mark.parametrize("block_km", SIDES)
def test_areas_are_equal(block_km):
    """Equal areas catch equal shares of evenly strewn points, up to counting noise."""
    count = block_count(block_km)
    per_block = 400
    ids = block_id(uniform_on_the_sphere(per_block * count), block_km)
    found = np.bincount(ids, minlength=count)
    assert len(found) == count
    chi_square = ((found - per_block) ** 2 / per_block).sum()
    assert abs(chi_square - count) < 6 * np.sqrt(2 * count)


@pytest.mark.parametrize("block_km", SIDES)
def test_area_is_what_the_side_says(block_km):
    earth = 4 * np.pi * EARTH_RADIUS_KM**2
    assert earth / block_count(block_km) == pytest.approx(block_km**2, rel=0.05)


@pytest.mark.parametrize("block_km", SIDES)
def test_centers_lie_in_their_blocks(block_km):
    ids = np.arange(block_count(block_km))
    np.testing.assert_array_equal(block_id(block_center(ids, block_km), block_km), ids)


def test_blocks_are_compact():
    """No place is farther from its block's centre than a stretched block allows."""
    places = uniform_on_the_sphere(20_000)
    centers = block_center(block_id(places, 1000), 1000)
    # 707 km is half the diagonal of a square; wedges at the poles are longer.
    far = great_circle_km(places, centers)
    assert far[np.abs(places[:, 1]) < 70].max() < 1000
    assert far.max() < 1300


def test_poles_and_antimeridian():
    ends = np.array([(0.0, 90.0), (0.0, -90.0), (-180.0, 10.0), (180.0, 10.0), (360.0, 10.0), (0.0, 10.0)])
    ids = block_id(ends, 1000)
    assert ids[0] >= block_count(1000) - 4
    assert 0 <= ids[1] < 4
    assert ids[2] == ids[3]
    assert ids[4] == ids[5]
    assert block_id(np.empty((0, 2)), 1000).shape == (0,)


def test_one_block_can_hold_the_earth():
    assert set(block_id(uniform_on_the_sphere(100), 20_000)) == {0}


def test_errors_list_the_possible_values():
    for bad in (0, -5, float("nan"), 50_000):
        with pytest.raises(ValueError, match=r"block_km must lie in \[0\.1, 20015\]"):
            block_id(np.zeros((1, 2)), bad)
    with pytest.raises(ValueError, match="numbered 0 to 507, got 508"):
        block_center(np.array([508]), 1000)
    with pytest.raises(ValueError, match="other way round"):
        block_id(np.array([[-33.87, 151.21]]), 1000)


@pytest.mark.parametrize("km", [0, 300, 2000])
def test_within_agrees_with_all_pairs(km):
    places, others = uniform_on_the_sphere(500), uniform_on_the_sphere(520)[500:]
    want = (great_circle_km(places[:, None], others[None]) <= km).any(axis=1)
    np.testing.assert_array_equal(within_km_of(places, others, km), want)


def test_within_counts_the_limit_and_copes_with_nothing():
    here = np.array([[179.95, 0.0]])
    there = np.array([[-179.95, 0.0]])
    assert within_km_of(here, there, float(great_circle_km(here, there)[0])).all()
    assert within_km_of(here, here, 0).all()
    assert not within_km_of(here, np.empty((0, 2)), 1e4).any()
    assert within_km_of(np.empty((0, 2)), here, 1).shape == (0,)
