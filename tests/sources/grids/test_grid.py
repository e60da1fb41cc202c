"""Mirrors src/geotether/sources/grids/grid.py."""

import numpy as np
import pytest

from geotether.geodesy.distance import great_circle_km
from geotether.sources.grids.grid import Grid, axis_steps

pyproj = pytest.importorskip("pyproj")
WORLD = Grid(180, 360, (1.0, 0.0, -180.0, 0.0, -1.0, 90.0))
GAUSSIAN = np.array([-85.76, -80.27, -74.75, 0.0, 74.75, 80.27, 85.76])


def test_cells_of_a_world_map_by_hand():
    rows, columns = WORLD.cells(np.array([[-180.0, 90.0], [180.0, -90.0], [0.25, 0.5], [359.5, 1.0], [-541.0, 0.0]]))
    np.testing.assert_allclose(rows, [0, 180, 89.5, 89, 90])
    np.testing.assert_allclose(columns, [0, 0, 180.25, 179.5, 359], atol=1e-9)
    assert WORLD.wraps
    assert WORLD.flips == (False, False)


@pytest.mark.parametrize("crs", ["EPSG:32632", "EPSG:3413", "EPSG:3857", "EPSG:3035"])
def test_a_rotated_grid_in_any_crs_finds_its_own_middles(crs):
    transformer = pyproj.Transformer.from_crs("OGC:CRS84", crs, always_xy=True)
    x, y = transformer.transform(9.0, 72.0)
    grid = Grid(40, 30, (800.0, 300.0, x, 300.0, -800.0, y), crs)
    row, column = (axis.ravel() + 0.5 for axis in np.meshgrid(np.arange(40), np.arange(30)))
    lonlat = grid.lonlat(row, column)
    back = grid.cells(lonlat)
    np.testing.assert_allclose(back[0], row, atol=1e-6)
    np.testing.assert_allclose(back[1], column, atol=1e-6)
    a = np.stack(transformer.transform(lonlat[:, 0], lonlat[:, 1]), axis=1)
    np.testing.assert_allclose(a[:, 0], 800 * column + 300 * row + x, atol=1e-3)
    west, south, east, north = grid.bounds()
    assert (lonlat[:, 0] > west).all()
    assert (lonlat[:, 0] < east).all()
    assert (lonlat[:, 1] > south).all()
    assert (lonlat[:, 1] < north).all()


def test_a_full_turn_is_known_only_if_columns_are_meridians():
    world_m = 20_037_508.342789244
    assert Grid(100, 100, (world_m / 50, 0, -world_m, 0, -world_m / 50, world_m), "EPSG:3857").wraps
    assert not Grid(100, 50, (world_m / 50, 0, 0, 0, -world_m / 50, world_m), "EPSG:3857").wraps
    assert Grid(200, 400, (1.0, 0, -200, 0, -1.0, 100), "EPSG:4807").wraps  # in gon
    assert Grid(100, 100, (1e5, 0, 0, 0, -1e5, 0), "EPSG:32632").turn is None
    assert Grid(100, 100, (1e5, 0, 0, 0, -1e5, 0), "EPSG:3413").turn is None
    assert Grid(10, 10, (36.0, 1.0, 0, 0, -1, 0)).turn is None


def test_bounds_over_the_antimeridian_and_the_pole():
    assert Grid(10, 20, (1.0, 0, 170.0, 0, -1.0, -10.0)).bounds() == (170, -20, 190, -10)
    assert Grid(180, 360, (1.0, 0, 0.0, 0, -1.0, 90.0)).bounds() == (-180, -90, 180, 90)
    west, south, east, north = Grid(100, 100, (1e4, 0, -5e5, 0, -1e4, 5e5), "EPSG:3413").bounds()
    assert (west, east, north) == (-180, 180, 90)
    assert 83 < south < 84
    west, _, east, _ = Grid(10, 10, (1e5, 0, 1e5, 0, -1e5, 6e6), "EPSG:32660").bounds()  # the zone east of 174 E
    assert 160 < west < 180 < east < 200


def test_uneven_axes_have_their_borders_half_way_and_reach_the_poles():
    grid = Grid(7, 4, (90.0, 0, -45.0, 0, 28.6, -90.0), None, None, GAUSSIAN)
    lat = np.array([-90.0, -83.0, -83.03, -37.3, 0.0, 77.0, 78.0, 90.0])
    rows, _ = grid.cells(np.stack([np.zeros(8), lat], axis=1))
    assert np.clip(np.floor(rows), 0, 6).tolist() == [0, 1, 0, 3, 3, 4, 5, 6]
    assert grid.inside(rows, np.zeros(8)).all()
    assert grid.flips[0]
    np.testing.assert_allclose(grid.lonlat(np.arange(7) + 0.5, np.full(7, 0.5))[:, 1], GAUSSIAN)
    part = Grid(3, 3, (1.0, 0, 0, 0, 1.0, 0), None, np.array([350.0, 355.0, 365.0]), np.array([10.0, 20.0, 40.0]))
    rows, columns = part.cells(np.array([[-10.0, 10.0], [6.0, 20.0], [0.5, 49.0], [20.0, 20.0], [-10.0, 60.0]]))
    assert part.inside(rows, columns).tolist() == [True, True, True, False, False]
    assert np.floor(columns[:3]).tolist() == [0, 2, 2]


def test_cell_size_on_the_ground():
    assert WORLD.cell_km == pytest.approx(111.195, abs=1e-3)
    utm = Grid(10, 10, (10.0, 0, 500_000.0, 0, -10.0, 5_000_000.0), "EPSG:32632")
    assert utm.cell_km == pytest.approx(0.01, rel=0.01)
    assert utm.lonlat(np.array([0.0]), np.array([0.0]))[0, 0] == pytest.approx(9.0)
    assert great_circle_km(*utm.lonlat(np.array([0.0, 0.0]), np.array([0.0, 1.0]))) == pytest.approx(0.01, rel=0.01)


def test_even_axes_are_distinguished_from_uneven_ones():
    assert axis_steps(np.array([89.5, 88.5, 87.5])) == (-1.0, 90.0)
    noisy = np.linspace(-180, 179.75, 1440).astype(np.float32).astype(np.float64)
    assert axis_steps(noisy) == pytest.approx((0.25, -180.125))
    assert axis_steps(GAUSSIAN) is None
