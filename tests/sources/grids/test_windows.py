"""Mirrors src/geotether/sources/grids/windows.py."""

import warnings

import numpy as np
import pytest

from geotether.geodesy.azimuthal import ground_squares
from geotether.geodesy.coordinates import wrap_longitude
from geotether.sources.grids.cells import Cells, open_raster
from geotether.sources.grids.windows import (
    STATISTICS,
    Window,
    cut_windows,
    fill_missing,
    window_statistics,
)

rasterio = pytest.importorskip("rasterio")
pyproj = pytest.importorskip("pyproj")
# Everywhere that map code breaks.
PLACES = np.array(
    [[5.7, 52.0], [0.0, 0.0], [179.99, 60.0], [-179.99, -17.0], [30.0, 89.9], [-40.0, -89.9], [0.0, 90.0]]
)


def surface(lon, lat):
    """A known value for every place; it changes by at most 0.11 a degree."""
    lon, lat = np.radians(lon), np.radians(lat)
    return 10 + 5 * np.cos(lat) * np.cos(lon) + 3 * np.sin(lat) + np.cos(lat) * np.sin(lon)


@pytest.fixture
def write(write_geotiff):
    return lambda *given, **profile: Cells(open_raster(write_geotiff(*given, **profile)))


@pytest.fixture
def world(write):
    def make(path, west=-180.0, south_up=False):
        lon, lat = west + np.arange(0.25, 360, 0.5), (90 - np.arange(0.25, 180, 0.5)) * (-1 if south_up else 1)
        transform = (0.5, 0, west, 0, 0.5 if south_up else -0.5, -90.0 if south_up else 90.0)
        return write(path, surface(*np.meshgrid(lon, lat)).astype(np.float32), transform)

    return make


@pytest.mark.parametrize("west, south_up", [(-180.0, False), (0.0, False), (-180.0, True)])
@pytest.mark.parametrize("resampling, error", [("nearest", 0.04), ("bilinear", 2e-4), ("average", 0.02)])
def test_windows_on_the_ground_show_the_surface_that_is_there(tmp_path, west, south_up, resampling, error, world):
    cells = world(tmp_path / "a.tif", west=west, south_up=south_up)
    values, missing = cut_windows(cells, PLACES, Window(km=900.0, size=16, resampling=resampling))
    squares = ground_squares(PLACES, 900.0, 16)
    assert missing is None or not missing.any()
    distance = np.abs(values[..., 0] - surface(squares[..., 0], squares[..., 1]))
    # At the pole itself the four nearest cells of a column are not those around the place.
    assert distance[:4].max() < error
    assert distance.max() < max(error, 0.04)


@pytest.mark.parametrize(
    "crs, place", [("EPSG:32632", (9.0, 48.0)), ("EPSG:3413", (-45.0, 89.95)), ("EPSG:3857", (9.0, 60.0))]
)
def test_windows_of_projected_grids_have_the_same_ground(tmp_path, crs, place, write):
    to = pyproj.Transformer.from_crs("OGC:CRS84", crs, always_xy=True)
    x, y = to.transform(*place)
    transform = (2000.0, 0, x - 400_000, 0, -2000.0, y + 400_000)
    xs, ys = np.meshgrid(x - 399_000 + 2000 * np.arange(400), y + 399_000 - 2000 * np.arange(400))
    cells = write(tmp_path / "a.tif", surface(*to.transform(xs, ys, direction="INVERSE")), transform, crs)
    values, missing = cut_windows(cells, np.array([place]), Window(km=200.0, size=20))
    square = ground_squares(np.array([place]), 200.0, 20)
    assert missing is None or not missing.any()
    assert np.abs(values[..., 0] - surface(square[..., 0], square[..., 1])).max() < 0.003


@pytest.mark.parametrize("side", [1, 2, 5, 8])
def test_windows_of_cells_agree_with_rasterios_reading(tmp_path, side, world):
    cells = world(tmp_path / "a.tif")
    rng = np.random.default_rng(0)
    lonlat = np.stack([rng.uniform(-170, 170, 50), rng.uniform(-80, 80, 50)], axis=1)
    values, missing = cut_windows(cells, lonlat, Window(pixels=side))
    assert missing is None or not missing.any()
    with rasterio.open(tmp_path / "a.tif") as file:
        for (lon, lat), window in zip(lonlat, values, strict=True):
            column, row = (lon + 180) / 0.5, (90 - lat) / 0.5
            top, left = int(np.floor(row - (side - 1) / 2)), int(np.floor(column - (side - 1) / 2))
            want = file.read(1, window=rasterio.windows.Window(left, top, side, side))
            np.testing.assert_array_equal(window[..., 0], want)
            assert abs(row - (top + side / 2)) <= 0.5
            assert abs(column - (left + side / 2)) <= 0.5


def test_windows_of_cells_are_north_up_and_go_on_around_the_earth(tmp_path, world):
    places = np.array([[179.9, 10.0], [-179.9, 10.0], [0.1, 10.0]])
    got = [
        cut_windows(world(tmp_path / f"{n}.tif", west=west, south_up=up), places, Window(pixels=6))[0]
        for n, (west, up) in enumerate([(-180.0, False), (0.0, False), (-180.0, True), (0.0, True)])
    ]
    for other in got[1:]:
        np.testing.assert_allclose(other, got[0], atol=1e-5)
    lon = 180 + 0.5 * (np.arange(6) - 2.5)
    lat = 10 - 0.5 * (np.arange(6) - 2.5)
    np.testing.assert_allclose(got[0][0, ..., 0], surface(*np.meshgrid(wrap_longitude(lon), lat)), atol=1e-5)


def test_places_outside_or_without_data_are_missing(tmp_path, write):
    region = np.arange(64, dtype=np.int16).reshape(8, 8)
    cells = write(tmp_path / "a.tif", region, (1, 0, 0, 0, -1, 8), nodata=20)
    values, missing = cut_windows(cells, np.array([[4.5, 5.5], [0.5, 7.5], [100.0, 0.0]]), Window(pixels=3))
    assert values.dtype == np.int16
    np.testing.assert_array_equal(missing[0, ..., 0], region[1:4, 3:6] == 20)
    np.testing.assert_array_equal(missing[1, ..., 0], [[1, 1, 1], [1, 0, 0], [1, 0, 0]])
    assert missing[2].all()
    on_ground, lost = cut_windows(cells, np.array([[4.0, 0.0]]), Window(km=300.0, size=6))
    np.testing.assert_array_equal(lost[0, :, 0, 0], [0, 0, 0, 1, 1, 1])
    assert (on_ground[0, :3, 0, 0] >= 48).all()


@pytest.mark.parametrize("resampling", ["bilinear", "average"])
def test_values_between_cells_come_from_those_that_are_known(tmp_path, resampling, write):
    checked = np.full((20, 20), 7.0, dtype=np.float32)
    checked[5:9, 5:9] = -1
    cells = write(tmp_path / "a.tif", checked, (0.1, 0, 0, 0, -0.1, 2), nodata=-1)
    values, missing = cut_windows(cells, np.array([[1.0, 1.0]]), Window(km=200.0, size=30, resampling=resampling))
    assert 0 < missing.mean() < 0.5
    np.testing.assert_allclose(values[~missing], 7.0)


def test_bilinear_values_agree_with_scipy(tmp_path, write):
    from scipy.interpolate import RegularGridInterpolator

    rng = np.random.default_rng(0)
    field = rng.normal(size=(3, 20, 30))
    cells = write(tmp_path / "a.tif", field, (1, 0, 0, 0, -1, 20))
    lonlat = np.stack([rng.uniform(0.5, 29.5, 100), rng.uniform(0.5, 19.5, 100)], axis=1)
    values, missing = cut_windows(cells, lonlat, Window(resampling="bilinear"))
    axes = (np.arange(20) + 0.5, np.arange(30) + 0.5)
    want = RegularGridInterpolator(axes, np.moveaxis(field, 0, -1))(np.stack([20 - lonlat[:, 1], lonlat[:, 0]], 1))
    np.testing.assert_allclose(values[:, 0, 0], want)
    assert not missing.any()


def test_averages_count_every_cell_under_a_pixel(tmp_path, write):
    noise = np.random.default_rng(0).normal(size=(400, 400))
    cells = write(tmp_path / "a.tif", noise, (0.01, 0, 0, 0, -0.01, 2))
    km = 80 * 0.01 * 111.19508  # 80 cells, 8 to a pixel; so near the equator the ground is the grid
    values, _ = cut_windows(cells, np.array([[2.0, 0.4]]), Window(km=km, size=10, resampling="average"))
    blocks = noise[120:200, 160:240].reshape(10, 8, 10, 8).mean(axis=(1, 3))
    assert np.corrcoef(values[0, ..., 0].ravel(), blocks.ravel())[0, 1] > 0.97


def test_holes_are_filled_by_mean_nearest_or_a_number():
    window = np.array([[1.0, 2.0], [3.0, 99.0]])[..., None].repeat(2, axis=-1)
    hole = np.zeros((2, 2, 2), dtype=bool)
    hole[1, 1, 0] = True
    assert fill_missing(window, hole, "mean")[1, 1].tolist() == [2.0, 99.0]
    assert fill_missing(window, hole, -5)[1, 1].tolist() == [-5.0, 99.0]
    assert fill_missing(window, hole, "nearest")[1, 1, 0] in (2.0, 3.0)
    assert window[1, 1, 0] == 99.0


def test_statistics_agree_with_numpy_on_known_cells():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(40, 30, 2))
    values[rng.random(values.shape) < 0.4] = np.nan
    values[3, :, 1] = np.nan
    values[4, 1:, 0] = np.nan
    values[4, 0, 0] = 2.5
    found = window_statistics(values, STATISTICS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in ("mean", "std", "min", "max", "median"):
            np.testing.assert_allclose(found[name], getattr(np, f"nan{name}")(values, axis=1), err_msg=name)
    np.testing.assert_allclose(found["missing"], np.isnan(values).mean(axis=1))
    assert found["std"][4, 0] == 0
    assert np.isnan(found["mean"][3, 1])
