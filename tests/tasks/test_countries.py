"""Mirrors src/geotether/tasks/countries.py."""

import numpy as np
import pytest

from geotether.tasks.countries import continents_at, countries_at, country_task

gpd = pytest.importorskip("geopandas")
shapely = pytest.importorskip("shapely")
WEST, EAST, SOUTH = shapely.box(-60, 0, 0, 40), shapely.box(0, 0, 60, 40), shapely.box(-60, -90, 60, -60)
PLACES = np.array([[-30.0, 20.0], [30.0, 20.0], [0.0, -90.0], [120.0, 20.0]])


def gadm(path, layer="ADM_0", **columns):
    columns = columns or {"GID_0": ["AAA", "Z01", "ATA"], "COUNTRY": ["Aland", "Bland", "Antarctica"]}
    frame = gpd.GeoDataFrame(columns, geometry=[WEST, EAST, SOUTH], crs=4326)
    frame.to_file(path, layer=layer, engine="pyogrio")
    return path


def natural_earth(path):
    """As ne_110m_admin_0_countries.shp names its columns."""
    frame = gpd.GeoDataFrame(
        {
            "SOV_A3": ["AAA", "BBB", "ATA"],
            "ADMIN": ["A", "B", "C"],
            "ISO_A3": ["-99"] * 3,
            "ADM0_A3": ["AAA", "BBB", "ATA"],
            "CONTINENT": ["Europe", "Asia", "Antarctica"],
        },
        geometry=[WEST, EAST, SOUTH],
        crs=4326,
    )
    frame.to_file(path, engine="pyogrio")
    return path


@pytest.mark.parametrize("layer", ["ADM_0", "ADM_ADM_0", "level0"])
def test_gadm_is_read_from_its_layer_of_countries(tmp_path, layer):
    path = gadm(tmp_path / "gadm_410-levels.gpkg", layer)
    finer = {"GID_0": ["AAA"] * 3, "GID_1": ["AAA.1", "AAA.2", "AAA.3"]}
    gadm(path, "a_finer_layer", **finer)
    assert countries_at(path, PLACES).tolist() == ["AAA", "Z01", "ATA", None]
    assert countries_at(path, PLACES, "COUNTRY").tolist() == ["Aland", "Bland", "Antarctica", None]


def test_gadms_single_layer_of_small_areas_tells_the_country_too(tmp_path):
    columns = {"UID": [1, 2, 3], "GID_0": ["AAA", "AAA", "ATA"], "NAME_0": ["A", "A", "C"], "GID_1": ["1", "2", ""]}
    path = gadm(tmp_path / "gadm_410.gpkg", "gadm_410", **columns)
    assert countries_at(path, PLACES).tolist() == ["AAA", "AAA", "ATA", None]


def test_natural_earth_tells_country_and_continent(tmp_path):
    path = natural_earth(tmp_path / "ne_110m_admin_0_countries.shp")
    assert countries_at(path, PLACES).tolist() == ["AAA", "BBB", "ATA", None]
    assert countries_at(path, PLACES, "iso_a3").tolist() == [None] * 4  # its sign for no code
    assert continents_at(path, PLACES).tolist() == ["Europe", "Asia", "Antarctica", ""]
    assert continents_at(None, PLACES) is None


def test_the_task_holds_places_uniform_by_area_within_the_countries(tmp_path):
    file, land = gadm(tmp_path / "gadm41.gpkg"), natural_earth(tmp_path / "ne.shp")
    task = country_task(file, rows=3000, seed=1, countries=land)
    assert (task.name, task.kind, len(task.lonlat), task.num_missing) == ("country", "classification", 3000, 0)
    assert task.target.tolist() == countries_at(file, task.lonlat).tolist()
    # West and east each take 60 degrees of longitude times sin(40); the south 120 times 1 - sin(60).
    areas = np.array([60 * np.sin(np.radians(40))] * 2 + [120 * (1 - np.sin(np.radians(60)))])
    shares = [(task.target == name).mean() for name in ("AAA", "Z01", "ATA")]
    np.testing.assert_allclose(shares, areas / areas.sum(), atol=0.03)
    assert set(task.continent[task.target == "AAA"]) == {"Europe"}
    np.testing.assert_array_equal(country_task(file, rows=50, seed=1).lonlat, task.lonlat[:50])
    assert country_task(file, rows=50).continent is None
    assert set(country_task(land, rows=50).continent) == {"Europe", "Asia", "Antarctica"}


def test_limits_and_rare_classes_are_kept_to(tmp_path):
    task = country_task(natural_earth(tmp_path / "ne.geojson"), rows=200, south=-65, min_class_rows=60)
    assert task.lonlat[:, 1].min() >= -65
    assert set(task.target) == {"AAA", "BBB", None}
    assert task.num_missing == sum(label is None for label in task.target)


def test_an_unknown_layout_is_answered_with_the_known_ones(tmp_path):
    path = gadm(tmp_path / "map.gpkg", "zones", zone=["a", "b", "c"])
    with pytest.raises(ValueError, match=r"no column with countries, only zone; known layouts: GADM 4.1"):
        country_task(path)
    gadm(path, "more")
    with pytest.raises(ValueError, match="the layers zones, more, none of them countries; known layouts"):
        country_task(path)
    with pytest.raises(ValueError, match="no column 'NAME', only GID_0, COUNTRY"):
        country_task(gadm(tmp_path / "gadm.gpkg"), label="NAME")
    with pytest.raises(ValueError, match=r"no column CONTINENT, only GID_0, COUNTRY; continents come from Natural"):
        continents_at(tmp_path / "gadm.gpkg", PLACES)


def test_real_countries_agree_with_the_labels_made_of_them(shared_data):
    import pyarrow.parquet as pq

    points = pq.read_table(shared_data / "downstream" / "downstream_points_30k.parquet")
    lonlat = np.stack([points["lon"], points["lat"]], 1)
    file = shared_data / "downstream" / "countries_ne50m.geojson"
    assert countries_at(file, lonlat).tolist() == points["country"].to_pylist()
    task = country_task(file, rows=3000)
    assert len(set(task.target)) > 100
    assert (task.target == "RUS").mean() == pytest.approx(0.115, abs=0.02)  # 17.1 of 149 million km² of land
