"""Mirrors src/geotether/tasks/drawn.py: published polygons and rasters in small, laid out as they are."""

import numpy as np
import pytest
from PIL import Image

from geotether.sources import sampling
from geotether.tasks.drawn import (
    BIOMES,
    biome_task,
    continents_at,
    countries_at,
    country_task,
    ecoregion_task,
    ecoregions_at,
    elevation_at,
    elevation_task,
    population_at,
    population_task,
)

rasterio = pytest.importorskip("rasterio")
gpd = pytest.importorskip("geopandas")
shapely = pytest.importorskip("shapely")
WEST, EAST, SOUTH = shapely.box(-60, 0, 0, 40), shapely.box(0, 0, 60, 40), shapely.box(-60, -90, 60, -60)
PLACES = np.array([[-30.0, 20.0], [30.0, 20.0], [0.0, -90.0], [120.0, 20.0]])
BOXES = [shapely.box(30 * i, -45, 30 * i + 30, 45) for i in range(5)]
MIDDLES = np.array([[30.0 * i + 15, 0.0] for i in range(5)] + [[-90.0, 0.0]])
SEA = -3.4028230607370965e38


def save(path, columns, shapes=(WEST, EAST, SOUTH), **options):
    frame = gpd.GeoDataFrame(columns, geometry=list(shapes), crs=4326)
    frame.to_parquet(path) if path.suffix == ".parquet" else frame.to_file(path, engine="pyogrio", **options)
    return path


def gadm(path, layer="ADM_0", **columns):
    columns = columns or {"GID_0": ["AAA", "Z01", "ATA"], "COUNTRY": ["Aland", "Bland", "Antarctica"]}
    return save(path, columns, layer=layer)


def natural_earth(path):
    """As ne_110m_admin_0_countries.shp names its columns."""
    codes, continents = ["AAA", "BBB", "ATA"], ["Europe", "Asia", "Antarctica"]
    return save(path, {"SOV_A3": codes, "ISO_A3": ["-99"] * 3, "ADM0_A3": codes, "CONTINENT": continents})


def olson(path):
    """As wwf_terr_ecos.shp names and fills its columns."""
    names = ["Guinean montane forests", "Atacama desert", "Lake", "Rock and Ice", "Ural montane tundra"]
    realms, biomes = ["AT", "NT", None, None, "NA"], [1.0, 13.0, 98.0, 99.0, 11.0]
    codes = [30114.0, 61303.0, -9998.0, -9999.0, 81112.0]
    return save(path, {"ECO_NAME": names, "REALM": realms, "BIOME": biomes, "ECO_ID": codes}, BOXES)


def resolve(path, upper=True):
    """As Ecoregions2017.shp does; its ice has no biome's name."""
    columns = {
        "ECO_ID": [1, 65, 0, 207, 300],
        "ECO_NAME": ["Adelie Land tundra", "Atacama desert", "Rock and Ice", "Sahel", "Tirari-Sturt stony desert"],
        "BIOME_NUM": [11.0, 13.0, 11.0, 7.0, 13.0],
        "REALM": ["Antarctica", "Neotropic", "N/A", "Afrotropic", "Australasia"],
    }
    return save(path, columns if upper else {name.lower(): values for name, values in columns.items()}, BOXES)


@pytest.fixture
def dem(write_geotiff):
    def make(path, west=500, east=-4000):
        """Land in the west, sea floor in the east, one degree a cell; heights grow to the north."""
        cells = np.where(np.arange(360) < 180, west, east)[None] - np.arange(180)[:, None]
        return write_geotiff(path, cells.astype(np.int16))

    return make


@pytest.fixture
def gpw(write_geotiff):
    def make(path, cells, nodata=SEA):
        """As gpw_v4_population_density_rev11_2020_15_min.tif is laid out, with fewer cells."""
        cells = np.asarray(cells, dtype=np.float32)
        grid = (360 / cells.shape[1], 0, -180, 0, -180 / cells.shape[0], 89.99999999999991)
        return write_geotiff(path, cells, grid, nodata=nodata)

    return make


@pytest.mark.parametrize("layer", ["ADM_0", "ADM_ADM_0", "level0"])
def test_gadm_is_read_from_its_layer_of_countries(tmp_path, layer):
    path = gadm(tmp_path / "gadm_410-levels.gpkg", layer)
    gadm(path, "a_finer_layer", GID_0=["AAA"] * 3, GID_1=["AAA.1", "AAA.2", "AAA.3"])
    assert countries_at(path, PLACES).tolist() == ["AAA", "Z01", "ATA", None]
    assert countries_at(path, PLACES, "COUNTRY").tolist() == ["Aland", "Bland", "Antarctica", None]


def test_gadms_single_layer_and_natural_earth(tmp_path):
    columns = {"UID": [1, 2, 3], "GID_0": ["AAA", "AAA", "ATA"], "NAME_0": ["A", "A", "C"], "GID_1": ["1", "2", ""]}
    assert countries_at(gadm(tmp_path / "a.gpkg", "gadm_410", **columns), PLACES).tolist() == [
        "AAA", "AAA", "ATA", None
    ]  # fmt: skip
    path = natural_earth(tmp_path / "ne_110m_admin_0_countries.shp")
    assert countries_at(path, PLACES).tolist() == ["AAA", "BBB", "ATA", None]
    assert countries_at(path, PLACES, "iso_a3").tolist() == [None] * 4  # its sign for no code
    assert continents_at(path, PLACES).tolist() == ["Europe", "Asia", "Antarctica", ""]
    assert continents_at(None, PLACES) is None


def test_places_are_uniform_by_area_within_the_countries(tmp_path):
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
    few = country_task(land, rows=200, south=-65, min_class_rows=60)
    assert few.lonlat[:, 1].min() >= -65
    assert set(few.continent) == {"Europe", "Asia", "Antarctica"}
    assert set(few.target) == {"AAA", "BBB", None}
    assert few.num_missing == sum(label is None for label in few.target)


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
    path = olson(tmp_path / "wwf_terr_ecos.shp")
    task = biome_task(path, rows=300)
    assert (task.name, task.kind, len(task.lonlat), task.num_missing) == ("biome", "classification", 300, 0)
    lon = task.lonlat[:, 0]
    assert (((lon > 0) & (lon < 60)) | ((lon > 120) & (lon < 150))).all()
    land = save(tmp_path / "land.geojson", {"n": [1]}, [shapely.box(40, -10, 130, 10)])
    dry = ecoregion_task(path, rows=100, land=land)
    assert (dry.name, set(dry.target)) == ("ecoregion", {"Atacama desert", "Ural montane tundra"})
    assert np.abs(dry.lonlat[:, 1]).max() <= 10
    assert set(biome_task(path, rows=50, level="realm").target) == {"AT", "NT", "NA"}


def test_elevations_are_on_land_and_equal_the_cells(tmp_path, dem):
    box = [shapely.box(-170, -50, -10, 80)]
    file, land = dem(tmp_path / "etopo.tif"), save(tmp_path / "land.shp", {"n": [1]}, box)
    task = elevation_task(file, rows=300, land=land)
    assert (task.label, task.kind, task.transform) == ("elevation (m)", "regression", None)
    assert ((task.lonlat >= [-170, -50]) & (task.lonlat <= [-10, 80])).all()
    np.testing.assert_array_equal(task.target, 500 - np.floor(90 - task.lonlat[:, 1]))
    countries = save(tmp_path / "ne.geojson", {"ADM0_A3": ["AAA"], "CONTINENT": ["Africa"]}, box)
    same = elevation_task(file, rows=300, countries=countries)
    np.testing.assert_array_equal(same.lonlat, task.lonlat)
    assert set(same.continent) == {"Africa"}


def test_without_a_land_mask_the_sea_floor_is_warned_of(tmp_path, caplog, dem):
    task = elevation_task(dem(tmp_path / "etopo.tif"), rows=300)
    assert (task.target < -3000).mean() == pytest.approx(0.5, abs=0.1)
    assert "sea floor" in caplog.text


def test_elevations_of_terrarium_tiles(tmp_path, caplog):
    for x in range(2):
        (tmp_path / "1" / str(x)).mkdir(parents=True)
        Image.new("RGB", (256, 256), (128, 10 + x, 128)).save(tmp_path / "1" / str(x) / "0.png")
    task = elevation_task(tmp_path, rows=100, north=85)
    assert task.lonlat[:, 1].min() > 0  # the southern tiles are missing
    np.testing.assert_array_equal(task.target, np.where(task.lonlat[:, 0] < 0, 10.5, 11.5))
    assert "places are missing" in caplog.text
    assert elevation_at(tmp_path, np.array([[0.0, 50.0]]), zoom=1) == 11.5


def test_population_samples_are_drawn_where_the_raster_has_data(tmp_path, gpw):
    path = gpw(tmp_path / "gpw.tif", [[0.0, 12.5, SEA, SEA], [SEA, SEA, SEA, 3000.0]])
    task = population_task(path, rows=300)
    assert (task.label, task.num_missing) == ("population density (log(1 + people/km²))", 0)
    lon, lat = task.lonlat.T
    by_hand = np.where(lat > 0, np.where(lon < -90, 0.0, 12.5), 3000.0)
    np.testing.assert_array_equal(task.target, by_hand)
    np.testing.assert_allclose(task.values, np.log(1 + by_hand))
    bare = gpw(tmp_path / "bare.tif", [[1.0, SEA]], nodata=None)  # GPWv4's value at sea, not declared
    np.testing.assert_array_equal(population_at(bare, np.array([[-90.0, 0.0], [90.0, 0.0]])), [1.0, np.nan])


def test_unknown_layouts_and_wrong_files_are_named(tmp_path, monkeypatch, dem, gpw):
    monkeypatch.setattr(sampling, "FEWEST_DRAWS", 5000)
    zones = gadm(tmp_path / "map.gpkg", "zones", zone=["a", "b", "c"])
    plain = gadm(tmp_path / "gadm.gpkg")
    two = gadm(gadm(tmp_path / "two.gpkg", "zones", zone=["a", "b", "c"]), "more")
    (tmp_path / "tiles").mkdir()
    file = dem(tmp_path / "dem.tif")
    islet = save(tmp_path / "islet.gpkg", {"n": [1]}, [shapely.box(1, 1, 1.0001, 1.0001)])
    for build, said in (
        (lambda: country_task(zones), "only zone; .*GADM 4.1"),
        (lambda: country_task(two), "zones, more"),
        (lambda: country_task(plain, label="NAME"), "'NAME', only GID_0, COUNTRY"),
        (lambda: continents_at(plain, PLACES), "CONTINENT, only GID_0, COUNTRY"),
        (lambda: biome_task(zones), "columns zone; .*Olson .*RESOLVE 2017"),
        (lambda: biome_task(zones, level="continent"), "'continent'"),
        (lambda: elevation_task(tmp_path / "tiles"), "tiles contains no zoom levels"),
        (lambda: elevation_task(file, zoom=3), "zoom=3"),
        (lambda: elevation_task(file, rows=5, land=islet), "only 0 of the 5 places"),
        (lambda: population_task(gpw(tmp_path / "asc.tif", [[1.0, -9999.0]], nodata=None), rows=10), "-9999; .*GPWv4"),
    ):
        with pytest.raises(ValueError, match=said):
            build()
    with pytest.raises(FileNotFoundError, match=r"none\.tif"):
        elevation_task(tmp_path / "none.tif")
