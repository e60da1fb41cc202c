"""Mirrors src/geotether/tasks/paper.py."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geotether.tasks.drawn import BIOMES, countries_at
from geotether.tasks.paper import find_paper_files, paper_tasks

rasterio = pytest.importorskip("rasterio")
gpd = pytest.importorskip("geopandas")
shapely = pytest.importorskip("shapely")


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


@pytest.fixture
def planet(tmp_path, write_geotiff):
    """Published files in small: land from -80 to 80 degrees of longitude, each label missing somewhere."""
    boxes = [shapely.box(-80, -60, 0, 60), shapely.box(0, -60, 80, 60)]
    gpd.GeoDataFrame({"GID_0": ["AAA", "BBB"], "COUNTRY": ["A", "B"]}, geometry=boxes, crs=4326).to_file(
        tmp_path / "gadm_410-levels.gpkg", layer="ADM_0", engine="pyogrio"
    )
    natural = {"ADM0_A3": ["AAA", "BBB"], "CONTINENT": ["Africa", "Asia"]}
    gpd.GeoDataFrame(natural, geometry=boxes, crs=4326).to_file(
        tmp_path / "ne_10m_admin_0_countries.geojson", engine="pyogrio"
    )
    olson = {"ECO_ID": [1, 2, -9999], "ECO_NAME": ["a", "b", "Rock and Ice"], "BIOME": [1.0, 13.0, 99.0]}
    zones = [shapely.box(-80, -60, 80, 0), shapely.box(-80, 0, 80, 50), shapely.box(-80, 50, 80, 60)]
    gpd.GeoDataFrame({**olson, "REALM": ["AT", "AT", None]}, geometry=zones, crs=4326).to_file(
        tmp_path / "wwf_terr_ecos.shp", engine="pyogrio"
    )
    people = np.add.outer(np.arange(18), np.arange(36)).astype(float)
    people[:, :12] = -1e38
    write_geotiff(tmp_path / "gpw_v4_population_density_rev11_2020_30_min.tif", people.astype(np.float32), nodata=-1e38)
    write_geotiff(tmp_path / "ETOPO_2022.tif", np.arange(648, dtype=np.float32).reshape(18, 36))
    return tmp_path


def test_the_four_tasks_share_their_places_and_miss_nothing(planet):
    tasks = paper_tasks(planet, rows=400, seed=3)
    assert [task.label for task in tasks] == [
        "country", "population density (log(1 + people/km²))", "elevation (m)", "biome",
    ]  # fmt: skip
    lonlat = tasks[0].lonlat
    assert all(task.lonlat is lonlat for task in tasks)
    assert all(task.num_missing == 0 for task in tasks)
    lon, lat = lonlat.T
    assert ((lon > -60) & (lon < 80) & (lat > -60) & (lat < 50)).all()  # no people, no land, no biome elsewhere
    country, people, elevation, biome = (task.target for task in tasks)
    np.testing.assert_array_equal(country, np.where(lon < 0, "AAA", "BBB"))
    row, column = ((90 - lat) // 10), ((lon + 180) // 10)
    np.testing.assert_array_equal(people, row + column)
    np.testing.assert_array_equal(elevation, 36 * row + column)
    np.testing.assert_array_equal(biome, np.where(lat < 0, BIOMES[1], BIOMES[13]))
    np.testing.assert_array_equal(tasks[3].continent, np.where(lon < 0, "Africa", "Asia"))
    np.testing.assert_array_equal(paper_tasks(planet, rows=20, seed=3)[0].lonlat, lonlat[:20])


def test_the_land_mask_excludes_the_sea_and_tiles_may_give_the_elevation(planet):
    box = gpd.GeoDataFrame({"n": [1]}, geometry=[shapely.box(-30, -20, 40, 20)], crs=4326)
    box.to_file(planet / "ne_10m_land.shp", engine="pyogrio")
    (planet / "ETOPO_2022.tif").unlink()
    (planet / "terrarium" / "0" / "0").mkdir(parents=True)
    colours = np.zeros((256, 256, 3), np.uint8)
    colours[..., 0], colours[..., 1] = 128, np.arange(256)
    Image.fromarray(colours).save(planet / "terrarium" / "0" / "0" / "0.png")
    tasks = paper_tasks(planet, rows=100)
    assert ((tasks[0].lonlat > [-30, -20]) & (tasks[0].lonlat < [40, 20])).all()
    np.testing.assert_array_equal(tasks[2].target, np.floor((tasks[2].lonlat[:, 0] + 180) / 360 * 256))


def test_files_are_found_by_their_published_names(tmp_path):
    folder = touch(
        tmp_path, "gadm/gadm_410-levels.gpkg", "ne_50m_admin_0_countries.shp", "ne_50m_admin_0_countries.dbf",
        "gpw_v4_population_density_rev11_2020_15_min.tif", "GEBCO_2023.tif", "Ecoregions2017.shp",
        "official/wwf_terr_ecos.shp", "iceland.gpkg", "ne_50m_land.shp", ".hidden_land.shp",
    )  # fmt: skip
    files = find_paper_files(folder)
    names = {key: str(path.relative_to(folder)) for key, path in vars(files).items()}
    assert names == {
        "countries": "gadm/gadm_410-levels.gpkg",
        "population": "gpw_v4_population_density_rev11_2020_15_min.tif",
        "elevation": "GEBCO_2023.tif",
        "ecoregions": "official/wwf_terr_ecos.shp",
        "land": "ne_50m_land.shp",
        "continents": "ne_50m_admin_0_countries.shp",
    }
    (folder / "GEBCO_2023.tif").unlink()
    with pytest.raises(FileNotFoundError, match=r"no file for elevation: looked for \*elevation\*, .*terrarium tiles"):
        find_paper_files(folder)
    with pytest.raises(FileNotFoundError, match="no folder"):
        find_paper_files(folder / "none")


def test_a_deleted_file_is_reported(planet):
    files = replace(find_paper_files(planet), land=Path("gone.shp"))
    with pytest.raises(FileNotFoundError, match=r"no file gone.shp for land"):
        paper_tasks(files, rows=10)


def test_the_real_files_make_the_real_tasks(shared_data):
    folder = shared_data / "downstream"
    country, people, elevation, biome = paper_tasks(folder, rows=1500, seed=0)
    assert {len(task.lonlat) for task in (country, people, elevation, biome)} == {1500}
    assert country.target.tolist() == countries_at(folder / "countries_ne50m.geojson", country.lonlat).tolist()
    assert len(set(biome.target)) >= 12
    assert set(country.continent) <= {"Africa", "Asia", "Europe", "North America", "South America", "Oceania"} | {
        "Seven seas (open ocean)"
    }
    assert np.corrcoef(people.values, elevation.values)[0, 1] < 0.1
