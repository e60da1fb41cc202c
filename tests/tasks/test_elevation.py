"""Mirrors src/geotether/tasks/elevation.py."""

import numpy as np
import pytest
from PIL import Image

from geotether.sources import sampling
from geotether.tasks.elevation import elevation_at, elevation_task

rasterio = pytest.importorskip("rasterio")
gpd = pytest.importorskip("geopandas")
shapely = pytest.importorskip("shapely")


def dem(path, west=500, east=-4000):
    """Land in the west, sea floor in the east, one degree a cell; heights grow to the north."""
    cells = np.where(np.arange(360) < 180, west, east)[None] - np.arange(180)[:, None]
    with rasterio.open(
        path, "w", "GTiff", 360, 180, 1, "EPSG:4326", rasterio.Affine(1, 0, -180, 0, -1, 90), np.int16
    ) as file:
        file.write(cells.astype(np.int16), 1)
    return path


def polygon(path, box, **columns):
    gpd.GeoDataFrame(columns or {"n": [1]}, geometry=[shapely.box(*box)], crs=4326).to_file(path, engine="pyogrio")
    return path


def test_places_lie_on_land_and_carry_the_cell_of_the_file(tmp_path):
    file, land = dem(tmp_path / "etopo.tif"), polygon(tmp_path / "land.shp", (-170, -50, -10, 80))
    task = elevation_task(file, rows=300, land=land)
    assert (task.label, task.kind, task.transform) == ("elevation (m)", "regression", None)
    assert ((task.lonlat >= [-170, -50]) & (task.lonlat <= [-10, 80])).all()
    np.testing.assert_array_equal(task.target, 500 - np.floor(90 - task.lonlat[:, 1]))
    countries = polygon(tmp_path / "ne.geojson", (-170, -50, -10, 80), ADM0_A3=["AAA"], CONTINENT=["Africa"])
    same = elevation_task(file, rows=300, countries=countries)
    np.testing.assert_array_equal(same.lonlat, task.lonlat)
    assert set(same.continent) == {"Africa"}


def test_without_land_the_sea_floor_is_warned_of(tmp_path, caplog):
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


def test_wrong_files_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(sampling, "FEWEST_DRAWS", 5000)
    with pytest.raises(FileNotFoundError, match="no raster"):
        elevation_task(tmp_path / "none.tif")
    (tmp_path / "tiles").mkdir()
    with pytest.raises(ValueError, match=r"holds no zoom levels; known layouts: a DEM raster .* or terrarium tiles"):
        elevation_task(tmp_path / "tiles")
    with pytest.raises(ValueError, match="zoom=3 is for a folder of terrarium tiles"):
        elevation_task(dem(tmp_path / "dem.tif"), zoom=3)
    with pytest.raises(ValueError, match="only 0 of the 5 places"):
        elevation_task(tmp_path / "dem.tif", rows=5, land=polygon(tmp_path / "islet.gpkg", (1, 1, 1.0001, 1.0001)))


def test_the_real_relief_of_the_real_land(shared_data):
    folder = shared_data / "downstream"
    task = elevation_task(folder / "elevation_etopo_20min.tif", rows=2000, land=folder / "land_ne50m.geojson")
    assert task.target.mean() == pytest.approx(840, abs=80)  # the mean height of land, with Antarctica
    assert (task.target > 0).mean() > 0.95
