"""Mirrors src/geotether/regions/grid.py."""

import numpy as np
import pytest

from geotether.regions import Grid, grid_of, region_of


def test_degrees_lie_on_multiples_of_the_step():
    grid = grid_of(region_of("-9.97 35.02 29.93 59.91"), "0.1")
    assert grid.crs == "EPSG:4326"
    assert grid.bounds == pytest.approx((-10.0, 35.0, 30.0, 60.0), abs=1e-9)
    assert (grid.rows, grid.columns) == (250, 400)
    assert grid.transform == (0.1, 0.0, -10.0, 0.0, -0.1, 60.0)
    np.testing.assert_allclose(grid.lon(), -10 + 0.1 * np.arange(400) + 0.05, atol=1e-12)
    np.testing.assert_allclose(grid.lat(), 60 - 0.1 * np.arange(250) - 0.05, atol=1e-12)


@pytest.mark.parametrize("step", [0.1, 0.25, 1.0, 0.7, 0.78, 0.8, 7.0, 90.0])
def test_the_world_is_covered_once(step):
    grid = grid_of(region_of("world"), step)
    assert np.abs(grid.lat()).max() <= 90
    assert 90 - np.abs(grid.lat()).max() <= step
    gaps = np.diff(np.sort(grid.lon()), append=np.sort(grid.lon())[0] + 360)
    assert gaps.min() > step / 2
    assert gaps.max() < 2 * step


@pytest.mark.parametrize("resolution", ["1000km", "1234km", "4000km"])
def test_the_world_in_metres_has_only_pixels_with_a_place(resolution):
    grid = grid_of(region_of("world"), resolution)
    lonlat = grid.lonlat(slice(None), slice(None))
    assert np.isfinite(lonlat).all()
    lon, lat = grid.axes(slice(None), slice(None))
    np.testing.assert_allclose(lonlat, np.stack(np.meshgrid(lon, lat), axis=-1), atol=1e-9)
    west, south, east, north = grid.bounds
    edges = np.array([west + 17_367_530, south + 7_314_541, east - 17_367_530, north - 7_314_541])
    assert np.abs(edges).max() <= grid.step


def test_columns_go_on_across_the_antimeridian():
    grid = grid_of(region_of("Fiji"), 0.05)
    lon = grid.lon()
    assert lon.min() < -178
    assert lon.max() > 179
    assert grid.inside(region_of("Fiji"), slice(None), slice(None)).any(axis=0)[lon < 0].any()
    np.testing.assert_array_equal(grid.lonlat(slice(3, 4), slice(None))[0, :, 0], lon)


@pytest.mark.parametrize(
    ("given", "crs"),
    [
        ("5 50 8 53", "EPSG:32632"),
        ("175 -40 180 -35", "EPSG:32760"),
        ("-180 -5 -176 4", "EPSG:32701"),
        ("world", "EPSG:6933"),
        ("0 -90 360 90", "EPSG:6933"),
        ("Antarctica", "+proj=laea +lat_0=-90 +lon_0=0 +datum=WGS84 +units=m +no_defs"),
        ("Australia", "+proj=laea +lat_0=-32 +lon_0=136 +datum=WGS84 +units=m +no_defs"),
        ("170 -50 -170 -30", "+proj=laea +lat_0=-40 +lon_0=-180 +datum=WGS84 +units=m +no_defs"),
    ],
)
def test_grids_in_metres_cover_the_region(given, crs):
    region = region_of(given)
    grid = grid_of(region, "50km")
    assert grid.crs == crs
    assert grid.west % 50_000 == grid.north % 50_000 == 0
    assert not grid.is_geographic
    inside = grid.inside(region, slice(None), slice(None))
    # Pixels of an equal-area projection count area; a UTM zone is true to 0.1 %.
    whole = grid_of(region, "5km") if region.area_km2 < 1e6 else grid
    inside = whole.inside(region, slice(None), slice(None))
    assert inside.sum() * whole.step**2 / 1e6 == pytest.approx(region.area_km2, rel=0.02)
    with pytest.raises(ValueError, match="no longitude per column"):
        grid.lon()


def test_places_of_a_projection_without_one_are_nan():
    grid = grid_of(region_of("world"), "1000km")
    beyond = Grid(grid.crs, grid.west - 5_000_000, grid.north + 5_000_000, grid.step, 3, 3)
    assert np.isnan(beyond.lonlat(slice(0, 3), slice(0, 3))).all()
    assert not beyond.inside(region_of("world"), slice(0, 3), slice(0, 3)).any()


def test_tiles_cover_every_pixel_once_row_by_row():
    grid = Grid("EPSG:4326", 0.0, 10.0, 0.01, rows=600, columns=300)
    seen = np.zeros((600, 300), dtype=int)
    tiles = grid.tiles(256)
    for rows, columns in tiles:
        seen[rows, columns] += 1
    assert (seen == 1).all()
    assert tiles[1] == (slice(0, 256), slice(256, 300))
    lonlat = grid.lonlat(*tiles[1])
    assert lonlat.shape == (256, 44, 2)
    np.testing.assert_allclose(lonlat[0, 0], [2.565, 9.995])


def test_a_region_smaller_than_a_pixel_has_one():
    assert grid_of(region_of("Vatican"), 1).rows == 1
    assert grid_of(region_of("Vatican"), "100km").columns == 1


@pytest.mark.parametrize("resolution", ["", "abc", "0", "-1", "nan", "10 miles", "1000", "inf", "m"])
def test_what_is_not_a_resolution_is_refused(resolution):
    with pytest.raises(ValueError, match="resolution"):
        grid_of(region_of("world"), resolution)


def test_too_many_pixels_are_refused_with_their_number():
    with pytest.raises(ValueError, match=r"360,000 x 720,000|259,200,000,000"):
        grid_of(region_of("world"), 0.0005)
