"""Mirrors src/geotether/searching/answers.py and alikeness.py; sorting and loops by hand are the oracle."""

import numpy as np
import pytest
import torch

from geotether.encoder import Encoder
from geotether.geodesy.distance import great_circle_km
from geotether.regions import region_of
from geotether.searching import land_candidates, open_index, place_query, search, text_query
from geotether.searching.alikeness import alikeness
from geotether.searching.answers import best, thinned
from geotether.searching.candidates import file_candidates


@pytest.fixture(scope="module")
def index(trained):
    return open_index(trained, land_candidates(2000))


@pytest.mark.parametrize("top", [1, 7, 300, 1000])
def test_the_best_are_those_of_a_stable_sort(top):
    values = np.random.default_rng(0).integers(0, 40, 300).astype(np.float32)
    np.testing.assert_array_equal(best(values, top), np.argsort(-values, kind="stable")[:top])


def test_thinning_is_that_of_a_loop():
    rng = np.random.default_rng(0)
    lonlat = np.stack([rng.uniform(-180, 180, 9000), np.degrees(np.arcsin(rng.uniform(-1, 1, 9000)))], axis=1)
    lonlat[0], lonlat[1], lonlat[2] = (179.9, 0.0), (-179.9, 0.0), (50.0, 89.9)
    order, asked = rng.permutation(9000), np.array([[-130.0, 89.9]])
    chosen, kept = [], [asked[0]]
    for row in order:
        if len(chosen) < 60 and great_circle_km(lonlat[row], np.array(kept)).min() >= 900:
            chosen.append(row)
            kept.append(lonlat[row])
    np.testing.assert_array_equal(thinned(lonlat, order, 60, 900.0, asked), chosen)
    assert len(thinned(lonlat, order, 9000, 5000.0)) < 20


def test_places_like_a_place_are_apart_from_it_and_in_the_region(index, trained):
    query = place_query(trained, 5.66, 51.97)
    answers = search(index, query, 20, min_distance_km=600)
    assert len(answers) == 20
    assert (np.diff(answers.similarity) <= 0).all()
    km = great_circle_km(answers.lonlat[:, None], np.concatenate([answers.lonlat, query.lonlat])[None])
    assert km[~np.eye(20, 21, dtype=bool)].min() >= 600
    near = search(index, query, 1, min_distance_km=0)
    assert great_circle_km(near.lonlat[0], query.lonlat[0]) < 1000
    africa = region_of("Africa")
    assert africa.contains(search(index, query, 20, within=africa).lonlat).all()
    assert search(index, query).min_distance_km == pytest.approx(10 * index.candidates.spacing_km)


def test_a_text_leads_to_the_quarter_that_it_names(index, trained):
    for text, east, north in (("kangaroo reef", True, False), ("bison prairie", False, True)):
        found = search(index, text_query(trained, text), 30, min_distance_km=0).lonlat
        assert (((found[:, 0] > 0) == east) & ((found[:, 1] > 0) == north)).mean() > 0.8


def test_alikeness_is_the_cosine_of_what_is_expected(trained):
    places = np.array([[5.66, 51.97], [10.0, -40.0]])
    same = alikeness(trained, places[:1], places[:1])
    assert set(same) == {"town", "chip", "climate"}
    assert all(values[0] == pytest.approx(1, abs=1e-5) for values in same.values())
    assert alikeness(trained, places[:1], places[1:])["climate"][0] < 0
    with torch.inference_mode():
        expected = trained.decoders["climate"](trained.module(torch.tensor(places))).numpy()
    want = expected[0] @ expected[1] / np.linalg.norm(expected, axis=1).prod()
    assert alikeness(trained, places[:1], places[1:])["climate"][0] == pytest.approx(want, abs=1e-5)
    heads = Encoder(trained.module, provenance=trained.provenance, heads=trained.heads)
    assert alikeness(heads, places[:1], places[:1])["chip"][0] == pytest.approx(1, abs=1e-5)
    assert alikeness(Encoder(trained.module), places[:1], places[1:]) == {}


def test_alikeness_from_vectors_that_are_there_is_the_same(trained):
    index = open_index(trained, land_candidates(500))
    query = place_query(trained, 5.66, 51.97)
    computed = search(index, query, 5).alike
    index.vectors("shared")
    stored = search(index, query, 5).alike
    assert index.has("shared")
    for name, values in computed.items():
        np.testing.assert_allclose(stored[name], values, atol=0.01)


def test_answers_of_a_file_have_its_columns(trained, tmp_path):
    path = tmp_path / "towns.csv"
    path.write_text("name,lon,lat,rank\nLyon,4.8,45.8,7\nPerth,115.9,-31.9,8\nNice,7.3,43.7,9\n")
    answers = search(open_index(trained, file_candidates(path)), place_query(trained, 5.0, 45.0), 2)
    table = answers.table()
    assert table["name"].to_pylist() == ["Lyon", "Nice"]
    assert table["given_rank"].to_pylist() == [7, 9]
    assert table["rank"].to_pylist() == [1, 2]
    assert table.column_names[:4] == ["rank", "lon", "lat", "similarity"]
    assert table.column_names[-2:] == ["name", "given_rank"]
    assert answers.min_distance_km == 0


def test_numbers_out_of_range_are_errors(index, trained):
    query = place_query(trained, 5.66, 51.97)
    for options, message in (
        ({"top": 0}, "1 or more, got 0"),
        ({"min_distance_km": -1}, "0 km or more"),
        ({"within": region_of("-40 0 -35 5")}, "in the region"),
    ):
        with pytest.raises(ValueError, match=message):
            search(index, query, **options)
    for given in ({}, {"lon": 5.0}, {"text": "a", "lon": 5.0, "lat": 5.0}):
        with pytest.raises(TypeError, match="one of lon="):
            trained.search(**given)
