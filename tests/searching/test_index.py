"""Mirrors src/geotether/searching/index.py."""

import json

import numpy as np
import pytest
import torch

from geotether.encoder import Encoder
from geotether.regions import Grid
from geotether.searching import index as index_module
from geotether.searching.candidates import Candidates, grid_candidates, land_candidates
from geotether.searching.index import open_index
from geotether.searching.query import place_query


@pytest.fixture
def places():
    return land_candidates(900)


def test_similarities_are_those_of_the_encoder(trained, places):
    found = open_index(trained, places)
    query = place_query(trained, 5.66, 51.97)
    want = trained.similarity(places.lonlat, np.array([[5.66, 51.97]]))[:, 0]
    np.testing.assert_allclose(found.similarity("place", query.vector), want, atol=1e-3)
    shared = trained.module(torch.tensor(places.lonlat)).detach().numpy()
    want = shared @ shared[0] / np.linalg.norm(shared, axis=1) / np.linalg.norm(shared[0])
    first = (shared[0] / np.linalg.norm(shared[0])).astype(np.float32)
    np.testing.assert_allclose(found.similarity("shared", first), want, atol=1e-3)


def test_several_queries_at_once_are_each_one_alone(trained, places, monkeypatch):
    monkeypatch.setattr(index_module, "_COMPARED_AT_ONCE", 100)
    found = open_index(trained, places)
    vectors = np.concatenate([place_query(trained, lon, 10.0).vector[None] for lon in (-170, 5, 60)])
    together = found.similarity("place", vectors)
    assert together.shape == (3, len(places))
    np.testing.assert_allclose(together, [found.similarity("place", one) for one in vectors], atol=1e-6)
    want = vectors @ found.vectors("place").astype(np.float32).T
    np.testing.assert_allclose(together, want, atol=1e-6)


def test_a_grid_is_computed_by_rows_and_goes_on_within_one(trained, tmp_path, monkeypatch):
    grid = Grid("EPSG:4326", -180.0, 90.0, 10.0, rows=18, columns=36)
    candidates = grid_candidates(grid, "pixels")
    monkeypatch.setattr(index_module, "_SAVED_EVERY", 80)  # two rows and a part of one

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_index(trained, candidates, tmp_path / "index").vectors("place", stop)
    found = open_index(trained, candidates, tmp_path / "index")
    features = found.vectors("place").astype(np.float32) * found.lengths("place")[:, None]
    want = trained.encode(candidates.lonlat)
    np.testing.assert_allclose(features, want, atol=1e-3 * np.abs(want).max())


def test_an_interrupted_index_goes_on_where_it_stopped(trained, places, tmp_path, monkeypatch):
    monkeypatch.setattr(index_module, "_ENCODED_AT_ONCE", 100)
    monkeypatch.setattr(index_module, "_SAVED_EVERY", 200)
    stopping = open_index(trained, places, tmp_path / "index")

    def stop(done, total):
        if done >= 400:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopping.vectors("place", stop)
    seen = []
    resumed = open_index(trained, places, tmp_path / "index")
    vectors = resumed.vectors("place", lambda done, total: seen.append(done))
    assert seen[0] == 600
    np.testing.assert_array_equal(vectors, open_index(trained, places).vectors("place"))
    names = {path.name for path in (tmp_path / "index").iterdir()}
    assert names == {"index.json", "lonlat.npy", "place.npy", "place.lengths.npy"}
    np.testing.assert_array_equal(resumed.lengths("place"), open_index(trained, places).lengths("place"))
    again = open_index(trained, None, tmp_path / "index")
    np.testing.assert_array_equal(again.candidates.lonlat, places.lonlat)


def test_an_index_belongs_to_its_model_and_its_places(trained, folder, places, tmp_path):
    open_index(trained, places, tmp_path / "index").vectors("place")
    open_index(Encoder.load(folder), places, tmp_path / "index")  # the same weights
    other = Encoder.load(folder)
    with torch.no_grad():
        next(other.module.network.parameters())[0] += 1
    with pytest.raises(ValueError, match="of another model"):
        open_index(other, places, tmp_path / "index")
    with pytest.raises(ValueError, match="of other places"):
        open_index(trained, Candidates("one place", np.zeros((1, 2))), tmp_path / "index")


def test_other_files_and_damage_are_errors(trained, places, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="other files"):
        open_index(trained, places, tmp_path)
    open_index(trained, places, tmp_path / "index").vectors("place")
    np.save(tmp_path / "index" / "place.npy", np.zeros((3, 3), dtype=np.float16))
    with pytest.raises(ValueError, match="damaged"):
        open_index(trained, places, tmp_path / "index").vectors("place")
    (tmp_path / "index" / "index.json").write_text(json.dumps({"format": "other"}))
    with pytest.raises(ValueError, match="damaged"):
        open_index(trained, places, tmp_path / "index")
