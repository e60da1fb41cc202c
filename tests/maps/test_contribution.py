"""Mirrors src/geotether/maps/contribution.py."""

import math

import numpy as np
import pytest
from matplotlib.colors import to_hex

from geotether.maps.contribution import UNCLEAR, contribution_matrix
from geotether.maps.figure import save_figure

EFFECTS = {
    ("country", "image"): (0.012, 0.004, 0.02),
    ("country", "text"): (0.001, -0.01, 0.012),
    ("height", "image"): (-0.03, -0.05, -0.01),
    ("height", "text"): (0.02, math.nan, math.nan),
}


def test_cells_say_and_show_the_effects(tmp_path):
    figure = contribution_matrix(EFFECTS, "Worth")
    axes = figure.axes[0]
    texts = {tuple(map(int, text.get_position())): text.get_text() for text in axes.texts}
    assert texts == {
        (0, 0): "+1.2\n[0.4, 2.0]", (1, 0): "+0.1\n[-1.0, 1.2]", (0, 1): "-3.0\n[-5.0, -1.0]", (1, 1): "+2.0"
    }  # fmt: skip
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["image", "text"]
    grey, coloured = axes.images
    np.testing.assert_allclose(coloured.get_array().filled(np.nan), [[1.2, np.nan], [-3.0, np.nan]])
    assert to_hex(grey.cmap(0.0)) == UNCLEAR
    help_, harm = (coloured.to_rgba(value) for value in (3.0, -3.0))
    assert help_[2] > help_[0]
    assert harm[0] > harm[2]
    save_figure(figure, tmp_path / "matrix.png", dpi=50)


def test_nothing_clear_and_a_missing_pair(tmp_path):
    some = {("country", "image"): (0.0, -0.1, 0.1), ("height", "text"): (0.1, -0.1, 0.3)}
    figure = contribution_matrix(some)
    assert len(figure.axes) == 1  # no colour bar without colours
    assert np.isnan(figure.axes[0].images[0].get_array().filled(np.nan)).sum() == 2
    save_figure(figure, tmp_path / "matrix.png", dpi=50)


def test_no_effects_are_refused():
    with pytest.raises(ValueError, match="at least one effect"):
        contribution_matrix({})
