"""Mirrors src/geotether/maps/world.py."""

import numpy as np
import pytest

from geotether.maps.figure import new_figure
from geotether.maps.world import draw_world, limits, place_points, point_size


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
