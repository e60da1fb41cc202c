"""Mirrors src/geotether/tasks/ecoregions.py."""

import numpy as np
import pytest

from geotether.tasks.ecoregions import BIOMES, biome_task, ecoregion_task, ecoregions_at

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


def test_an_unknown_layout_is_answered_with_the_known_ones(tmp_path):
    path = tmp_path / "soil.gpkg"
    gpd.GeoDataFrame({"soil": ["a"]}, geometry=BOXES[:1], crs=4326).to_file(path, engine="pyogrio")
    with pytest.raises(ValueError, match=r"has the columns soil; known layouts: Olson .*RESOLVE 2017"):
        biome_task(path)
    with pytest.raises(ValueError, match="level is one of biome, ecoregion, realm; got 'continent'"):
        biome_task(path, level="continent")


def test_real_biomes_agree_with_the_labels_made_of_them(shared_data):
    import pyarrow.parquet as pq

    folder = shared_data / "downstream"
    points = pq.read_table(folder / "downstream_points_30k.parquet")
    lonlat = np.stack([points["lon"], points["lat"]], 1)
    said = ecoregions_at(folder / "ecoregions_resolve2017_simplified.parquet", lonlat)
    assert said["biome"].tolist() == [BIOMES[n] for n in points["biome_num"].to_pylist()]
    task = biome_task(folder / "ecoregions_resolve2017_simplified.parquet", rows=2000)
    assert len(set(task.target)) == 14
