"""Mirrors src/geotether/tasks/rasters.py."""

import numpy as np
import pytest
from PIL import Image

from geotether.sources import sampling
from geotether.tasks.rasters import elevation_at, elevation_task, population_at, population_task

rasterio = pytest.importorskip("rasterio")
gpd = pytest.importorskip("geopandas")
shapely = pytest.importorskip("shapely")


@pytest.fixture
def dem(write_geotiff):
    def make(path, west=500, east=-4000):
        """Land in the west, sea floor in the east, one degree a cell; heights grow to the north."""
        cells = np.where(np.arange(360) < 180, west, east)[None] - np.arange(180)[:, None]
        return write_geotiff(path, cells.astype(np.int16))

    return make


def polygon(path, box, **columns):
    gpd.GeoDataFrame(columns or {"n": [1]}, geometry=[shapely.box(*box)], crs=4326).to_file(path, engine="pyogrio")
    return path


def test_places_lie_on_land_and_carry_the_cell_of_the_file(tmp_path, dem):
    file, land = dem(tmp_path / "etopo.tif"), polygon(tmp_path / "land.shp", (-170, -50, -10, 80))
    task = elevation_task(file, rows=300, land=land)
    assert (task.label, task.kind, task.transform) == ("elevation (m)", "regression", None)
    assert ((task.lonlat >= [-170, -50]) & (task.lonlat <= [-10, 80])).all()
    np.testing.assert_array_equal(task.target, 500 - np.floor(90 - task.lonlat[:, 1]))
    countries = polygon(tmp_path / "ne.geojson", (-170, -50, -10, 80), ADM0_A3=["AAA"], CONTINENT=["Africa"])
    same = elevation_task(file, rows=300, countries=countries)
    np.testing.assert_array_equal(same.lonlat, task.lonlat)
    assert set(same.continent) == {"Africa"}


def test_without_land_the_sea_floor_is_warned_of(tmp_path, caplog, dem):
    task = elevation_task(dem(tmp_path / "etopo.tif"), rows=300)
    assert (task.target < -3000).mean() == pytest.approx(0.5, abs=0.1)
    assert "of the places are sea floor; give land=" in caplog.text


def test_terrarium_tiles_do_as_well(tmp_path, caplog):
    for x in range(2):
        (tmp_path / "1" / str(x)).mkdir(parents=True)
        Image.new("RGB", (256, 256), (128, 10 + x, 128)).save(tmp_path / "1" / str(x) / "0.png")
    task = elevation_task(tmp_path, rows=100, north=85)
    assert task.lonlat[:, 1].min() > 0  # the southern tiles are missing
    np.testing.assert_array_equal(task.target, np.where(task.lonlat[:, 0] < 0, 10.5, 11.5))
    assert "places are missing" in caplog.text
    assert elevation_at(tmp_path, np.array([[0.0, 50.0]]), zoom=1) == 11.5


def test_wrong_files_are_named(tmp_path, monkeypatch, dem):
    monkeypatch.setattr(sampling, "FEWEST_DRAWS", 5000)
    with pytest.raises(FileNotFoundError, match="no raster"):
        elevation_task(tmp_path / "none.tif")
    (tmp_path / "tiles").mkdir()
    with pytest.raises(ValueError, match=r"zoom levels; known layouts: a DEM raster .* or terrarium tiles"):
        elevation_task(tmp_path / "tiles")
    with pytest.raises(ValueError, match="zoom=3 is for a folder of terrarium tiles"):
        elevation_task(dem(tmp_path / "dem.tif"), zoom=3)
    with pytest.raises(ValueError, match="only 0 of the 5 places"):
        elevation_task(tmp_path / "dem.tif", rows=5, land=polygon(tmp_path / "islet.gpkg", (1, 1, 1.0001, 1.0001)))


rasterio = pytest.importorskip("rasterio")
SEA = -3.4028230607370965e38


@pytest.fixture
def gpw(write_geotiff):
    def make(path, cells, nodata=SEA):
        """As gpw_v4_population_density_rev11_2020_15_min.tif is laid out, with fewer cells."""
        cells = np.asarray(cells, dtype=np.float32)
        grid = (360 / cells.shape[1], 0, -180, 0, -180 / cells.shape[0], 89.99999999999991)
        return write_geotiff(path, cells, grid, nodata=nodata)

    return make


def test_places_lie_where_the_raster_has_people_or_none(tmp_path, gpw):
    path = gpw(tmp_path / "gpw.tif", [[0.0, 12.5, SEA, SEA], [SEA, SEA, SEA, 3000.0]])
    task = population_task(path, rows=300)
    assert task.label == "population density (log(1 + people/km²))"
    assert set(task.target) == {0.0, 12.5, 3000.0}
    lon, lat = task.lonlat.T
    by_hand = np.where(lat > 0, np.where(lon < -90, 0.0, 12.5), 3000.0)
    np.testing.assert_array_equal(task.target, by_hand)
    assert task.num_missing == 0
    np.testing.assert_allclose(task.values, np.log(1 + by_hand))


def test_the_sign_for_the_sea_counts_even_when_not_declared(tmp_path, gpw):
    path = gpw(tmp_path / "bare.tif", [[1.0, SEA]], nodata=None)
    np.testing.assert_array_equal(population_at(path, np.array([[-90.0, 0.0], [90.0, 0.0]])), [1.0, np.nan])


def test_another_kind_of_raster_is_answered_with_the_known_layout(tmp_path, gpw):
    with pytest.raises(ValueError, match=r"a density of -9999; known layout: GPWv4 population density"):
        population_task(gpw(tmp_path / "asc.tif", [[1.0, -9999.0]], nodata=None), rows=10)


def test_the_real_density_is_what_the_points_say(shared_data):
    import pyarrow.parquet as pq

    folder = shared_data / "downstream"
    points = pq.read_table(folder / "downstream_points_30k.parquet")
    lonlat = np.stack([points["lon"], points["lat"]], 1)
    density = population_at(folder / "population_density_gpwv4_2020_15min.tif", lonlat)
    assert (density.astype(np.float32) == np.asarray(points["population_density"])).mean() > 0.9999
    task = population_task(
        folder / "population_density_gpwv4_2020_15min.tif", rows=1000, countries=folder / "countries_ne50m.geojson"
    )
    assert task.target.mean() == pytest.approx(58, abs=30)  # 7.8 thousand million people on 134 million km²
    assert "Antarctica" not in set(task.continent)
