"""Mirrors src/geotether/maps/scores.py."""

import math

import numpy as np
import pytest
from matplotlib.colors import to_hex

from geotether.maps.figure import FAINT, save_figure
from geotether.maps.scores import UNCLEAR, accuracy_against_labels, contribution_matrix, draw_ladders, score_intervals
from geotether.probes.scores import Score


def test_one_panel_per_task_and_one_dot_per_encoder(make_outcomes, tmp_path):
    quality = {"xyz": 0.2, "ours": 0.8, "bad": -9.0}
    figure = score_intervals(make_outcomes(quality, ("elevation", "yield")), "ridge", "own", 2700, ("xyz",))
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["elevation", "yield"]
    first = figure.axes[0]
    assert [label.get_text() for label in first.get_yticklabels()] == ["ours", "bad", "xyz"]
    dots = [line for line in first.get_lines() if line.get_marker() == "o"]
    assert len(dots) == 2
    assert dots[1].get_color() == FAINT  # a baseline
    (beyond,) = [line for line in first.get_lines() if line.get_marker() == "<"]
    assert float(beyond.get_xdata()[0]) == -0.1
    save_figure(figure, tmp_path / "scores.png", dpi=60)


def charts_of(figure):
    return [axes for axes in figure.axes if axes.get_lines()]


@pytest.fixture
def make_rows(make_outcomes):
    def make(seeds=3, probe="ridge"):
        quality = {"ours": 0.7, "nearest in space": 0.5, "bad": -9.0}
        tasks = ("country", "elevation", "population")
        return make_outcomes(quality, tasks, (243, 810, 2700), seeds=range(seeds), probe=probe)

    return make


def labels(axes):
    return [line.get_label() for line in axes.get_lines()]


def test_one_chart_per_task_with_named_lines(make_rows, tmp_path):
    figure = accuracy_against_labels(make_rows())
    assert [axes.get_title(loc="left") for axes in charts_of(figure)] == ["country", "elevation", "population"]
    first = charts_of(figure)[0]
    assert labels(first) == [text.get_text() for text in first.texts] == ["ours", "nearest in space", "bad"]
    mean = np.mean([o.value for o in make_rows() if (o.encoder, o.task, o.labels) == ("ours", "country", 243)])
    assert first.get_lines()[0].get_ydata()[0] == pytest.approx(mean)
    assert [line.get_linestyle() for line in first.get_lines()] == ["-", "--", "-"]  # a baseline is dashed
    assert len(first.collections) == 1  # the interval of the first line
    assert first.get_xscale() == "log"
    assert charts_of(figure)[1].get_ylim()[0] >= -0.1
    save_figure(figure, tmp_path / "labels.png", dpi=60)


def ladder(*means):
    return {share: Score(mean, mean - 0.1, mean + 0.1, 5, 9) for share, mean in zip((0.5, 5, 100), means, strict=True)}


def test_charts_that_are_compared_have_one_scale_and_a_name_one_colour():
    charts = {("direct", "mAP"): {"linear": ladder(0.1, 0.2, 0.3)}, ("probe", "mAP"): {"ours": ladder(0.5, 0.6, 0.7)}}
    charts["tuned", "mAP"] = {"ours": ladder(0.6, 0.7, 0.95)}
    drawn = charts_of(draw_ladders(charts, "%", floor=0.0, same_scale=True))
    assert [axes.get_ylim() for axes in drawn] == [(0.0, 1.0)] * 3
    colours = [axes.get_lines()[0].get_color() for axes in drawn]
    assert colours[1] == colours[2] != colours[0]
    assert [tick.get_text() for tick in drawn[0].get_xticklabels()] == ["0.5", "5", "100"]
    assert charts_of(draw_ladders(charts, "%", floor=0.0))[0].get_ylim()[1] < 0.5


def test_of_many_encoders_seven_are_drawn_in_different_colours_and_the_others_named():
    names = ["mean", "xyz", "untrained", *(f"encoder {i}" for i in range(6))]
    charts = {("a", "R2"): {name: ladder(0.1, 0.2, 0.3 + i / 100) for i, name in enumerate(names)}}
    charts["b", "R2"] = {"mean": ladder(0.1, 0.2, 0.9), "encoder 0": ladder(0.1, 0.2, 0.3)}
    figure = draw_ladders(charts, "labels")
    drawn = charts_of(figure)[0].get_lines()
    # The user's own, and of the baselines the one that is best in a chart.
    assert [line.get_label() for line in drawn] == ["mean", *(f"encoder {i}" for i in range(6))]
    assert len({line.get_color() for line in drawn}) == len({line.get_marker() for line in drawn}) == 7
    assert figure.get_supxlabel() == "Not drawn: xyz, untrained"


EFFECTS = {
    ("country", "image"): (0.012, 0.004, 0.02),
    ("country", "text"): (0.001, -0.01, 0.012),
    ("height", "image"): (-0.03, -0.05, -0.01),
    ("height", "text"): (0.02, math.nan, math.nan),
}


def test_cells_show_effects_as_text_and_colour(tmp_path):
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
    with pytest.raises(ValueError, match="at least one effect"):
        contribution_matrix({})
