"""Mirrors src/geotether/maps/diagnosis.py."""

import numpy as np
import pytest

from geotether.diagnostics import continuity, dimensionality, effective_resolution, even_places, nearness
from geotether.geodesy.coordinates import unit_vectors
from geotether.maps.diagnosis import (
    bias_map,
    continuity_chart,
    dimension_map,
    nearness_map,
    resolution_map,
    similarity_curve,
)
from geotether.maps.figure import save_figure
from geotether.probes.geobias import geo_bias

PLACES = even_places(30)


@pytest.mark.parametrize("encoder", [unit_vectors, lambda p: np.ones((len(p), 2))], ids=["smooth", "collapsed"])
def test_resolution_dimension_and_continuity_are_drawn(tmp_path, encoder):
    raw, centered = (effective_resolution(encoder, PLACES, centered=c) for c in (False, True))
    for number, figure in enumerate(
        (
            dimension_map(dimensionality(encoder, PLACES)),
            resolution_map(raw, centered),
            similarity_curve(raw, centered),
            continuity_chart(continuity(encoder)),
        )
    ):
        assert save_figure(figure, tmp_path / f"{number}.png", dpi=50).stat().st_size > 3000


def test_the_similarity_curve_shows_the_measured_values():
    one = effective_resolution(unit_vectors, PLACES)
    lines = similarity_curve(one, one).axes[0].lines
    np.testing.assert_array_equal(lines[0].get_ydata(), one.similarity)
    assert lines[1].get_xdata()[0] == one.median_km


def test_the_chart_reaches_a_large_seam():
    chart = continuity_chart(continuity(lambda p: p)).axes[0]
    assert chart.get_ylim()[1] > 40_000


def test_nearness_says_how_many_places_each_modality_has():
    figure = nearness_map(nearness(PLACES, {"photos": even_places(7), "none": np.empty((0, 2))}))
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[:2] == ["photos · 7 places", "none · 0 places"]


def test_bias_is_drawn_at_wrong_answers_over_all_places():
    correct = np.arange(30) % 4 > 0
    bias = geo_bias(PLACES, correct)
    axes = bias_map(PLACES, bias, "rain").axes[0]
    assert axes.get_title() == "rain: marked SSI around 8 wrong answers"
    assert [len(group.get_offsets()) for group in axes.collections[-2:]] == [30, 8]


def test_the_bias_of_a_region_is_drawn_on_the_region():
    lonlat = np.array([[6.0, 47.0], [15.0, 55.0]])[np.arange(30) % 2] + np.linspace(0, 0.2, 30)[:, None]
    axes = bias_map(lonlat, geo_bias(lonlat, np.arange(30) % 4 > 0), "rain").axes[0]
    assert axes.get_xlim()[1] - axes.get_xlim()[0] < 12
