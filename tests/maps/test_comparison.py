"""Mirrors src/geotether/maps/comparison.py."""

import numpy as np
import pytest

from geotether.maps.comparison import class_colours, predicted_and_true
from geotether.maps.figure import save_figure

RNG = np.random.default_rng(0)
LONLAT = np.stack([RNG.uniform(-180, 180, 80), RNG.uniform(-55, 75, 80)], axis=1)


def maps_of(figure):
    return [axes for axes in figure.axes if axes.get_title() in ("predicted", "true")]


def test_numbers_share_one_scale_with_the_unit(tmp_path):
    true = RNG.standard_normal(80) * 1000
    figure = predicted_and_true(LONLAT, true * 0.1, true, "elevation (m)", "t", backdrop=LONLAT + 0.5)
    scales = [axes.collections[-1].get_clim() for axes in maps_of(figure)]
    assert scales[0] == scales[1] == pytest.approx(tuple(np.percentile(true, [2, 98])))
    assert figure.axes[-1].get_xlabel() == "elevation (m)"
    assert save_figure(figure, tmp_path / "map.png").stat().st_size > 10_000


@pytest.mark.parametrize("count", [3, 40])
def test_a_class_has_one_colour_on_both_maps(tmp_path, count):
    true = np.array([f"class {i % count}" for i in range(80)])
    predicted = np.roll(true, 1)
    predicted[0] = "never true"
    figure = predicted_and_true(LONLAT, predicted, true, "country")
    left, right = (axes.collections for axes in maps_of(figure))
    left, right = (next(c for c in found if len(c.get_offsets()) == 80).get_facecolors() for found in (left, right))
    np.testing.assert_array_equal(left[1:], right[:-1])
    assert bool(figure.legends) == (count < 16)
    save_figure(figure, tmp_path / "map.png", dpi=60)


def test_whole_numbers_are_classes():
    assert len(predicted_and_true(LONLAT, np.arange(80) % 5, np.arange(80) % 5, "biome").legends) == 1


def test_constant_numbers_can_be_drawn(tmp_path):
    save_figure(predicted_and_true(LONLAT, np.ones(80), np.ones(80), "x"), tmp_path / "map.png", dpi=60)


def test_no_places_are_refused():
    with pytest.raises(ValueError, match="at least one place"):
        predicted_and_true(LONLAT[:0], np.ones(0), np.ones(0), "x")


def test_colours_differ():
    assert len(set(class_colours(150))) == 150
