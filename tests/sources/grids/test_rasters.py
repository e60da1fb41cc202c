"""Mirrors src/geotether/sources/grids/rasters.py."""

import numpy as np
import pytest
from PIL import Image

from geotether.sources.grids.rasters import raster_values, terrarium_values, terrarium_zooms

rasterio = pytest.importorskip("rasterio")
NAN = np.nan


@pytest.fixture
def world(write_geotiff, tmp_path):
    """A global grid of 30 degrees whose cells count up, row by row, from the north-west."""
    return write_geotiff(tmp_path / "world.tif", np.arange(72, dtype=np.float32).reshape(6, 12))


def test_every_place_gets_the_cell_it_lies_in(world):
    rng = np.random.default_rng(0)
    lonlat = np.stack([rng.uniform(-180, 180, 200), rng.uniform(-90, 90, 200)], 1)
    by_hand = [12 * int((90 - lat) // 30) + int((lon + 180) // 30) for lon, lat in lonlat]
    np.testing.assert_array_equal(raster_values(world, lonlat), by_hand)
    assert len(raster_values(world, np.empty((0, 2)))) == 0


def test_poles_and_the_date_line_belong_to_the_map(world):
    edges = np.array([[-180.0, 90.0], [180.0, 90.0], [180.0, -90.0], [-180.0, -90.0], [359.9, 0.1], [179.999, -90.0]])
    np.testing.assert_array_equal(raster_values(world, edges), [0, 0, 60, 60, 29, 71])


def test_a_corner_with_a_rounding_error_includes_the_pole(tmp_path, write_geotiff):
    path = write_geotiff(
        tmp_path / "gpw.tif", np.ones((720, 1440), np.uint8), (0.25, 0, -180, 0, -0.25, 89.99999999999991)
    )
    assert raster_values(path, np.array([[0.0, 90.0], [180.0, -90.0]])).tolist() == [1, 1]


def test_the_band_and_the_places_are_checked(tmp_path, write_geotiff):
    path = write_geotiff(
        tmp_path / "two.tif", np.stack([np.ones((2, 2)), np.full((2, 2), 9.0)]), (10, 0, 0, 0, -10, 20)
    )
    assert raster_values(path, np.array([[5.0, 5.0]]), band=2) == 9
    with pytest.raises(ValueError, match="no band 3; it has 2"):
        raster_values(path, np.array([[5.0, 5.0]]), band=3)
    with pytest.raises(ValueError, match="latitude"):
        raster_values(path, np.array([[0.0, 95.0]]))


def test_nodata_and_what_lies_outside_are_nan_and_scale_and_offset_count(tmp_path, write_geotiff):
    cells, place = np.array([[1, -9999], [3, 4]], np.int16), (10, 0, 0, 0, -10, 20)
    path = write_geotiff(tmp_path / "region.tif", cells, place, nodata=-9999, scales=(0.5,), offsets=(100.0,))
    lonlat = np.array([[5.0, 15.0], [15.0, 15.0], [5.0, 5.0], [-5.0, 5.0], [5.0, 25.0], [20.0, 0.0]])
    np.testing.assert_array_equal(raster_values(path, lonlat), [100.5, NAN, 101.5, NAN, NAN, 102.0])
    lowest = -3.4028230607370965e38
    gpw = write_geotiff(
        tmp_path / "gpw.tif", np.array([[lowest, 7.5]], np.float32), (10, 0, 0, 0, -10, 10), nodata=lowest
    )
    np.testing.assert_array_equal(raster_values(gpw, np.array([[1.0, 1.0], [11.0, 1.0]])), [NAN, 7.5])


def terrarium(folder, zoom, metres, skip=()):
    """Write tiles of 8 x 8 pixels, each tile at one height given by metres(x, y)."""
    for x in range(2**zoom):
        for y in range(2**zoom):
            if (x, y) in skip:
                continue
            code = round((metres(x, y) + 32768) * 256)
            pixel = (code >> 16, (code >> 8) & 255, code & 255)
            path = folder / str(zoom) / str(x) / f"{y}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), pixel).save(path)
    return folder


def test_terrarium_tiles_hold_metres_where_web_mercator_puts_them(tmp_path):
    folder = terrarium(tmp_path / "tiles", 2, lambda x, y: 100 * x + y + 0.25)
    terrarium(folder, 0, lambda x, y: -11_000.0)
    assert terrarium_zooms(folder) == [0, 2]
    # At zoom 2 the rows meet at latitudes 66.51, 0 and -66.51, the columns at -90, 0 and 90.
    lonlat = np.array([[-100.0, 70.0], [100.0, 66.4], [10.0, -66.6], [-180.0, 85.05], [180.0, 1.0], [0.0, 85.06]])
    values, missing = terrarium_values(folder, lonlat)
    np.testing.assert_array_equal(values, [0.25, 301.25, 203.25, 0.25, 1.25, NAN])
    assert missing == 0
    np.testing.assert_array_equal(terrarium_values(folder, lonlat[:2], zoom=0)[0], [-11_000.0, -11_000.0])


def test_a_place_gets_the_pixel_that_contains_it(tmp_path):
    row = np.arange(8)
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[..., 0], pixels[..., 1] = 128, row[:, None] * 8 + row
    (tmp_path / "0" / "0").mkdir(parents=True)
    Image.fromarray(pixels).save(tmp_path / "0" / "0" / "0.png")
    lon = -180 + 45 * row + 20.0
    lat = np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * (row + 0.5) / 8))))
    lonlat = np.stack(np.meshgrid(lon, lat), -1).reshape(-1, 2)
    np.testing.assert_array_equal(terrarium_values(tmp_path, lonlat)[0], np.arange(64))


def test_missing_and_empty_tiles_are_nan_and_counted(tmp_path):
    folder = terrarium(tmp_path, 1, lambda x, y: -32768.0 if x else 5.0, skip={(0, 1)})
    values, missing = terrarium_values(folder, np.array([[-90.0, 45.0], [-90.0, -45.0], [-91.0, -46.0], [90.0, 45.0]]))
    np.testing.assert_array_equal(values, [5.0, NAN, NAN, NAN])
    assert missing == 2
    (folder / "1" / "0" / "0.png").write_text("not a picture")
    with pytest.raises(ValueError, match=r"0.png is damaged"):
        terrarium_values(folder, np.array([[-90.0, 45.0]]))
    with pytest.raises(FileNotFoundError, match=r"no zoom level 7.*zoom levels found: 1"):
        terrarium_values(folder, np.array([[-90.0, 45.0]]), zoom=7)
    with pytest.raises(FileNotFoundError, match="contains no zoom level"):
        terrarium_values(folder / "1" / "0", np.array([[-90.0, 45.0]]))
