"""Mirrors src/geotether/maps/prediction.py."""

import numpy as np
import pytest

from geotether.exporting.raster import Band, write_raster
from geotether.maps.prediction import class_palette, number_map, read_pictures
from geotether.regions import Grid


@pytest.mark.parametrize("count", [1, 2, 6, 7, 14, 15, 200])
def test_classes_have_different_colours(count):
    colours = class_palette(count)
    assert len(set(colours)) == count
    assert np.ptp([part for colour in colours for part in colour]) <= 255


def test_pictures_are_cut_to_the_data_and_keep_their_place(tmp_path):
    pytest.importorskip("rasterio")
    grid = Grid("EPSG:4326", 170.0, 10.0, 0.5, rows=40, columns=60, name="box")
    values = np.full((2, 40, 60), np.nan, dtype=np.float32)
    values[:, 10:20, 30:50] = np.arange(20.0)
    blocks = [(slice(0, 40), slice(0, 60), values)]
    write_raster(tmp_path / "map.tif", grid, [Band("a"), Band("b")], blocks, "float32", float("nan"), {})
    first, inside = read_pictures(tmp_path / "map.tif", grid, [1, 2])
    assert first.extent == (170 + 28 * 0.5, 170 + 52 * 0.5, 10 - 22 * 0.5, 10 - 8 * 0.5)
    np.testing.assert_array_equal(first.values[2:-2, 2:-2], values[0, 10:20, 30:50])
    figure = number_map(first, inside, "title", "label (m)")
    axes, bar = figure.axes
    assert axes.get_xlim() == (184.0, 196.0)
    assert axes.get_xticklabels()[0].get_text() == "176°W"
    assert bar.get_ylabel() == "label (m)"
