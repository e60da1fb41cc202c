"""Mirrors src/geotether/maps/scores.py."""

import math

import numpy as np
import pytest
from matplotlib.colors import to_hex

from geotether.maps.figure import FAINT, save_figure
from geotether.maps.scores import UNCLEAR, accuracy_against_labels, contribution_matrix, draw_ladders, score_intervals
from geotether.probes.scores import Score


def test_a_panel_a_task_and_a_dot_an_encoder(make_outcomes, tmp_path):
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


@pytest.fixture
def make_rows(make_outcomes):
    def make(seeds=3, probe="ridge"):
        quality = {"ours": 0.7, "nearest in space": 0.5, "bad": -9.0}
        tasks = ("country", "elevation", "population")
        return make_outcomes(quality, tasks, (243, 810, 2700), seeds=range(seeds), probe=probe)

    return make


def test_a_chart_a_task_and_a_line_with_band_an_encoder(make_rows, tmp_path):
    figure = accuracy_against_labels(make_rows())
    charts = [axes for axes in figure.axes if axes.get_lines()]
    assert [axes.get_title(loc="left") for axes in charts] == ["country", "elevation", "population"]
    assert [line.get_label() for line in charts[0].get_lines()] == ["ours", "nearest in space", "bad"]
    mean = np.mean([o.value for o in make_rows() if (o.encoder, o.task, o.labels) == ("ours", "country", 243)])
    assert charts[0].get_lines()[0].get_ydata()[0] == pytest.approx(mean)
    assert len(charts[0].collections) == 3
    assert charts[0].get_xscale() == "log"
    assert charts[1].get_ylim()[0] >= -0.1
    save_figure(figure, tmp_path / "labels.png", dpi=60)


def test_one_seed_is_drawn_too(make_rows, tmp_path):
    save_figure(accuracy_against_labels(make_rows(seeds=1)), tmp_path / "labels.png", dpi=60)


@pytest.mark.parametrize("draw", [accuracy_against_labels, lambda *given: score_intervals(*given, 2700)])
def test_missing_scores(make_rows, draw):
    with pytest.raises(ValueError, match="no scores for probe 'mlp'"):
        draw(make_rows(), "mlp", "random")


def test_charts_that_are_compared_have_one_scale_and_a_name_one_colour():
    def ladder(*means):
        return {
            share: Score(mean, mean - 0.1, mean + 0.1, 5, 9) for share, mean in zip((0.5, 5, 100), means, strict=True)
        }

    charts = {("direct", "mAP"): {"linear": ladder(0.1, 0.2, 0.3)}, ("probe", "mAP"): {"ours": ladder(0.5, 0.6, 0.7)}}
    charts["tuned", "mAP"] = {"ours": ladder(0.6, 0.7, 0.95)}
    drawn = [axes for axes in draw_ladders(charts, "%", floor=0.0, same_scale=True).axes if axes.get_lines()]
    assert [axes.get_ylim() for axes in drawn] == [(0.0, 1.0)] * 3
    colours = [axes.get_lines()[0].get_color() for axes in drawn]
    assert colours[1] == colours[2] != colours[0]
    assert [tick.get_text() for tick in drawn[0].get_xticklabels()] == ["0.5", "5", "100"]
    apart = [axes for axes in draw_ladders(charts, "%", floor=0.0).axes if axes.get_lines()]
    assert apart[0].get_ylim()[1] < 0.5


def test_no_two_of_many_lines_look_alike():
    lines = {f"encoder {i}": {5.0: Score(0.5, 0.4, 0.6, 5, 9)} for i in range(25)}
    drawn = draw_ladders({("task", "R2"): lines}, "labels").axes[0].get_lines()
    assert len({(line.get_color(), line.get_marker()) for line in drawn}) == 25


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
    with pytest.raises(ValueError, match="at least one effect"):
        contribution_matrix({})
