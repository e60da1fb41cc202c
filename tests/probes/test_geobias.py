"""Mirrors src/geotether/probes/geobias.py."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics.pairwise import haversine_distances

from geotether.geodesy.coordinates import lonlat_of_unit_vectors, unit_vectors
from geotether.geodesy.distance import EARTH_RADIUS_KM, great_circle_km
from geotether.probes.geobias import geo_bias, is_correct, moran_moments, moran_sum, nearest_others, surprisal


def places(count: int, seed: int = 0, spread: float = 0.4, at=(20.0, 45.0)):
    rng = np.random.default_rng(seed)
    return np.stack([at[0] + spread * rng.standard_normal(count), at[1] + spread * rng.standard_normal(count)], axis=1)


def by_hand(lonlat, correct, center, radius_km, marked, k=4):
    """One neighbourhood from the words of the definition, with scikit-learn's haversine distances."""
    near = [i for i in range(len(lonlat)) if great_circle_km(lonlat[i], lonlat[center]) <= radius_km]
    radius = radius_km / EARTH_RADIUS_KM
    spacing = 1 / math.sqrt(math.ceil(5 * len(near) / (math.pi * radius**2)))
    lon, lat = np.radians(lonlat[center])
    background = []
    for ring in range(1, math.ceil(radius / spacing) + 1):
        count, away = math.ceil(2 * math.pi * ring), spacing * ring
        for j in range(count):
            turn = -math.pi + 2 * math.pi * j / count  # from north over east, by the formulas of a direct geodesic
            y = math.sin(lat) * math.cos(away) + math.cos(lat) * math.sin(away) * math.cos(turn)
            east = math.sin(turn) * math.sin(away) * math.cos(lat)
            background.append((lon + math.atan2(east, math.cos(away) - math.sin(lat) * y), math.asin(y)))
    points = np.concatenate([np.radians(lonlat[near]), np.array(background)])
    values = np.zeros(len(points))
    values[: len(near)] = np.where(correct[near], 1.0, -1.0) if marked else 1.0
    distance = np.round(haversine_distances(points[:, ::-1]), 9)
    links = np.array(
        [
            sorted((j for j in range(len(points)) if j != i), key=lambda j: (row[j], j))[:k]
            for i, row in enumerate(distance)
        ]
    )
    return surprisal(moran_sum(values, links), *moran_moments(values, links)), len(near)


@pytest.mark.parametrize("at", [(20.0, 45.0), (179.9, -10.0)], ids=["inland", "antimeridian"])
def test_equals_the_definition_by_hand(at):
    lonlat = places(40, at=at)
    lonlat[:, 0] = (lonlat[:, 0] + 180) % 360 - 180
    correct = np.random.default_rng(1).random(40) < 0.6
    got = geo_bias(lonlat, correct, radius_km=60)
    np.testing.assert_array_equal(got.centers, np.flatnonzero(~correct))
    for i, center in enumerate(got.centers):
        unmarked, count = by_hand(lonlat, correct, center, 60, marked=False)
        marked, _ = by_hand(lonlat, correct, center, 60, marked=True)
        assert got.counts[i] == count
        assert (got.unmarked_at[i], got.marked_at[i]) == pytest.approx((unmarked, marked), rel=1e-6)
    assert got.marked == pytest.approx(sum(got.marked_at * got.counts) / sum(got.counts))
    assert got.unmarked == pytest.approx(sum(got.unmarked_at * got.counts) / sum(got.counts))
    assert got.share_correct == pytest.approx(correct.mean())


def test_wrong_answers_in_one_corner_score_more_than_the_same_number_scattered():
    lonlat = places(300)
    corner = lonlat[:, 0] > np.quantile(lonlat[:, 0], 0.7)
    scattered = np.random.default_rng(2).permutation(corner)
    clustered, even = (geo_bias(lonlat, ~wrong, max_centers=30) for wrong in (corner, scattered))
    assert clustered.marked > 3 * even.marked


def test_the_poles_and_turning_the_earth_do_not_matter():
    """The same pattern at the equator and around the north pole."""
    rng = np.random.default_rng(3)
    flat = rng.uniform(-0.5, 0.5, (60, 2))
    correct = rng.random(60) < 0.5
    turn = np.array([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])  # (0 E, 0 N) to the north pole
    polar = lonlat_of_unit_vectors(unit_vectors(flat) @ turn.T)
    assert polar[:, 1].min() > 89
    here, there = (geo_bias(one, correct, radius_km=300) for one in (flat, polar))
    np.testing.assert_array_equal(here.counts, there.counts)
    # North points elsewhere among the test places, and the background with it: scores agree roughly, not one by one.
    assert there.marked == pytest.approx(here.marked, rel=0.4)
    moved = geo_bias(flat + np.array([179.8, 0.0]), correct, radius_km=300)
    np.testing.assert_allclose(moved.marked_at, here.marked_at, rtol=1e-6)


def test_rows_at_the_same_place_are_neighbours():
    points = unit_vectors(np.array([[0.0, 0.0]] * 8 + [[5.0, 5.0]] * 2))
    links = nearest_others(points, 4)
    assert links.shape == (10, 4)
    assert not (links == np.arange(10)[:, None]).any()
    assert (links[:8] < 8).all()


def test_a_draw_of_centres_is_a_repeatable_subset():
    lonlat, correct = places(80), np.arange(80) % 2 == 0
    everything = geo_bias(lonlat, correct, max_centers=None)
    some, again = (geo_bias(lonlat, correct, max_centers=10, seed=4) for _ in range(2))
    assert (len(everything.centers), len(some.centers)) == (40, 10)
    np.testing.assert_array_equal(some.centers, again.centers)
    at = np.searchsorted(everything.centers, some.centers)
    np.testing.assert_array_equal(everything.marked_at[at], some.marked_at)


def test_no_wrong_answers_and_a_single_place():
    without = geo_bias(places(5), np.ones(5, dtype=bool))
    assert np.isnan(without.marked)
    assert len(without.centers) == 0
    lonely = geo_bias(np.array([[0.0, 0.0]]), np.array([False]))
    assert lonely.counts.tolist() == [1]
    assert lonely.marked == pytest.approx(lonely.unmarked)  # one value among zeros, whatever its sign


def test_correct_predictions():
    true, said = np.array([0.0, 10.0, 20.0]), np.array([1.0, 14.0, 25.0])
    assert is_correct(true, said, "regression").tolist() == [True, True, False]  # half of 8.16 is 4.08
    assert is_correct(true, said, "regression", tolerance=1).tolist() == [True, False, False]
    words = np.array(["a", "b"])
    assert is_correct(words, np.array(["a", "a"]), "classification").tolist() == [True, False]


ONES, PLACES = np.ones(2), places(5)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: geo_bias(PLACES, np.zeros(5, bool), radius_km=0), "got 0"),
        (lambda: geo_bias(PLACES, np.zeros(5, bool), neighbors=20), "got 20"),
        (lambda: geo_bias(PLACES, np.ones(3, bool)), "5 places, but 3"),
        (lambda: is_correct(ONES, np.ones(3), "regression"), "2 true values, but 3"),
        (lambda: is_correct(ONES, ONES, "ranking"), "got 'ranking'"),
        (lambda: is_correct(ONES, ONES, "classification", 1.0), "for numbers"),
        (lambda: is_correct(ONES, ONES, "regression", -1.0), "got -1"),
    ],
)
def test_misuse_is_named(call, said):
    with pytest.raises(ValueError, match=said):
        call()


def graph(count: int, k: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    return np.array([rng.choice([j for j in range(count) if j != i], k, replace=False) for i in range(count)])


@pytest.mark.parametrize("k", [1, 4])
def test_the_sum_equals_a_double_loop(k):
    links, values = graph(25, k), np.random.default_rng(1).standard_normal(25)
    mean = sum(values) / 25
    want = sum((values[i] - mean) * (values[j] - mean) for i in range(25) for j in links[i])
    assert moran_sum(values, links) == pytest.approx(want)


def test_permutation_moments_are_exact():
    """Over all 5,040 ways to deal seven values to seven places."""
    links, values = graph(7, 3), np.array([1.0, 1.0, -1.0, 0.0, 0.0, 2.5, -4.0])
    sums = [moran_sum(np.array(dealt), links) for dealt in itertools.permutations(values)]
    assert moran_moments(values, links) == pytest.approx((np.mean(sums), np.std(sums)))


def test_surprisal_is_the_log_of_the_two_sided_tail_and_does_not_underflow():
    assert surprisal(3.1, 1.0, 0.7) == pytest.approx(-math.log(2 * norm.sf(3.0)))
    assert surprisal(-1.1, 1.0, 0.7) == pytest.approx(surprisal(3.1, 1.0, 0.7))
    assert surprisal(1.0, 1.0, 0.7) == 0.0
    assert surprisal(100.0, 0.0, 1.0) == pytest.approx(5000, rel=0.01)
    assert surprisal(5.0, 1.0, 0.0) == 0.0


def test_a_cluster_is_surprising_whatever_its_sign():
    links = np.array([[(i - 2) % 60, (i - 1) % 60, (i + 1) % 60, (i + 2) % 60] for i in range(60)])
    values = np.where(np.arange(60) < 12, 1.0, 0.0)
    together = surprisal(moran_sum(values, links), *moran_moments(values, links))
    assert together > 5.0
    assert surprisal(moran_sum(-values, links), *moran_moments(-values, links)) == pytest.approx(together)
