"""Mirrors src/geotether/context/rasters.py and blocks.py."""

import json

import numpy as np
import pytest

from geotether.context.blocks import RasterBlocks
from geotether.context.rasters import ArrayRaster, Look, raster_field
from geotether.context.smoothing import NodeGrid
from geotether.features.convolution import RandomConvolution
from geotether.geodesy.crs import lonlat_of_xy, xy_of_lonlat
from geotether.sources.grids.cells import open_raster

PLANET = (-180, -90, 180, 90)
NAN = np.nan


def world(function, step=0.5, bands=1, dtype=np.float32):
    """A raster of the planet whose pixels are a function of longitude and latitude in degrees."""
    lon, lat = np.meshgrid(np.arange(-180 + step / 2, 180, step), np.arange(90 - step / 2, -90, -step))
    values = np.asarray(function(lon, lat), dtype=dtype)
    return ArrayRaster(values[..., None] if values.ndim == 2 else values, -180.0, 90.0, step)


def places(nodes):
    return np.moveaxis(np.stack(np.meshgrid(nodes.lon, nodes.lat), axis=-1), -1, 0)


def correlation(a, b):
    return abs(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def fitted(values, expected):
    """The best linear combination of components, before they were squeezed."""
    loose = 4 * np.arctanh(values.reshape(-1, values.shape[-1]) / 4)
    design = np.concatenate([loose, np.ones((len(loose), 1))], axis=1)
    return design @ np.linalg.lstsq(design, expected.ravel(), rcond=None)[0]


def cosine(lon, lat):
    return 30 * np.cos(np.radians(lat)) + 0.01 * np.sin(np.radians(7 * lon))


@pytest.mark.parametrize("step", [0.5, 0.25, 2.0, 3.75, 12.0])  # of pixels, finer and coarser than nodes
def test_a_known_field_comes_back_at_nodes(step):
    nodes = NodeGrid.around(PLANET, 3.0)
    values, weight = raster_field([world(cosine, step)], nodes, filters=0, components=2)
    assert values.shape[:2] == (61, 120)
    expected = np.cos(np.radians(places(nodes)[1]))
    assert correlation(fitted(values[2:-2], expected[2:-2]), expected[2:-2]) > 0.995
    assert weight[2:-2].min() > 0.999
    # Columns have unit variance by area, and large values are drawn in.
    assert 0.8 < np.sqrt(np.average(values[..., 0] ** 2, weights=np.clip(expected, 1e-9, None))) < 1.2
    np.testing.assert_allclose(values[:, 0], values[:, -1], atol=0.05)


def test_blocks_that_fit_the_nodes_lie_around_them_and_give_plain_means():
    raster = world(lambda lon, lat: np.stack([lon, lat], axis=-1), 0.5)
    blocks = RasterBlocks(raster, NodeGrid.around(PLANET, 2.0))
    assert (blocks.unit, blocks.shrink, blocks.wraps, blocks.shape) == (4, 1, True, (91, 180))
    nodes = NodeGrid.around(PLANET, 2.0)
    np.testing.assert_allclose(blocks.lonlat[1:-1], np.moveaxis(places(nodes), 0, -1)[1:-1], atol=1e-9)
    pieces = list(blocks.pieces())
    windows, share = (np.concatenate([getattr(piece, name) for piece in pieces]) for name in ("windows", "share"))
    np.testing.assert_allclose(windows[1:-1, 1:].mean(axis=(2, 3)), blocks.lonlat[1:-1, 1:], atol=1e-4)
    assert share[[0, -1]].tolist() == [[0.5] * 180] * 2  # half of a pole's block is beyond the pole


def test_features_are_those_of_random_convolution_of_the_blocks_windows():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (180, 360, 3)).astype(np.float32).cumsum(axis=1) % 255
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (14, 14), axis=(0, 1))[3:150:10, 3:300:10]
    windows = np.moveaxis(windows, 2, -1).reshape(-1, 14, 14, 3)
    look = Look.fit(windows, 6, 5, 4, seed=1)
    features = RandomConvolution(6, 5, seed=1).fit(windows[np.random.default_rng(1).permutation(len(windows))])
    np.testing.assert_array_equal(look.filters.filters_, features.filters_)
    found = look(windows)
    assert found.shape == (len(windows), 4)
    loose = 4 * np.arctanh(found / 4)  # before squeezing
    np.testing.assert_allclose(np.cov(loose.T), np.eye(4), atol=0.01)
    piece = next(RasterBlocks(ArrayRaster(pixels, -180.0, 90.0, 1.0), NodeGrid.around(PLANET, 10.0), 2).pieces())
    np.testing.assert_array_equal(piece.windows[1, 1], pixels[3:17, 3:17])
    np.testing.assert_array_equal(piece.windows[1, 0, :, 7:], pixels[3:17, :7])
    np.testing.assert_array_equal(piece.windows[1, 0, :, :7], pixels[3:17, -7:])


def test_texture_is_seen_where_means_are_equal():
    def checks(lon, lat):
        return 100 + 20 * np.where(lon > 0, (lon // 0.5 + lat // 0.5) % 2, (lon // 2) % 2)

    nodes = NodeGrid.around(PLANET, 5.0)
    values, _ = raster_field([world(checks, 0.5)], nodes, filters=8, patch=3, components=4)
    lon = places(nodes)[0]
    assert correlation(values[2:-2, 2:-2, 0], (lon > 0)[2:-2, 2:-2]) > 0.95


def test_missing_pixels_do_not_count_and_a_planet_of_nodata_has_no_weight_there(tmp_path, write_geotiff):
    lat = np.broadcast_to(np.arange(89.5, -90, -1)[:, None], (180, 360))
    cells = np.where(lat > 10, lat * 20, -9999).astype(np.int16)
    cells[::3, ::4] = -9999
    raster = open_raster(write_geotiff(tmp_path / "height.tif", cells, nodata=-9999))
    nodes = NodeGrid.around(PLANET, 5.0)
    values, weight = raster_field([raster], nodes, filters=0, components=2)
    lat = places(nodes)[1]
    assert not weight[lat < 5].any()
    assert not values[lat < 5].any()
    assert weight[(lat > 15) & (lat < 85)].min() > 0.8
    known = (lat > 15) & (lat < 85)
    assert correlation(fitted(values[known], lat[known]), lat[known]) > 0.99


def test_the_sea_is_background_by_its_look_or_by_polygons(tmp_path):
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((360, 720))

    def island(lon, lat):
        return np.where((np.abs(lon) < 40) & (np.abs(lat) < 30), 200 + lat + 3 * noise, 7)

    nodes = NodeGrid.around(PLANET, 5.0)
    lon, lat = places(nodes)
    inside, outside = (np.abs(lon) <= 35) & (np.abs(lat) <= 25), (np.abs(lon) > 45) | (np.abs(lat) > 35)
    values, weight = raster_field([world(island, 0.5)], nodes, filters=4, patch=3, components=3)
    assert (weight[1:-1] == 1).all()
    assert not values[outside].any()
    assert values[inside].any(axis=-1).all()

    square = [[[-40, -30], [40, -30], [40, 30], [-40, 30], [-40, -30]]]
    feature = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": square}}
    land = tmp_path / "land.geojson"
    land.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    noisy = world(lambda lon, lat: island(lon, lat) + noise, 0.5)
    found, _ = raster_field([noisy], nodes, filters=4, patch=3, components=3)
    assert found[outside].any()
    found, weight = raster_field([noisy], nodes, filters=4, patch=3, components=3, land=land)
    assert not found[outside].any()
    assert found[inside].any(axis=-1).all()
    assert (weight[1:-1] == 1).all()


@pytest.mark.parametrize("zone", [("EPSG:32632", 9.0, 47.0), ("EPSG:32660", 179.5, -17.0), ("EPSG:3413", -45.0, 80.0)])
def test_a_regional_raster_in_metres_comes_back_also_across_the_antimeridian(tmp_path, write_geotiff, zone):
    crs, lon, lat = zone
    if lat < 0:
        crs = "EPSG:32760"
    x, y = xy_of_lonlat(np.array([[lon, lat]]), crs)[0]
    size, metres = 200, 500.0
    transform = (metres, 0, x - 100 * metres, 0, -metres, y + 100 * metres)
    rows, columns = np.mgrid[:size, :size] + 0.5
    xy = np.stack([x + (columns - 100) * metres, y - (rows - 100) * metres], axis=-1)
    where = lonlat_of_xy(xy.reshape(-1, 2), crs)
    east = ((where[:, 0] - lon + 180) % 360 - 180).reshape(size, size)
    cells = np.stack([where[:, 1].reshape(size, size), east]).astype(np.float32)
    raster = open_raster(write_geotiff(tmp_path / "region.tif", cells, transform, crs))
    nodes = NodeGrid.around(raster.grid.bounds(), 0.1, 10)
    values, weight = raster_field([raster], nodes, filters=0, components=2)
    lons, lats = places(nodes)
    known = weight > 0.9
    assert 50 < known.sum() < known.size
    # The two components are a rotation of the two bands.
    design = np.stack([np.ones(known.sum()), lats[known], (lons[known] - lon + 180) % 360 - 180], axis=1)
    loose = 4 * np.arctanh(values[known] / 4)
    rest = loose - design @ np.linalg.lstsq(design, loose, rcond=None)[0]
    assert rest.std() < 0.06 * loose.std()


def test_tiles_that_continue_each_other_are_one_raster():
    whole = world(cosine, 1.0)
    tiles = [
        ArrayRaster(whole.values[top : top + 90, left : left + 120], left - 180.0, 90.0 - top, 1.0)
        for top in (0, 90)
        for left in (0, 120, 240)
    ]
    nodes = NodeGrid.around(PLANET, 5.0)
    one, _ = raster_field([whole], nodes, filters=0, components=1)
    many, weight = raster_field(tiles, nodes, filters=0, components=1)
    assert correlation(one, many) > 0.999
    assert weight[1:-1].min() > 0.99


def test_a_transform_and_bytes_and_finer_pixels_are_averaged_first():
    bright = world(lambda lon, lat: np.where(np.abs(lat) < 80, (lat + 90) ** 2 / 130, 0), 0.25, dtype=np.uint8)
    nodes = NodeGrid.around(PLANET, 9.0)
    blocks = RasterBlocks(bright, nodes, 0, "sqrt")
    assert (blocks.unit, blocks.shrink) == (36, 3)
    values, _ = raster_field([bright], nodes, filters=0, components=2, transform="sqrt")
    lat = places(nodes)[1]
    middle = np.abs(lat) < 70
    expected = lat[middle] + 90  # the square root of the pixels is linear
    assert correlation(fitted(values[middle], expected), expected) > 0.999


def test_the_same_seed_gives_the_same_field_and_another_seed_other_filters():
    rng = np.random.default_rng(0)
    raster = ArrayRaster(rng.standard_normal((180, 360, 2)).astype(np.float32), -180.0, 90.0, 1.0)
    nodes = NodeGrid.around(PLANET, 9.0)
    one, again, other = (raster_field([raster], nodes, filters=3, components=2, seed=s)[0] for s in (5, 5, 6))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 0.1


def test_a_raster_that_cannot_be_used_is_an_error_that_says_why(tmp_path, write_geotiff):
    nodes = NodeGrid.around(PLANET, 5.0)
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((180, 360)).astype(np.float32)
    for cells, options, words in [
        (np.full((180, 360), NAN, np.float32), {}, "no pixel with data"),
        (np.full((180, 360), 3, np.uint8), {}, r"one value \[3"),
        (np.stack([noise, np.full_like(noise, 7), noise]), {}, r"band 2 \(heat\) has the value 7 .*bands: \[1, 3\]"),
        (noise[::5, ::5], {"filters": 2, "patch": 1}, "filters: 0"),
        (np.tile(noise[:5, :5], (36, 72)), {}, "look alike"),
        (noise, {"transform": "sqrt"}, "the value -.*transform: sqrt"),
        (noise, {"land": "far"}, "lies in the polygons"),
    ]:
        names = ("red", "heat", "blue") if cells.ndim == 3 else ()
        path = write_geotiff(tmp_path / "one.tif", cells, names=names)
        if "land" in options:
            ring = [[170, 89.1], [171, 89.1], [171, 89.2], [170, 89.1]]
            polygon = {"type": "Polygon", "coordinates": [ring]}
            feature = {"type": "Feature", "properties": {}, "geometry": polygon}
            options = {"land": tmp_path / "far.geojson"}
            options["land"].write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
        with pytest.raises(ValueError, match=f"one.tif.*{words}"):
            raster_field([open_raster(path)], nodes, **{"filters": 0, **options})
    pair = [ArrayRaster(noise[..., None], -180.0, 90.0, 1.0), ArrayRaster(np.stack([noise] * 2, -1), -180.0, 90.0, 1.0)]
    with pytest.raises(ValueError, match="different numbers of bands"):
        raster_field(pair, nodes)
