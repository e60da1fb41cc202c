"""Mirrors src/geotether/tasks/population.py."""

import numpy as np
import pytest

from geotether.tasks.population import population_at, population_task

rasterio = pytest.importorskip("rasterio")
SEA = -3.4028230607370965e38


def gpw(path, cells, nodata=SEA):
    """As gpw_v4_population_density_rev11_2020_15_min.tif is laid out, with fewer cells."""
    cells = np.asarray(cells, dtype=np.float32)
    height, width = cells.shape
    transform = rasterio.Affine(360 / width, 0, -180, 0, -180 / height, 89.99999999999991)
    with rasterio.open(path, "w", "GTiff", width, height, 1, "EPSG:4326", transform, np.float32, nodata) as file:
        file.write(cells, 1)
    return path


def test_places_lie_where_the_raster_has_people_or_none(tmp_path):
    path = gpw(tmp_path / "gpw.tif", [[0.0, 12.5, SEA, SEA], [SEA, SEA, SEA, 3000.0]])
    task = population_task(path, rows=300)
    assert task.label == "population density (log(1 + people/km²))"
    assert set(task.target) == {0.0, 12.5, 3000.0}
    lon, lat = task.lonlat.T
    by_hand = np.where(lat > 0, np.where(lon < -90, 0.0, 12.5), 3000.0)
    np.testing.assert_array_equal(task.target, by_hand)
    assert task.num_missing == 0
    np.testing.assert_allclose(task.values, np.log(1 + by_hand))


def test_the_sign_for_the_sea_counts_even_when_not_declared(tmp_path):
    path = gpw(tmp_path / "bare.tif", [[1.0, SEA]], nodata=None)
    np.testing.assert_array_equal(population_at(path, np.array([[-90.0, 0.0], [90.0, 0.0]])), [1.0, np.nan])


def test_another_kind_of_raster_is_answered_with_the_known_layout(tmp_path):
    with pytest.raises(ValueError, match=r"holds a density of -9999; known layout: GPWv4 population density"):
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
