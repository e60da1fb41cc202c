"""Mirrors src/geotether/serving/tiles.py, layers.py, landmask.py and colours.py; pyproj and SciPy are the oracles."""

import io

import numpy as np
import pyproj
import pytest
from PIL import Image
from scipy.ndimage import map_coordinates

from geotether.encoder import Encoder
from geotether.geodesy.mercator import square_of_lonlat, tile_axes
from geotether.regions import Grid, country_of
from geotether.searching import grid_candidates, open_index, place_query, text_query
from geotether.serving.colours import Ramp
from geotether.serving.landmask import tile_land
from geotether.serving.layers import Layers, similarity_layer
from geotether.serving.planet import Planet, world_grid
from geotether.serving.tiles import grid_values, tile_png, tile_values

CENTERS = (np.arange(256) + 0.5) / 256


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))


@pytest.mark.parametrize("tile", [(0, 0, 0), (2, 3, 1), (9, 511, 0), (14, 8430, 16383)])
def test_axes_are_those_of_epsg_3857(tile):
    z, x, y = tile
    width = 2 * np.pi * 6378137.0
    metres = pyproj.Transformer.from_crs(3857, 4326, always_xy=True)
    along = np.array([0.0, 0.3, 1.0])
    lon, lat = metres.transform(((x + along) / 2**z - 0.5) * width, (0.5 - (y + along) / 2**z) * width)
    found = tile_axes(*tile, along)
    np.testing.assert_allclose(found, [lon, lat], atol=1e-9)
    square = square_of_lonlat(np.stack(found, axis=1)) * 2**z - [x, y]
    np.testing.assert_allclose(square, np.stack([along, along], axis=1), atol=1e-9 * 2**z)


@pytest.mark.parametrize("rows", [1, 2, 18])
def test_values_are_interpolated_bilinearly_and_go_round(rows):
    grid = Grid("EPSG:4326", -180.0, 90.0, 180 / rows, rows=rows, columns=2 * rows)
    values = np.random.default_rng(0).normal(size=(rows * grid.columns, 2)).astype(np.float32)
    rng = np.random.default_rng(1)
    lon, lat = np.append(rng.uniform(-180, 180, 40), [-180, 180]), np.append(rng.uniform(-90, 90, 40), [-90, 90])
    found = grid_values(values, grid, lon, lat)
    row, column = np.meshgrid((90 - lat) / grid.step - 0.5, (lon + 180) / grid.step - 0.5, indexing="ij")
    for k in range(2):
        # SciPy has one mode for all axes: rows are continued by hand.
        picture = np.pad(values[:, k].reshape(rows, -1), ((1, 1), (0, 0)), mode="edge")
        want = map_coordinates(picture.astype(float), [row + 1, column], order=1, mode="grid-wrap")
        np.testing.assert_allclose(found[..., k], want, atol=1e-5)


def test_unknown_values_do_not_count():
    grid = Grid("EPSG:4326", -180.0, 90.0, 90.0, rows=2, columns=4)
    values = np.full((8, 1), np.nan, dtype=np.float32)
    values[0], values[1] = 3.0, 5.0  # centres at 45 north, 135 and 45 west
    lon, lat = np.array([-135.0, -90.0, -45.0, 10.0, 90.0]), np.array([60.0, 10.0, -60.0])
    found = grid_values(values, grid, lon, lat)[..., 0]
    np.testing.assert_allclose(found[0], [3, 4, 5, 5, np.nan], atol=1e-5)
    np.testing.assert_allclose(found[1], [3, 4, 5, 5, np.nan], atol=1e-5)
    assert np.isnan(found[2]).all()


def test_classes_are_those_with_the_largest_weight():
    grid = world_grid(30.0)
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, 72).astype(np.float32)
    codes[rng.random(72) < 0.2] = np.nan
    lon, lat = rng.uniform(-180, 180, 60), rng.uniform(-89, 89, 50)
    found = grid_values(codes[:, None], grid, lon, lat, nearest=True)[..., 0]
    weights = np.stack(
        [grid_values((codes == code)[:, None].astype(np.float32), grid, lon, lat)[..., 0] for code in range(4)]
    )
    np.testing.assert_array_equal(np.isnan(found), weights.max(axis=0) == 0)
    known = ~np.isnan(found)
    np.testing.assert_array_equal(found[known], weights.argmax(axis=0)[known])


def test_the_mask_is_the_land_of_the_outlines_and_edges_are_smooth():
    for tile in ((2, 2, 1), (5, 16, 10), (3, 7, 2), (3, 0, 4)):
        mask = tile_land(*tile)
        lon, lat = tile_axes(*tile, CENTERS)
        places = np.stack(np.meshgrid(lon, lat), axis=-1)[::8, ::8].reshape(-1, 2)
        countries = np.array(country_of(places))
        land = (countries != "") & (countries != "Antarctica")
        sure = np.abs(mask[::8, ::8].ravel().astype(int) - 127) > 100
        assert ((mask[::8, ::8].ravel() > 127) == land)[sure].mean() > 0.985, tile
    edges = tile_land(5, 16, 10)
    assert len(np.unique(edges)) > 10
    assert not tile_land(4, 0, 15).any()  # Antarctica
    assert not tile_land(3, 1, 4).any() or tile_land(3, 1, 4).mean() < 5  # islands of the Pacific


def test_tiles_on_both_sides_of_180_degrees_meet(served, trained):
    planet = served.planet()
    layer = similarity_layer(planet, place_query(trained, 179.9, 66.0))
    for z in (1, 4, 8):
        lat = 2**z * square_of_lonlat(np.array([[0.0, 66.0]]))[0, 1]
        west, east = (tile_values(layer, z, x, int(lat), planet)[..., 0] for x in (2**z - 1, 0))
        across, beside = np.abs(west[:, -1] - east[:, 0]), np.abs(np.diff(west, axis=1)).max(axis=1)
        assert (across <= 1.5 * beside + 1e-3).all()


@pytest.mark.parametrize("z", [3, 6, 7, 11])
def test_the_similarity_at_the_place_asked_for_is_one(served, trained, z):
    planet = served.planet()
    lon, lat = planet.lonlat[planet.land][100] if z < 7 else (5.66, 51.97)
    layer = similarity_layer(planet, place_query(trained, lon, lat))
    x, y = (square_of_lonlat(np.array([[lon, lat]]))[0] * 2**z).tolist()
    values = tile_values(layer, z, int(x), int(y), planet)[..., 0]
    at = values[int(y % 1 * 256), int(x % 1 * 256)]
    assert at == pytest.approx(1.0, abs=0.01)
    assert at >= values.max() - 0.01
    assert layer.legend["stops"][0][0] < layer.legend["stops"][-1][0] <= 1.001
    assert pixels(tile_png(layer, z, int(x), int(y), planet))[..., 3].max() > 200


@pytest.mark.parametrize("kind", ["place", "text", "rgb", "clusters"])
def test_fine_tiles_are_what_the_encoder_says_there(served, trained, kind):
    planet = served.planet()
    query = text_query(trained, "bison prairie") if kind == "text" else place_query(trained, -100.0, 45.0)
    layer = similarity_layer(planet, query) if kind in ("place", "text") else served.layers().get(kind)
    tile = (8, 56, 92)
    lon, lat = tile_axes(*tile, np.array([0.0, 0.5, 1.0]))
    values = layer.at_places(lon, lat)
    places = np.stack(np.meshgrid(lon, lat), axis=-1).reshape(-1, 2)
    if kind == "place":
        want = trained.similarity(places, query.lonlat)[:, 0].reshape(3, 3)
        np.testing.assert_allclose(values[..., 0], want, atol=1e-4)
    elif kind == "clusters":  # the same cluster as at the planet's places
        rows = np.flatnonzero(planet.land)[:20]
        at = np.concatenate([layer.at_places(*planet.lonlat[[row]].T)[0] for row in rows])
        np.testing.assert_array_equal(at.argmax(axis=1), layer.values[rows].argmax(axis=1))
    elif kind == "rgb":
        assert ((values >= 1) & (values <= 255)).all()
    middle = tile_values(layer, *tile, planet)[127:129, 127:129].mean(axis=(0, 1))
    np.testing.assert_allclose(middle, values[1, 1], atol=0.02 * np.abs(values).max())


def test_sea_is_transparent_and_land_has_the_colours_of_its_place(served):
    planet, layer = served.planet(), served.layers().get("clusters")
    assert not pixels(tile_png(layer, 5, 3, 16, planet)).any()  # the Pacific
    assert not pixels(tile_png(layer, 4, 5, 15, planet)).any()  # Antarctica
    picture = pixels(tile_png(layer, 5, 20, 14, planet))
    lon, lat = tile_axes(5, 20, 14, CENTERS)
    colours = {name["colour"] for name in layer.legend["classes"]}
    for i, j in ((10, 10), (100, 200), (250, 250)):
        hexed = "#{:02x}{:02x}{:02x}".format(*picture[i, j, :3])
        assert picture[i, j, 3] == 0 or hexed in colours
    row = planet.row_of(lon[128], lat[128])
    assert layer.said(layer.values[row]) == f"cluster {1 + layer.values[row].argmax()} of 8"


def test_coverage_is_above_one_exactly_where_the_encoder_says_outside(served, trained):
    planet, layer = served.planet(), served.layers().get("coverage")
    rows = np.flatnonzero(planet.near_land)
    found = trained.coverage(planet.lonlat[rows])
    np.testing.assert_array_equal(layer.values[rows, 0] > 1, found.outside)
    assert np.isnan(np.delete(layer.values, rows, axis=0)).all()
    assert [layer.colours(np.array([[value]]))[0, 3] for value in (0.5, 1.5, np.nan)] == [255, 255, 0]
    assert layer.legend["stops"][-1][0] == layer.legend["stops"][-2][0] == 1.0


def test_a_model_has_the_layers_that_it_can_have(served, trained):
    assert served.layers().ids == ("rgb", "clusters", "coverage")
    without = Encoder(trained.module)
    places = open_index(without, grid_candidates(world_grid(30.0), "places"))
    assert Layers(Planet(without, world_grid(30.0), places)).ids == ("rgb", "clusters")
    at = served.layers().at(10.0, 50.0)
    assert set(at) == {"rgb", "clusters", "coverage"}
    assert served.layers().at(-130.0, -45.0) == {}  # at sea


def test_a_ramp_that_fades_is_clear_at_its_beginning():
    ramp = Ramp(0.0, 2.0, fades=True, above="#ff0000")
    found = ramp.colours(np.array([-1.0, 0.0, 0.6, 1.9, 2.0, 2.1, np.nan]))
    assert found[:2, 3].tolist() == [0, 0]
    assert 0 < found[2, 3] < 255
    assert found[3:6, 3].tolist() == [255, 255, 255]
    assert found[5, :3].tolist() == [255, 0, 0]
    assert found[6].tolist() == [0, 0, 0, 0]
    legend = ramp.legend()
    assert legend["stops"][-1] == [2.0, "#ff0000"]
    assert len(legend["opacity"]) == len(legend["stops"])
    assert legend["opacity"][0] == 0.0
    assert legend["opacity"][-1] == 1.0
    assert "opacity" not in Ramp(0.0, 2.0).legend()
