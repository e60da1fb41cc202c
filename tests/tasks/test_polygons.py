"""Mirrors src/geotether/tasks/polygons.py."""

import numpy as np
import pytest

from geotether.tasks.polygons import (
    BIOMES,
    biome_task,
    continents_at,
    countries_at,
    country_task,
    ecoregion_task,
    ecoregions_at,
)

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


def test_an_unknown_layout_of_countries(tmp_path):
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


gpd = pytest.importorskip("geopandas")
shapely = pytest.importorskip("shapely")
BOXES = [shapely.box(30 * i, -45, 30 * i + 30, 45) for i in range(5)]
MIDDLES = np.array([[30.0 * i + 15, 0.0] for i in range(5)] + [[-90.0, 0.0]])


def olson(path):
    """As wwf_terr_ecos.shp names and fills its columns."""
    frame = gpd.GeoDataFrame(
        {
            "OBJECTID": range(1, 6),
            "ECO_NAME": ["Guinean montane forests", "Atacama desert", "Lake", "Rock and Ice", "Ural montane tundra"],
            "REALM": ["AT", "NT", None, None, "NA"],
            "BIOME": [1.0, 13.0, 98.0, 99.0, 11.0],
            "ECO_ID": [30114.0, 61303.0, -9998.0, -9999.0, 81112.0],
        },
        geometry=BOXES,
        crs=4326,
    )
    frame.to_file(path, engine="pyogrio")
    return path


def resolve(path, upper=True):
    """As Ecoregions2017.shp does; its ice has no biome's name."""
    columns = {
        "ECO_ID": [1, 65, 0, 207, 300],
        "ECO_NAME": ["Adelie Land tundra", "Atacama desert", "Rock and Ice", "Sahel", "Tirari-Sturt stony desert"],
        "BIOME_NUM": [11.0, 13.0, 11.0, 7.0, 13.0],
        "BIOME_NAME": ["Tundra", "Deserts & Xeric Shrublands", "N/A", "Tropical ...", "Deserts & Xeric Shrublands"],
        "REALM": ["Antarctica", "Neotropic", "N/A", "Afrotropic", "Australasia"],
    }
    frame = gpd.GeoDataFrame(columns if upper else {k.lower(): v for k, v in columns.items()}, geometry=BOXES, crs=4326)
    frame.to_parquet(path) if path.suffix == ".parquet" else frame.to_file(path, engine="pyogrio")
    return path


def test_olsons_codes_become_names_and_lakes_and_ice_nothing(tmp_path):
    said = ecoregions_at(olson(tmp_path / "wwf_terr_ecos.shp"), MIDDLES)
    assert said["biome"].tolist() == [BIOMES[1], BIOMES[13], None, None, BIOMES[11], None]
    names = ["Guinean montane forests", "Atacama desert", None, None, "Ural montane tundra", None]
    assert said["ecoregion"].tolist() == names
    assert said["realm"].tolist() == ["AT", "NT", None, None, "NA", None]  # NA is the Nearctic


@pytest.mark.parametrize(("name", "upper"), [("Ecoregions2017.shp", True), ("ecoregions.parquet", False)])
def test_resolve_is_read_in_any_case_and_format(tmp_path, name, upper):
    said = ecoregions_at(resolve(tmp_path / name, upper), MIDDLES)
    assert said["biome"].tolist() == [BIOMES[11], BIOMES[13], None, BIOMES[7], BIOMES[13], None]
    assert said["ecoregion"].tolist()[3:5] == ["Sahel", "Tirari-Sturt stony desert"]
    assert said["realm"].tolist()[2] is None


def test_no_place_is_drawn_on_lakes_ice_or_sea(tmp_path):
    task = biome_task(olson(tmp_path / "wwf_terr_ecos.shp"), rows=300)
    assert (task.name, task.kind, len(task.lonlat), task.num_missing) == ("biome", "classification", 300, 0)
    lon = task.lonlat[:, 0]
    assert (((lon > 0) & (lon < 60)) | ((lon > 120) & (lon < 150))).all()
    box = gpd.GeoDataFrame({"n": [1]}, geometry=[shapely.box(40, -10, 130, 10)], crs=4326)
    box.to_file(tmp_path / "land.geojson", engine="pyogrio")
    dry = ecoregion_task(tmp_path / "wwf_terr_ecos.shp", rows=100, land=tmp_path / "land.geojson")
    assert dry.name == "ecoregion"
    assert set(dry.target) == {"Atacama desert", "Ural montane tundra"}
    assert np.abs(dry.lonlat[:, 1]).max() <= 10
    realms = biome_task(tmp_path / "wwf_terr_ecos.shp", rows=50, level="realm")
    assert set(realms.target) == {"AT", "NT", "NA"}


def test_an_unknown_layout_of_ecoregions(tmp_path):
    path = tmp_path / "soil.gpkg"
    gpd.GeoDataFrame({"soil": ["a"]}, geometry=BOXES[:1], crs=4326).to_file(path, engine="pyogrio")
    with pytest.raises(ValueError, match=r"has the columns soil; known layouts: Olson .*RESOLVE 2017"):
        biome_task(path)
    with pytest.raises(ValueError, match="level is one of biome, ecoregion, realm; got 'continent'"):
        biome_task(path, level="continent")
