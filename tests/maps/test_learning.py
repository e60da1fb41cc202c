"""Mirrors src/geotether/maps/learning.py."""

import pytest

from geotether.maps.figure import save_figure
from geotether.maps.learning import accuracy_against_labels

ENCODERS = [("ours", "ridge", 0.5), ("nearest", "neighbors_in_space", 0.3), ("bad", "ridge", -9)]


def make_rows(seeds=3):
    return [
        {"task": task, "encoder": encoder, "probe": probe, "split": "block", "labels": labels, "metric": metric,
         "seed": seed, "value": base + labels / 10_000 + seed / 50}
        for task, metric in [("country", "accuracy"), ("elevation", "R2"), ("population", "R2")]
        for encoder, probe, base in ENCODERS
        for labels in (243, 810, 2700)
        for seed in range(seeds)
    ]  # fmt: skip


def test_a_chart_a_task_and_a_line_with_band_an_encoder(tmp_path):
    figure = accuracy_against_labels(make_rows())
    charts = [axes for axes in figure.axes if axes.get_lines()]
    assert [axes.get_title(loc="left") for axes in charts] == ["country", "elevation", "population"]
    assert [line.get_label() for line in charts[0].get_lines()] == ["ours", "nearest", "bad"]
    assert charts[0].get_lines()[0].get_ydata()[0] == pytest.approx(0.5 + 0.0243 + 0.02)
    assert len(charts[0].collections) == 3
    assert charts[0].get_xscale() == "log"
    assert charts[1].get_ylim()[0] >= -0.1
    save_figure(figure, tmp_path / "labels.png", dpi=60)


def test_one_seed_has_no_band_but_a_line(tmp_path):
    save_figure(accuracy_against_labels(make_rows(seeds=1)), tmp_path / "labels.png", dpi=60)


@pytest.mark.parametrize("choice", [{"split": "random"}, {"probe": "mlp"}])
def test_no_such_scores_are_said(choice):
    rows = [row for row in make_rows() if row["probe"] == "ridge"]
    with pytest.raises(ValueError, match="no scores for probe"):
        accuracy_against_labels(rows, **choice)
