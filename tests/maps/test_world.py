"""Mirrors src/geotether/maps/world.py."""

import numpy as np
import pytest

from geotether.maps.figure import new_figure, save_figure
from geotether.maps.world import coverage_map, draw_world, limits, place_points, point_size


def test_all_places_fall_inside_the_outline():
    axes = new_figure(4, 2).subplots()
    draw_world(axes, "world", -90.0, 90.0)
    outline = axes.patches[0]
    lonlat = np.array([[-179.9, 0.0], [179.9, 0.0], [0.0, 89.0], [0.0, -89.0], [359.0, 10.0], [-120.0, 70.0]])
    assert outline.get_path().contains_points(place_points(lonlat)).all()
    assert axes.get_aspect() == 1.0


def test_longitudes_wrap():
    np.testing.assert_allclose(place_points(np.array([[350.0, 10.0]])), place_points(np.array([[-10.0, 10.0]])))


@pytest.mark.parametrize(
    ("lats", "wanted"), [([0.0], (-60, 84)), ([-75.0], (-90, 84)), ([88.0, 0.0], (-60, 90)), ([], (-60, 84))]
)
def test_limits_widen_only_if_they_must(lats, wanted):
    assert limits(np.array([[0.0, lat] for lat in lats]).reshape(-1, 2)) == wanted


def test_points_shrink_with_their_number():
    assert point_size(100, 6) > point_size(3000, 6) > point_size(100_000, 6)
    assert point_size(0, 6) == 60.0


@pytest.mark.parametrize("count", [1, 2, 5])
def test_one_map_a_modality_with_its_number_of_places(tmp_path, count):
    places = {f"m{i}": np.random.default_rng(i).uniform(-50, 50, (10**i if i < 5 else 1, 2)) for i in range(count)}
    figure = coverage_map(places, "where the data lie")
    assert [axes.get_title() for axes in figure.axes][:count] == [f"m{i} · {10**i:,} places" for i in range(count)]
    save_figure(figure, tmp_path / "coverage.png", dpi=60)


def test_an_even_choice_of_many_places_is_drawn():
    figure = coverage_map({"many": np.zeros((50_000, 2))})
    assert len(figure.axes[0].collections[0].get_offsets()) == 16_667


def test_no_modality_is_refused():
    with pytest.raises(ValueError, match="at least one modality"):
        coverage_map({})
