"""Mirrors src/geotether/context/smoothing.py."""

import numpy as np
import pytest

from geotether.context.smoothing import NodeGrid, bounds_of, gaussian_sums, node_steps, smooth
from geotether.geodesy.distance import EARTH_RADIUS_KM, great_circle_km

PLANET = (-180, -90, 180, 90)


def lonlat(nodes):
    return np.stack(np.meshgrid(nodes.lon, nodes.lat), axis=-1)


def by_hand(values, weight, nodes, km, targets):
    """Average around each target with weights of great-circle distances."""
    places, ground = lonlat(nodes).reshape(-1, 2), (weight * nodes.areas[:, None]).reshape(-1)
    found = []
    for place in lonlat(targets).reshape(-1, 2):
        g = ground * np.exp(-0.5 * (great_circle_km(places, place) / km) ** 2)
        found.append(g @ values.reshape(len(g), -1) / g.sum())
    return np.reshape(found, (targets.rows, targets.columns, -1))


@pytest.mark.parametrize("km", [300.0, 900.0])
def test_averages_are_those_of_great_circles_on_the_planet(km):
    nodes, targets = NodeGrid.around(PLANET, 2.5), NodeGrid.around(PLANET, 10.0)
    assert (nodes.rows, nodes.columns, targets.rows, targets.columns) == (73, 144, 19, 36)
    lon, lat = np.radians(lonlat(nodes)).transpose(2, 0, 1)
    # Harmonics, so that there is no jump at a pole or at 180 degrees.
    values = np.stack([np.sin(lat), np.cos(lat) ** 3 * np.cos(3 * lon), np.cos(lat) ** 8 * np.sin(8 * lon)], axis=-1)
    found, known = smooth(values.astype(np.float32), np.ones(lon.shape), nodes, km, targets)
    assert known.all()
    assert np.abs(found - by_hand(values, np.ones(lon.shape), nodes, km, targets)).max() < (0.01 if km < 500 else 0.06)
    assert np.ptp(found[0], axis=0).max() < 1e-5  # a pole is one place


def test_a_region_across_the_antimeridian_is_smoothed_as_the_planet_is():
    rng = np.random.default_rng(0)
    region, planet = NodeGrid.around((170, -60, 190, -40), 1.0), NodeGrid.around(PLANET, 1.0)
    assert (region.west, region.rows, region.columns) == (170, 21, 21)
    values, weight = rng.standard_normal((21, 21, 2)).astype(np.float32), rng.integers(0, 2, (21, 21)).astype(float)
    whole, share = np.zeros((181, 360, 2), np.float32), np.zeros((181, 360))
    columns = np.arange(350, 371) % 360
    whole[130:151, columns], share[130:151, columns] = values, weight
    targets = NodeGrid.around((170, -60, 190, -40), 5.0, 300)
    found, known = smooth(values, weight, region, 150.0, targets)
    expected, everywhere = smooth(whole, share, planet, 150.0, NodeGrid.around(PLANET, 5.0))
    down = round((90 - targets.north) / 5) + np.arange(targets.rows)
    right = (round((targets.west + 180) / 5) + np.arange(targets.columns)) % 72
    np.testing.assert_allclose(found, expected[np.ix_(down, right)], atol=1e-4)
    np.testing.assert_array_equal(known, everywhere[np.ix_(down, right)])
    assert not known.all()
    assert known[1:-1, 2:-2].all()


def test_a_constant_stays_what_it_is_where_data_are_missing_beside_it():
    nodes = NodeGrid.around(PLANET, 3.0)
    weight = np.random.default_rng(1).random((nodes.rows, nodes.columns)) * (lonlat(nodes)[..., 1] > 0)
    found, known = smooth(np.full((nodes.rows, nodes.columns, 1), 2.5, np.float32), weight, nodes, 200.0, nodes)
    np.testing.assert_allclose(found[known], 2.5, rtol=1e-5)
    assert not found[~known].any()
    assert known[:30].all()
    assert not known[34:].any()  # 3 degrees are 334 km


def test_one_value_spreads_as_a_gaussian_of_true_ground_at_any_latitude():
    nodes = NodeGrid.around(PLANET, 1.0)
    for row, column in ((20, 0), (90, 200), (170, 359)):
        values = np.zeros((nodes.rows, nodes.columns, 1), np.float32)
        values[row, column] = 1
        found = gaussian_sums(values, nodes, 200.0, nodes)[..., 0]
        km = great_circle_km(lonlat(nodes), lonlat(nodes)[row, column])
        near = km < 400
        np.testing.assert_allclose(found[near], np.exp(-0.5 * (km[near] / 200) ** 2), atol=0.05)
        assert found[km > 1500].max(initial=0) < 1e-4


def test_areas_add_up_to_the_sphere():
    for step in (1.0, 7.5, 45.0):
        nodes = NodeGrid.around(PLANET, step)
        np.testing.assert_allclose(nodes.areas.sum() * nodes.columns, 4 * np.pi * EARTH_RADIUS_KM**2)


@pytest.mark.parametrize(
    ("scales", "finest", "steps"),
    [
        ([15, 30, 100, 300], 0.25, [0.25, 0.5, 1.5, 5.0]),
        ([300, 30], 0.5, [5.0, 0.5]),
        ([0.05, 1], 0.00075, None),
        ([770], 12.0, [12.0]),
        ([300, 900, 20_000], 5.0, [5.0, 15.0, 30.0]),
    ],
)
def test_steps_divide_180_and_are_multiples_of_the_finest(scales, finest, steps):
    found, each = node_steps(scales)
    assert found == finest
    assert steps is None or each == steps
    for step, km in zip(each, scales, strict=True):
        assert round(180 / step) * step == pytest.approx(180)
        assert round(step / finest) * finest == pytest.approx(step)
        assert km > 1000 or 1.4 < step * 111.195 / km < 2.3


@pytest.mark.parametrize(
    ("lon", "expected"),
    [([10, 20], (10, 20)), ([179, -178], (179, 182)), ([350, 5, 20], (-10, 20)), ([7, 7], (7, 7))],
)
def test_bounds_leave_the_widest_gap_outside(lon, expected):
    west, south, east, north = bounds_of(np.stack([np.array(lon, float), np.linspace(-5, 5, len(lon))], axis=1))
    assert (west, east) == pytest.approx(expected)
    assert (south, north) == (-5, 5)
