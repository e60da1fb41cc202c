"""Mirrors src/geotether/maps/world.py."""

import numpy as np
import pytest

from geotether.maps.figure import save_figure
from geotether.maps.world import Frame, coverage_map, map_panels


def frame_of(west, east, south, north):
    return Frame(np.array([[west, south], [east, north]], dtype=np.float64))


def drawn(frame):
    return map_panels(frame, ["title"])[1][0]


def land_of(frame):
    found = [group.get_offsets() for group in drawn(frame).collections if group.get_gid() == "land"]
    return found[0] if found else np.empty((0, 2))


def test_all_places_fall_inside_the_outline_of_the_world():
    frame = frame_of(-180, 180, -89, 89)
    axes = drawn(frame)
    lonlat = np.array([[-179.9, 0.0], [179.9, 0.0], [0.0, 89.0], [0.0, -89.0], [359.0, 10.0], [-120.0, 70.0]])
    assert axes.patches[0].get_path().contains_points(frame.points(lonlat)).all()
    assert axes.get_aspect() == 1.0
    np.testing.assert_allclose(frame.points(np.array([[350.0, 10.0]])), frame.points(np.array([[-10.0, 10.0]])))


@pytest.mark.parametrize(
    ("places", "region"),
    [
        ((6, 15, 47, 55), (6, 47, 15, 55)),
        ((179, -177, -20, -12), (179, -20, 183, -12)),
        ((174, 186, -20, -12), (174, -20, 186, -12)),
        ((5, 5, 52, 52), (5, 52, 5, 52)),
        ((-180, 180, -60, 80), None),
        ((0, 10, 85, 90), None),
        ((0, 90, 0, 10), None),
    ],
    ids=["country", "across 180", "beyond 180", "one place", "world", "pole", "wide"],
)
def test_a_small_region_is_drawn_by_itself_in_degrees(places, region):
    frame = frame_of(*places)
    assert frame.region == region
    axes = drawn(frame)
    assert axes.axison == (region is not None)
    if region:
        (west, east), (south, north) = axes.get_xlim(), axes.get_ylim()
        points = frame.points(np.array([[places[0], places[2]], [places[1], places[3]]], dtype=np.float64))
        assert ((points > (west, south)) & (points < (east, north))).all()
        assert east - west < 1.1 * (region[2] - region[0]) + 0.6


@pytest.mark.parametrize(
    ("region", "on_land", "at_sea"),
    [((5, 40, 40, 60), (20, 50), (34, 43.2)), ((165, 200, -48, -30), (175.5, -38.5), (190, -40))],
    ids=["Europe", "New Zealand, across 180"],
)
def test_a_wide_region_has_land(region, on_land, at_sea):
    land = land_of(frame_of(*region))
    near = [np.hypot(*(land - place).T).min() for place in (on_land, at_sea)]
    assert near[0] < 0.7
    assert near[1] > 0.5


def test_the_world_has_land_and_a_village_has_none():
    frame = frame_of(-180, 180, -60, 80)
    towns, sea = (frame.points(np.array(places)) for places in ([[5.66, 51.97], [36.8, -1.3]], [[-140.0, 30.0]]))
    land = land_of(frame)
    assert [np.hypot(*(land - town).T).min() * 6371 < 100 for town in towns] == [True, True]
    assert np.hypot(*(land - sea[0]).T).min() * 6371 > 500
    assert len(land_of(frame_of(5.66, 5.67, 51.97, 51.98))) == 0


@pytest.mark.parametrize("count", [1, 2, 5])
def test_one_map_per_modality_with_its_number_of_places(tmp_path, count):
    places = {f"m{i}": np.random.default_rng(i).uniform(-50, 50, (10**i if i < 5 else 1, 2)) for i in range(count)}
    figure = coverage_map(places)
    assert [axes.get_title() for axes in figure.axes][:count] == [f"m{i} · {10**i:,} places" for i in range(count)]
    save_figure(figure, tmp_path / "coverage.png", dpi=60)


def test_of_many_places_every_kth_is_drawn():
    figure = coverage_map({"many": np.zeros((50_000, 2))})
    assert len(figure.axes[0].collections[-1].get_offsets()) == 16_667


def test_no_modality_is_an_error():
    with pytest.raises(ValueError, match="at least one modality"):
        coverage_map({})
