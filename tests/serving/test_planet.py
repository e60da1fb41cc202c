"""Mirrors src/geotether/serving/planet.py and comparison.py."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from geotether.encoder import Encoder
from geotether.geodesy.distance import great_circle_km
from geotether.regions import Grid, country_of, region_of
from geotether.searching import grid_candidates, open_index, place_query, search, text_query
from geotether.serving.comparison import Comparison
from geotether.serving.planet import Planet, world_grid


def test_features_are_those_of_the_encoder_to_half_precision(served, trained):
    planet = served.planet()
    assert len(planet) == 36 * 72
    want = trained.encode(planet.lonlat)
    size = np.linalg.norm(want, axis=1, keepdims=True)
    np.testing.assert_allclose(planet.features() / size, want / size, atol=1e-3)
    np.testing.assert_array_equal(planet.features(slice(5, 9)), planet.features()[5:9])
    np.testing.assert_array_equal(planet.features(np.array([7, 3])), planet.features()[[7, 3]])


def test_land_is_in_a_country_and_not_in_antarctica(served):
    planet = served.planet()
    countries = np.array(country_of(planet.lonlat))
    np.testing.assert_array_equal(
        planet.land, (countries != "") & (countries != "Antarctica") & (planet.lonlat[:, 1] > -60)
    )
    assert planet.near_land[planet.land].all()
    assert 1.2 * planet.land.sum() < planet.near_land.sum() < 0.7 * len(planet)


def test_a_place_is_in_the_pixel_whose_centre_is_nearest(served):
    planet = served.planet()
    rng = np.random.default_rng(0)
    places = np.stack([rng.uniform(-180, 360, 200), rng.uniform(-89, 89, 200)], axis=1)
    for lon, lat in places.tolist():
        away = np.abs((planet.lonlat - [lon, lat] + 180) % 360 - 180).max(axis=1)
        assert away[planet.row_of(lon, lat)] == pytest.approx(away.min(), abs=1e-9)
    assert planet.row_of(180.0, 90.0) == planet.row_of(-180.0, 90.0) == 0
    assert planet.row_of(179.99, -90.0) == len(planet) - 1


def test_queries_of_many_threads_are_compared_together_and_each_is_right(trained, monkeypatch):
    index = open_index(trained, grid_candidates(world_grid(5.0), "places"))
    index.vectors("place"), index.vectors("shared")
    queries = [place_query(trained, lon, 10.0) for lon in range(-170, 170, 20)] + [text_query(trained, "walrus fjord")]
    products, compare, held = [], index.similarity, threading.Event()

    def counted(space, vectors):
        held.wait(5)
        products.append(len(vectors))
        return compare(space, vectors)

    monkeypatch.setattr(index, "similarity", counted)
    comparison = Comparison(index, ThreadPoolExecutor(1))
    with ThreadPoolExecutor(36) as pool:
        futures = [pool.submit(comparison.similarity, query) for query in queries * 2]
        together = comparison._together
        while len(together._waiting) + len(together._computed) < len(queries):
            time.sleep(0.001)
        held.set()
        found = [future.result(5) for future in futures]
    assert sum(products) == len(queries)  # each once
    assert len(products) <= 4
    for query, one in zip(queries * 2, found, strict=True):
        np.testing.assert_allclose(one, compare(query.space, query.vector), atol=1e-6)
    with pytest.raises(ValueError, match="read-only"):
        found[0][0] = 0.0


def test_an_error_reaches_every_thread_that_waits(trained, monkeypatch):
    index = open_index(trained, grid_candidates(world_grid(10.0), "places"))
    comparison = Comparison(index, ThreadPoolExecutor(1))
    query = place_query(trained, 5.0, 5.0)

    def fails(space, vectors):
        raise OSError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(index, "similarity", fails)
        with pytest.raises(OSError, match="full"):
            comparison.similarity(query)
    np.testing.assert_allclose(comparison.similarity(query), index.similarity("place", query.vector), atol=1e-6)


def test_answers_are_on_land_and_those_of_a_search(served, trained):
    planet, query = served.planet(), place_query(trained, 5.66, 51.97)
    answers = planet.answers(query, 8, min_distance_km=1500)
    want = search(planet.index, query, 8, min_distance_km=1500, among=planet.land)
    np.testing.assert_array_equal(answers.row, want.row)
    assert planet.land[answers.row].all()
    apart = great_circle_km(answers.lonlat[:, None], answers.lonlat[None])
    assert apart[~np.eye(8, dtype=bool)].min() >= 1500
    africa = region_of("Africa")
    assert africa.contains(planet.answers(query, 5, africa).lonlat).all()


def test_a_planet_is_kept_and_belongs_to_its_model(trained, folder, tmp_path):
    seen = []
    first = Planet.of(trained, 10.0, lambda done, total: seen.append((done, total)), tmp_path / "kept")
    assert seen == [(324, 648), (648, 648)]  # the space of places, and that of observations
    again = Planet.of(Encoder.load(folder), 10.0, folder=tmp_path / "kept")
    np.testing.assert_array_equal(first.features(), again.features())
    assert first.version == again.version
    with pytest.raises(ValueError, match="other places"):
        Planet.of(trained, 9.0, folder=tmp_path / "kept")


def test_a_planet_of_one_row_has_a_place_and_a_similarity(trained):
    grid = Grid("EPSG:4326", -180.0, 90.0, 180.0, rows=1, columns=2)
    planet = Planet(trained, grid, open_index(trained, grid_candidates(grid, "halves")))
    query = place_query(trained, 90.0, 0.0)
    assert planet.similarity(query)[1] == pytest.approx(1.0, abs=1e-3)
    assert [planet.row_of(lon, lat) for lon, lat in ((-1, 90), (1, -90), (180, 0))] == [0, 1, 0]


@pytest.mark.parametrize("resolution", [0.0, 0.05, 91.0, float("nan")])
def test_a_resolution_out_of_range_is_an_error(resolution):
    with pytest.raises(ValueError, match=r"0\.1 to 90"):
        world_grid(resolution)
