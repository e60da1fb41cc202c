"""Mirrors src/geotether/sources/grids/raster_places.py."""

import json

import numpy as np
import pytest

from geotether.sources.grids.cells import Cells, open_raster
from geotether.sources.grids.raster_places import given_places, refuse_outside, sampled_places

rasterio = pytest.importorskip("rasterio")


@pytest.fixture
def world(write_geotiff, tmp_path):
    return Cells(open_raster(write_geotiff(tmp_path / "world.tif", np.ones((180, 360), np.uint8))))


def box(path, west, south, east, north):
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    feature = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    return path


def test_a_sample_comes_tile_by_tile(tmp_path, write_geotiff):
    tiles = {"tiled": True, "blockxsize": 256, "blockysize": 256}
    path = write_geotiff(tmp_path / "a.tif", np.ones((512, 1024), np.uint8), (0.35, 0, -179, 0, -0.35, 89), **tiles)
    cells = Cells(open_raster(path))
    tile = cells.tiles_of(sampled_places(cells, 500, seed=0))
    assert (np.diff(tile) >= 0).all()
    assert len(set(tile.tolist())) == 8


def test_samples_stay_on_land_on_the_mask_between_latitudes_and_where_there_is_data(world, tmp_path, write_geotiff):
    pytest.importorskip("geopandas")
    land = sampled_places(world, 300, 0, land=box(tmp_path / "land.geojson", 10, 20, 40, 50))
    assert (land > [10, 20]).all()
    assert (land < [40, 50]).all()
    mask = np.zeros((2, 4), np.int16)
    mask[0, 1], mask[1, 3] = 7, -1
    on = sampled_places(world, 300, 0, mask=write_geotiff(tmp_path / "mask.tif", mask))
    assert ((on >= [-90, 0]) & (on <= [0, 90])).all()
    band = sampled_places(world, 300, 0, latitudes=(-60.0, -50.0))
    assert ((band[:, 1] > -60) & (band[:, 1] < -50)).all()
    known = np.full((18, 36), 5, np.uint8)
    known[:, :30] = 0
    holes = Cells(open_raster(write_geotiff(tmp_path / "holes.tif", known, nodata=0)))
    assert (sampled_places(holes, 300, 0)[:, 0] > 120).all()


def test_a_small_raster_is_sampled_within_its_bounds_also_across_the_antimeridian(tmp_path, write_geotiff):
    scene = write_geotiff(tmp_path / "a.tif", np.ones((50, 50), np.uint8), (100, 0, 7e5, 0, -100, 8e6), "EPSG:32760")
    cells = Cells(open_raster(scene))
    lonlat = sampled_places(cells, 200, 0)
    assert cells.raster.grid.inside(*cells.raster.grid.cells(lonlat)).all()
    fiji = Cells(open_raster(write_geotiff(tmp_path / "b.tif", np.ones((9, 9), np.uint8), (1, 0, 176, 0, -1, -12))))
    lonlat = sampled_places(fiji, 200, 0)
    assert ((lonlat[:, 0] > 176) | (lonlat[:, 0] < -175)).all()
    assert 50 < (lonlat[:, 0] < 0).sum() < 150


def test_if_no_place_is_left_the_message_says_at_which_step(world, tmp_path, monkeypatch, write_geotiff):
    monkeypatch.setattr("geotether.sources.sampling.FEWEST_DRAWS", 2000)
    empty = write_geotiff(tmp_path / "mask.tif", np.zeros((2, 4), np.uint8))
    with pytest.raises(ValueError, match=r"only 0 of the 3 places.*: 2000 drawn, 2000 in the raster, 0 on the mask\."):
        sampled_places(world, 3, 0, mask=empty)
    north = Cells(open_raster(write_geotiff(tmp_path / "n.tif", np.ones((10, 10), np.uint8), (1, 0, 0, 0, -1, 60))))
    with pytest.raises(ValueError, match=r"extends from latitude 50 to 60, outside latitudes"):
        sampled_places(north, 3, 0, latitudes=(-60.0, 0.0))


def test_places_keep_their_rows_ids_and_times(tmp_path):
    csv = tmp_path / "a.csv"
    csv.write_text("site,lon,lat,day\nA,5.6,52,2020-07-01\nB,300,91,2021-01-02\n,,,\n")
    found = given_places(csv, id="site", time="day")
    np.testing.assert_array_equal(found.lonlat, [[5.6, 52], [300, 91], [np.nan, np.nan]])
    assert found.id.tolist() == ["A", "B", ""]
    assert found.time[0] == np.datetime64("2020-07-01")
    assert np.isnat(found.time[2])
    assert given_places(csv, time="2019-05").time.tolist() == [np.datetime64("2019-05-01", "ms").item()] * 3
    assert given_places(csv).time is None


def test_rows_that_cannot_be_used_are_rejected_with_their_reason(tmp_path):
    (tmp_path / "a.csv").write_text("lon,lat,id,day\n5,6,a,first\neast,6,b,2020\n5,6,,2020\n5,6,d,2020\n")
    found = given_places(tmp_path / "a.csv", id="id", time="day")
    assert sorted(found.reasons) == [0, 1, 2]
    assert "day" in found.reasons[0]
    assert "lon" in found.reasons[1]


@pytest.mark.parametrize(
    "name, content, options, said",
    [
        ("a.csv", "site,lon\nA,5\n", {}, r"a\.csv: .*lat.*'site', 'lon'"),
        ("a.csv", "lon,lat\n5,6\n", {"id": "site"}, "'site'.*'lon', 'lat'"),
        ("a.csv", "lon,lat\n5,6\n", {"time": "soon"}, "'soon'.*'lon', 'lat'"),
        ("a.parquet", "no", {}, r"a\.parquet is damaged"),
        ("a.csv", "lon,lat\n", {}, "no rows"),
    ],
)
def test_files_without_places_are_refused(tmp_path, name, content, options, said):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=said):
        given_places(tmp_path / name, **options)


def test_places_all_outside_are_refused_with_the_bounds_and_a_guess(tmp_path, write_geotiff):
    north = Cells(open_raster(write_geotiff(tmp_path / "n.tif", np.ones((10, 10), np.uint8), (1, 0, 100, 0, -1, 60))))
    swapped = np.array([[55.0, 105.0], [52.0, 103.0]])
    with pytest.raises(ValueError, match=r"None of the 2 .*longitude 100 to 110 and from latitude 50 to 60.*other way"):
        refuse_outside(north, swapped, tmp_path / "a.csv")
    refuse_outside(north, np.array([[0.0, 0.0], [np.nan, 0.0], [105.0, 55.0]]), tmp_path / "a.csv")
