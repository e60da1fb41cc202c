"""Mirrors src/geotether/probes/neighbors.py."""

import numpy as np
import pytest
from sklearn.metrics.pairwise import haversine_distances
from sklearn.neighbors import KNeighborsRegressor

from geotether.probes.neighbors import NeighborProbe, nearest


def places(count: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    return np.stack([rng.uniform(-180, 180, count), np.degrees(np.arcsin(rng.uniform(-1, 1, count)))], axis=1)


def test_equals_scikit_learn_on_the_sphere():
    train, test = places(200), places(50, seed=1)
    value = np.sin(np.radians(train[:, 0]))
    reference = KNeighborsRegressor(8, weights="distance", metric="haversine").fit(np.radians(train[:, ::-1]), value)
    got = NeighborProbe(counts=(8,)).fit(train, value).predict(test)
    np.testing.assert_allclose(got, reference.predict(np.radians(test[:, ::-1])), atol=1e-4)


def test_distance_crosses_the_antimeridian_and_the_pole():
    probe = NeighborProbe("classification", counts=(1,))
    probe.fit(np.array([[179.5, 0.0], [-170.0, 0.0], [0.0, 89.0], [180.0, 70.0]]), np.array(["a", "b", "c", "d"]))
    assert probe.predict(np.array([[-179.5, 0.0], [180.0, 89.0]])).tolist() == ["a", "c"]


def test_the_count_is_chosen_as_by_a_hand_loop():
    train = places(120)
    value = np.sin(3 * np.radians(train[:, 1])) + 0.5 * np.random.default_rng(2).standard_normal(120)
    folds, counts = np.arange(120) % 6, (1, 4, 16)
    distance = haversine_distances(np.radians(train[:, ::-1]))
    errors = []
    for count in counts:
        error = 0.0
        for row in range(120):
            others = [j for j in np.argsort(distance[row]) if folds[j] != folds[row]][:count]
            weight = 1 / (distance[row, others] + 1e-6)
            error += (np.average(value[others], weights=weight) - value[row]) ** 2
        errors.append(error)
    got = NeighborProbe(counts=counts).fit(train, value, folds)
    assert got.count_ == counts[int(np.argmin(errors))]


@pytest.mark.parametrize("width", [3, 40], ids=["tree", "all_pairs"])
def test_nearest_rows_in_embeddings(width):
    rng = np.random.default_rng(0)
    known, query = rng.standard_normal((90, width)), rng.standard_normal((20, width))
    distance, index = nearest(query, known, 5)
    full = np.linalg.norm(query[:, None] - known[None], axis=2)
    np.testing.assert_array_equal(index, np.argsort(full, axis=1)[:, :5])
    np.testing.assert_allclose(distance, np.sort(full, axis=1)[:, :5], atol=1e-6)


def test_classes_in_embedding_space():
    rng = np.random.default_rng(0)
    features = rng.standard_normal((100, 20)).astype(np.float32)
    features[:50, 0] += 9
    word = np.repeat(["x", "y"], 50)
    probe = NeighborProbe("classification", "features").fit(features, word, np.arange(100) % 40)
    assert probe.predict(features).tolist() == word.tolist()


def test_more_neighbours_than_rows_means_all_rows():
    probe = NeighborProbe(counts=(32,)).fit(np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([0.0, 1.0]))
    assert probe.predict(np.array([[0.5, 0.0]])) == pytest.approx([0.5], abs=1e-6)


@pytest.mark.parametrize(
    ("options", "message"), [({"space": "plane"}, "sphere, features; got 'plane'"), ({"counts": (0,)}, "1 or more")]
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        NeighborProbe(**options).fit(places(4), np.arange(4.0))
