"""Mirrors src/geotether/searching/query.py: a query goes the way that the training rows went."""

import numpy as np
import pytest
import torch
from PIL import Image

from geotether.encoder import Encoder
from geotether.loading import load
from geotether.searching import land_candidates
from geotether.searching.query import (
    columns_query,
    completed,
    head_vectors,
    image_query,
    place_query,
    text_query,
    unit,
)


@pytest.fixture(scope="module")
def loaded(folder):
    return Encoder.load(folder)


def test_a_saved_model_asks_as_the_training_rows_did(trained, loaded):
    """The features of a text, an image and columns equal those of such a row of the table."""
    assert set(loaded.transforms) == {"town", "chip", "climate"}
    query = text_query(loaded, "walrus fjord 7")
    assert query.modality == "town"
    assert query.vector.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(query.vector), 1, atol=1e-5)
    np.testing.assert_array_equal(query.vector, text_query(trained, "walrus fjord 7").vector)
    table = trained.tables["climate"]
    row = int(np.flatnonzero(table.lonlat[:, 1] > 0)[0])
    values = {"warmth": 30 - abs(table.lonlat[row, 1]), "side": "north"}
    want = head_vectors(trained, "climate", table.features[row : row + 1])[0]
    np.testing.assert_allclose(columns_query(loaded, values).vector, want, atol=1e-5)


def test_columns_that_are_not_given_are_those_of_places_with_the_given_ones(loaded):
    decoder, places = loaded.decoders["climate"], land_candidates(3000).lonlat
    predicted = decoder.decode(loaded.module(torch.tensor(places))).detach().numpy()
    features = np.full((1, predicted.shape[1]), 0.7, dtype=np.float32)
    given = np.arange(predicted.shape[1]) == 0
    found = completed(loaded, "climate", features, given)[0]
    nearest = sorted(range(len(places)), key=lambda row: abs(predicted[row, 0] - 0.7))[:10]
    assert found[0] == np.float32(0.7)
    np.testing.assert_allclose(found[1:], predicted[nearest, 1:].mean(axis=0), rtol=1e-4, atol=1e-6)
    assert columns_query(loaded, {"warmth": 3.0}).notes == ("1 of 2 columns of climate are given",)


def test_hot_and_wet_by_two_columns_is_in_the_tropics():
    world = load("world")
    candidates = land_candidates(2000).lonlat
    shared = world.module(torch.tensor(candidates)).detach().numpy()
    for values, tropical in (({"bio01": 27.0, "bio12": 2500.0}, True), ({"bio01": -5.0, "bio12": 300.0}, False)):
        best = np.argsort(-unit(shared) @ columns_query(world, values).vector)[:10]
        assert (np.abs(candidates[best, 1]) < 15).all() == tropical
        assert (np.abs(candidates[best, 1]) > 45).all() != tropical


def test_an_image_file_is_read_as_pixels_are(loaded, tmp_path):
    pixels = np.random.default_rng(1).integers(0, 255, (12, 10, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "chip.png")
    found, want = image_query(loaded, tmp_path / "chip.png"), image_query(loaded, pixels)
    np.testing.assert_array_equal(found.vector, want.vector)
    assert found.modality == "chip"


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda model: text_query(model, "  "), "empty"),
        (lambda model: text_query(model, "哈"), "No part of"),
        (lambda model: text_query(model, "reef", "tonw"), "no modality 'tonw' of texts.*Did you mean 'town'"),
        (lambda model: text_query(model, "reef", "chip"), "no modality 'chip' of texts"),
        (lambda model: image_query(model, np.zeros((8, 8, 1), np.uint8)), "3 channels, these images have 1"),
        (lambda model: image_query(model, np.zeros((8, 8, 3), np.uint16)), "whole8|uint16|numbers"),
        (lambda model: columns_query(model, {"warmht": 3}), "no column 'warmht'.*Did you mean 'warmth'"),
        (lambda model: columns_query(model, {}), "at least one column"),
        (lambda model: columns_query(model, {"warmth": "hot"}), "not a number"),
        (lambda model: place_query(model, 5.66, 519.7), "degrees"),
    ],
)
def test_what_cannot_be_asked_is_an_error(loaded, ask, message):
    with pytest.raises(ValueError, match=message):
        ask(loaded)


def test_files_that_are_no_images_and_models_without_heads_are_errors(loaded, tmp_path):
    (tmp_path / "chip.png").write_bytes(b"\x89PNG\r\n rest")
    with pytest.raises(ValueError, match="damaged"):
        image_query(loaded, tmp_path / "chip.png")
    with pytest.raises(FileNotFoundError):
        image_query(loaded, tmp_path / "none.png")
    bare = Encoder(loaded.module, provenance=loaded.provenance)
    with pytest.raises(ValueError, match=r"by a place only.*climate"):
        text_query(bare, "reef")
