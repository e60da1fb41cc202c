"""Mirrors src/geotether/maps/answers.py: what is drawn is read back from the figure."""

import numpy as np

from geotether.geodesy.crs import equal_earth
from geotether.maps.answers import answers_map


def drawn(figure):
    """Return the positions of the marks on the map, and the texts on it."""
    axes = figure.axes[0]
    offsets = [collection.get_offsets() for collection in axes.collections if collection.get_gid() != "land"]
    return offsets, [text.get_text() for text in axes.texts]


def test_candidates_are_coloured_and_answers_are_numbered_on_the_world():
    lonlat = np.array([[5.0, 50.0], [-100.0, 40.0], [140.0, -30.0], [20.0, 0.0]])
    similarity = np.array([0.9, -0.2, 0.4, 0.1], dtype=np.float32)
    figure = answers_map(lonlat, similarity, lonlat[:2], "Places", np.array([[10.0, 10.0]]))
    offsets, texts = drawn(figure)
    np.testing.assert_allclose(offsets[0], equal_earth(lonlat[[1, 3, 2, 0]]))  # the most similar on top
    assert texts == ["2", "1"]  # the best on top
    np.testing.assert_allclose(offsets[-1], equal_earth(np.array([[10.0, 10.0]])))


def test_a_region_across_180_degrees_leaves_out_a_place_outside_of_it():
    lonlat = np.array([[178.0, -18.0], [-179.0, -17.0], [177.0, -16.0]])
    offsets, texts = drawn(answers_map(lonlat, np.arange(3, dtype=np.float32), lonlat[:1], "", np.array([[5.0, 52.0]])))
    assert texts == ["1"]
    assert len(offsets) == 2
    np.testing.assert_allclose(np.sort(offsets[0][:, 0]), [177.0, 178.0, 181.0])
