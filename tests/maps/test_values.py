"""Mirrors src/geotether/maps/values.py."""

import numpy as np
import pytest

from geotether.maps.figure import save_figure
from geotether.maps.values import predicted_and_true, value_maps

LONLAT = np.array([[0.0, 0.0], [179.9, 10.0], [-180.0, -55.0], [30.0, 80.0]])


def drawn(axes) -> int:
    return sum(len(group.get_offsets()) for group in axes.collections if group.get_gid() != "land")


@pytest.mark.parametrize("count", [1, 2, 3])
def test_one_map_per_heading_and_one_bar(tmp_path, count):
    names = [f"map {i}" for i in range(count)]
    figure = value_maps({n: LONLAT for n in names}, {n: np.arange(4.0) for n in names}, "height (m)", "All")
    assert [axes.get_title() for axes in figure.axes][:count] == names
    assert figure.axes[-1].get_xlabel() == "height (m)"
    assert [drawn(axes) for axes in figure.axes[:count]] == [4] * count
    save_figure(figure, tmp_path / "maps.png", dpi=50)


def test_nan_is_omitted_and_infinity_is_in_the_legend():
    figure = value_maps({"a": LONLAT}, {"a": np.array([1.0, np.nan, np.inf, 2.0])}, "km", beyond="never")
    assert drawn(figure.axes[0]) == 3
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["never"]


@pytest.mark.parametrize("values", [[np.inf] * 4, [0.0, 1.0, 10.0, 100.0]])
def test_values_outside_a_logarithmic_scale_are_drawn(tmp_path, values):
    figure = value_maps({"a": LONLAT}, {"a": np.array(values)}, "km", logarithmic=True)
    assert drawn(figure.axes[0]) == 4
    save_figure(figure, tmp_path / "map.png", dpi=50)


def test_a_backdrop_is_drawn_behind():
    figure = value_maps({"a": LONLAT[:1]}, {"a": np.ones(1)}, "m", backdrop=LONLAT)
    _, behind, front = (group for group in figure.axes[0].collections if len(group.get_offsets()))
    assert (len(behind.get_offsets()), len(front.get_offsets())) == (4, 1)
    assert behind.get_zorder() < front.get_zorder()


@pytest.mark.parametrize(
    ("lonlat", "values", "message"),
    [
        ({}, {}, "same headings twice"),
        ({"a": LONLAT}, {"b": np.ones(4)}, "same headings twice"),
        ({"a": LONLAT}, {"a": np.ones(3)}, "4 places, but 3 values"),
    ],
)
def test_wrong_input(lonlat, values, message):
    with pytest.raises(ValueError, match=message):
        value_maps(lonlat, values, "m")


RNG = np.random.default_rng(0)
MANY = np.stack([RNG.uniform(-180, 180, 80), RNG.uniform(-55, 75, 80)], axis=1)


def maps_of(figure):
    return [axes for axes in figure.axes if axes.get_title() in ("predicted", "true")]


def test_numbers_share_one_scale_with_the_unit(tmp_path):
    true = RNG.standard_normal(80) * 1000
    figure = predicted_and_true(MANY, true * 0.1, true, "elevation (m)", "t")
    scales = [axes.collections[-1].get_clim() for axes in maps_of(figure)]
    assert scales[0] == scales[1] == pytest.approx(tuple(np.percentile(true, [2, 98])))
    assert figure.axes[-1].get_xlabel() == "elevation (m)"
    assert save_figure(figure, tmp_path / "map.png").stat().st_size > 10_000


@pytest.mark.parametrize("count", [3, 40])
def test_a_class_has_the_same_colour_on_both_maps(tmp_path, count):
    true = np.array([f"class {i % count}" for i in range(80)])
    predicted = np.roll(true, 1)
    predicted[0] = "never true"
    figure = predicted_and_true(MANY, predicted, true, "country")
    left, right = (axes.collections for axes in maps_of(figure))
    left, right = (next(c for c in found if len(c.get_offsets()) == 80).get_facecolors() for found in (left, right))
    np.testing.assert_array_equal(left[1:], right[:-1])
    assert bool(figure.legends) == (count < 16)
    save_figure(figure, tmp_path / "map.png", dpi=60)


def test_integers_are_classes_and_constant_numbers_are_drawn(tmp_path):
    assert len(predicted_and_true(MANY, np.arange(80) % 5, np.arange(80) % 5, "biome").legends) == 1
    save_figure(predicted_and_true(MANY, np.ones(80), np.ones(80), "x"), tmp_path / "map.png", dpi=60)


def test_no_places_are_an_error():
    with pytest.raises(ValueError, match="at least one place"):
        predicted_and_true(MANY[:0], np.ones(0), np.ones(0), "x")
