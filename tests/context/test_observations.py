"""Mirrors src/geotether/context/observations.py."""

import numpy as np
import pytest

from geotether.context.observations import (
    PRIOR,
    WIDTHS,
    merged_places,
    observation_field,
    observed_components,
    push_pull,
)
from geotether.context.smoothing import NodeGrid
from geotether.geodesy.distance import great_circle_km
from geotether.sources.sampling import sample_sphere
from geotether.tables.table import Table

NODES = NodeGrid.around((-180, -90, 180, 90), 1.0)
LONLAT = np.stack(np.meshgrid(NODES.lon, NODES.lat), axis=-1)


def test_observations_of_one_place_are_averaged():
    lonlat = np.array([[3.0, 1.0], [-2.0, 5.0], [3.0, 1.0 + 1e-8]])
    places, values = merged_places(lonlat, np.array([[1.0], [7.0], [3.0]], dtype=np.float32))
    assert places.tolist() == [[-2.0, 5.0], [3.0, 1.0]]
    assert values.tolist() == [[7.0], [2.0]]


def test_nodes_have_the_average_of_the_nearest_width_that_has_observations():
    places = np.array([[0.0, 0.0], [4.0, 0.0], [180.0, 40.0], [-60.0, -70.0], [0.0, 90.0]])
    values = np.array([[1.0, 0.0], [3.0, 1.0], [-2.0, 1.0], [5.0, 1.0], [-4.0, -2.0]], dtype=np.float32)
    found, known = push_pull(places, values, NODES, 60.0)
    for place in [*places, [2.0, 0.0], [-179.0, 42.0], [30.0, 30.0], [120.0, -50.0], [-57.0, -71.0]]:
        expected = np.zeros(2)
        for width in reversed(WIDTHS):
            g = np.exp(-0.5 * (great_circle_km(places, np.asarray(place)) / (60 * width)) ** 2)
            expected = (g @ values + PRIOR * expected) / (g.sum() + PRIOR)
        row, column = round(90 - place[1]), round(place[0] + 180) % 360
        np.testing.assert_allclose(found[row, column], expected, atol=0.15)
    nearest = np.min([great_circle_km(LONLAT, place) for place in places], axis=0)
    assert known[(nearest < 300) & (LONLAT[..., 1] < 80)].all()
    assert not known[nearest > 420].any()


def test_a_place_between_nodes_and_beside_the_antimeridian_is_shared_by_its_neighbours():
    places = np.array([[179.5, 10.5], [-179.6, -20.25]])
    found, known = push_pull(places, np.array([[1.0], [1.0]], np.float32), NODES, 100.0)
    np.testing.assert_allclose(found[79, [359, 0], 0], found[80, [359, 0], 0], rtol=0.02)
    np.testing.assert_allclose(found[79, 359], found[79, 0], rtol=1e-3)
    assert found[110, 0] > max(found[111, 0], found[110, 1])
    assert known[[80, 110], [0, 359]].all()


def test_a_region_has_the_field_of_the_planet():
    rng = np.random.default_rng(0)
    places = np.stack([rng.uniform(172, 186, 30), rng.uniform(48, 56, 30)], axis=1)
    values = rng.standard_normal((30, 2)).astype(np.float32)
    region = NodeGrid.around((172, 48, 186, 56), 1.0, 200)
    own, near = push_pull(places, values, region, 60.0)
    whole, known = push_pull(places, values, NODES, 60.0)
    columns = (round(region.west + 180) + np.arange(region.columns)) % 360
    rows = round(90 - region.north) + np.arange(region.rows)
    np.testing.assert_allclose(own, whole[np.ix_(rows, columns)], atol=1e-4)
    np.testing.assert_array_equal(near, known[np.ix_(rows, columns)])


def test_components_are_squeezed_principal_components_and_their_field_follows_the_observations():
    lonlat = sample_sphere(3000, seed=0)
    height = np.sin(np.radians(lonlat[:, 1]))
    features = np.stack([height, -2 * height, np.random.default_rng(0).standard_normal(3000)], axis=1)
    table = Table.single("height", lonlat, features.astype(np.float32))
    field, known = observation_field(table, 1, NODES, 200.0)
    expected = np.sin(np.radians(LONLAT[known][:, 1]))
    assert abs(np.corrcoef(field[..., 0][known], expected)[0, 1]) > 0.99
    features[0] = 1e4  # one row of another kind
    values = observed_components(Table.single("height", lonlat, features.astype(np.float32)), 2)
    assert np.abs(values).max() < 4.001


def test_one_observation_is_enough():
    field, known = push_pull(np.zeros((1, 2)), np.ones((1, 1), np.float32), NODES, 60.0)
    assert field[90, 180, 0] == pytest.approx(1, abs=0.02)
    assert np.isfinite(field).all()
    assert known.any()
