"""Mirrors src/geotether/maps/tables.py."""

import logging

import numpy as np
import pytest

from geotether.diagnostics.contents import spread
from geotether.diagnostics.nearness import overlap
from geotether.maps.figure import save_figure
from geotether.maps.tables import overlap_chart, overlap_map, split_map, spread_chart
from geotether.tables.table import Table


def table(name, west, east, south, north, rows=60, dim=3, split=None):
    rng = np.random.default_rng(len(name))
    lonlat = np.stack([rng.uniform(west, east, rows), rng.uniform(south, north, rows)], 1)
    return Table.single(name, lonlat, rng.standard_normal((rows, dim)).astype(np.float32), split=split)


PARTS = np.array(["train", "train", "validation", "buffer"] * 15)


def test_places_are_drawn_by_split_and_counted(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    one = table("soil", 174, 186, -20, -12, split=PARTS)
    figure = split_map(one.lonlat, one.split, "soil")
    save_figure(figure, tmp_path / "map.png", dpi=50)
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == [
        "train (30)", "validation (15)", "buffer (15)",
    ]  # fmt: skip
    assert not caplog.records


@pytest.mark.parametrize("dim", [1, 3, 30, 500])
def test_spread_of_any_width(tmp_path, dim):
    one = table("soil", -180, 180, -60, 80, dim=dim)
    features = one.features * np.geomspace(1e-3, 1e5, dim, dtype=np.float32)
    figure = spread_chart(spread(Table.single("soil", one.lonlat, features)))
    save_figure(figure, tmp_path / "spread.png", dpi=50)
    steps = figure.axes[0].patches[0].get_data()
    assert len(steps.values) == dim
    assert (np.diff(steps.values) <= 0).all(), "the largest comes first"


def test_overlap_is_drawn_in_groups_and_as_curves(tmp_path):
    one, two = table("one", 3, 7, 50, 54, split=PARTS), table("second", 3, 60, 50, 54)
    found = overlap(one, two)
    figure = overlap_map(found)
    near = int((found.forth.km <= 100).sum())
    texts = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert texts[0] == "second (60)"
    assert f"one, within 100 km ({near})" in texts
    save_figure(figure, tmp_path / "overlap.png", dpi=50)
    chart = overlap_chart(found)
    assert len(chart.axes[0].get_lines()) == 3, "nothing is held out of the second"
    assert chart.axes[0].get_lines()[0].get_ydata()[-1] == 1.0
    save_figure(chart, tmp_path / "nearness.png", dpi=50)
