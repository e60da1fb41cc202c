"""Mirrors src/geotether/maps/values.py."""

import numpy as np
import pytest
from matplotlib.colors import LogNorm

from geotether.maps.figure import save_figure
from geotether.maps.values import colour_scale, value_maps

LONLAT = np.array([[0.0, 0.0], [179.9, 10.0], [-180.0, -55.0], [30.0, 80.0]])


def drawn(axes) -> int:
    return sum(len(group.get_offsets()) for group in axes.collections)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_one_map_a_heading_and_one_bar(tmp_path, count):
    names = [f"map {i}" for i in range(count)]
    figure = value_maps({n: LONLAT for n in names}, {n: np.arange(4.0) for n in names}, "height (m)", "All")
    assert [axes.get_title() for axes in figure.axes][:count] == names
    assert figure.axes[-1].get_xlabel() == "height (m)"
    assert [drawn(axes) for axes in figure.axes[:count]] == [4] * count
    save_figure(figure, tmp_path / "maps.png", dpi=50)


def test_undefined_values_are_left_out_and_infinite_ones_named():
    figure = value_maps({"a": LONLAT}, {"a": np.array([1.0, np.nan, np.inf, 2.0])}, "km", beyond="never")
    assert drawn(figure.axes[0]) == 3
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["never"]


def test_nothing_finite_still_draws(tmp_path):
    figure = value_maps({"a": LONLAT}, {"a": np.full(4, np.inf)}, "km", logarithmic=True)
    assert drawn(figure.axes[0]) == 4
    save_figure(figure, tmp_path / "empty.png", dpi=50)


def test_a_backdrop_lies_behind():
    figure = value_maps({"a": LONLAT[:1]}, {"a": np.ones(1)}, "m", backdrop=LONLAT)
    behind, front = (group for group in figure.axes[0].collections if len(group.get_offsets()))
    assert (len(behind.get_offsets()), len(front.get_offsets())) == (4, 1)
    assert behind.get_zorder() < front.get_zorder()


def test_scales_are_never_empty():
    assert (colour_scale(np.array([3.0, 3.0]), False).vmin, colour_scale(np.array([]), False).vmax) == (2.5, 10.0)
    scale = colour_scale(np.array([0.0, -1.0, 5.0]), True)
    assert isinstance(scale, LogNorm)
    assert (scale.vmin, scale.vmax) == (2.5, 10.0)


def test_zero_on_a_logarithmic_scale_takes_the_lowest_colour(tmp_path):
    figure = value_maps({"a": LONLAT}, {"a": np.array([0.0, 1.0, 10.0, 100.0])}, "km", logarithmic=True)
    assert drawn(figure.axes[0]) == 4
    save_figure(figure, tmp_path / "zero.png", dpi=50)


def test_misuse_is_named():
    with pytest.raises(ValueError, match="same headings twice"):
        value_maps({}, {}, "m")
    with pytest.raises(ValueError, match="same headings twice"):
        value_maps({"a": LONLAT}, {"b": np.ones(4)}, "m")
    with pytest.raises(ValueError, match="4 places, but 3 values"):
        value_maps({"a": LONLAT}, {"a": np.ones(3)}, "m")
