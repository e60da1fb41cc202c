"""Mirrors src/geotether/maps/intervals.py."""

import pytest

from geotether.maps.figure import FAINT, save_figure
from geotether.maps.intervals import score_intervals


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


def test_no_such_scores_are_said(make_outcomes):
    with pytest.raises(ValueError, match="no scores for probe 'mlp'"):
        score_intervals(make_outcomes(), "mlp", "random", 2700)
