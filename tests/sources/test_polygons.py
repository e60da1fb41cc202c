"""Mirrors src/geotether/sources/polygons.py."""

import logging
import sys

import numpy as np
import pytest

from geotether.sources import polygons
from geotether.sources.polygons import find_polygons, polygon_columns, polygon_layers

gpd = pytest.importorskip("geopandas")
shapely = pytest.importorskip("shapely")
BOXES = [(0, 0, 10, 10), (20, 0, 30, 10), (10, 0, 20, 10), (20, 20, 40, 40)]


def frame(boxes=BOXES, crs="OGC:CRS84", **columns):
    columns = columns or {"name": [f"box {i}" for i in range(len(boxes))], "code": list(range(len(boxes)))}
    return gpd.GeoDataFrame(columns, geometry=[shapely.box(*box) for box in boxes], crs=crs)


def write(table, path):
    if path.suffix == ".parquet":
        table.to_parquet(path)
    else:
        table.to_file(path, engine="pyogrio")
    return path


@pytest.mark.parametrize("name", ["boxes.gpkg", "boxes.shp", "boxes.geojson", "boxes.parquet"])
def test_every_format_tells_the_polygon_of_each_place(tmp_path, name):
    path = write(frame(), tmp_path / name)
    assert polygon_columns(path) == ["name", "code"]
    assert polygon_layers(path) == ["boxes"]
    held = find_polygons(path, np.array([[5.0, 5.0], [25.0, 5.0], [50.0, 5.0], [30.0, 30.0]]), ["code", "name"])
    assert held.row.tolist() == [0, 1, -1, 3]
    assert held.found.tolist() == [True, True, False, True]
    assert held.columns["name"].tolist() == ["box 0", "box 1", None, "box 3"]
    assert held.columns["code"].tolist() == [0, 1, None, 3]
    assert len(find_polygons(path, np.empty((0, 2))).row) == 0


def test_the_answer_is_shapelys_one_by_one(tmp_path, monkeypatch):
    monkeypatch.setattr(polygons, "POLYGONS_AT_ONCE", 7)  # several batches
    rng = np.random.default_rng(0)
    circles = shapely.buffer(shapely.points(rng.uniform(-60, 60, (40, 2))), rng.uniform(2, 15, 40))
    path = write(gpd.GeoDataFrame({"n": range(40)}, geometry=circles, crs=4326), tmp_path / "circles.gpkg")
    lonlat = np.stack([rng.uniform(-75, 75, 300), rng.uniform(-75, 75, 300)], 1)
    first = [next((i for i, c in enumerate(circles) if c.intersects(shapely.Point(p))), -1) for p in lonlat]
    assert find_polygons(path, lonlat).row.tolist() == first
    assert -1 in first
    assert len(set(first)) > 20


def test_a_shared_border_belongs_to_the_first_in_the_file(tmp_path):
    path = write(frame(), tmp_path / "boxes.gpkg")
    assert find_polygons(path, np.array([[10.0, 5.0], [20.0, 5.0]])).row.tolist() == [0, 1]


def test_the_date_line_is_one_meridian_and_polygons_may_cross_it(tmp_path):
    split = write(frame([(170, -20, 180, -10), (-180, 0, -170, 10)]), tmp_path / "split.geojson")
    places = np.array([[180.0, -15.0], [-180.0, -15.0], [180.0, 5.0], [-180.0, 5.0], [190.0, 5.0], [0.0, 5.0]])
    assert find_polygons(split, places).row.tolist() == [0, 0, 1, 1, 1, -1]
    beyond = write(frame([(170, -20, 190, -10), (-190, 0, -170, 10), (300, -5, 310, 5)]), tmp_path / "beyond.geojson")
    places = np.array([[175.0, -15.0], [-175.0, -15.0], [185.0, -15.0], [175.0, 5.0], [-175.0, 5.0], [-55.0, 0.0]])
    assert find_polygons(beyond, places).row.tolist() == [0, 0, 0, 1, 1, 2]


def test_poles_lie_in_the_polygon_that_ends_there(tmp_path):
    path = write(frame([(-180, -90, 180, -60), (-180, 80, 180, 90)]), tmp_path / "caps.gpkg")
    assert find_polygons(path, np.array([[12.0, -90.0], [-180.0, 90.0], [0.0, 0.0]])).row.tolist() == [0, 1, -1]


@pytest.mark.parametrize("crs", [3857, 32632, 4267, "ESRI:54009"])
def test_another_crs_holds_the_same_places(tmp_path, crs):
    boxes = [(8, 46, 9, 47), (9, 46, 10, 47)]
    table = frame(boxes)
    table.geometry = shapely.segmentize(table.geometry, 0.01)
    path = write(table.to_crs(crs), tmp_path / "boxes.gpkg")
    lonlat = np.array([[8.5, 46.5], [9.5, 46.1], [8.01, 46.99], [7.5, 46.5], [-120.0, -89.0]])
    assert find_polygons(path, lonlat).row.tolist() == [0, 1, 0, -1, -1]


def test_invalid_polygons_are_mended_and_counted(tmp_path, caplog):
    bow = shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])
    table = gpd.GeoDataFrame({"n": [0, 1, 2]}, geometry=[bow, shapely.box(20, 0, 30, 10), None], crs=4326)
    path = write(table, tmp_path / "bow.gpkg")
    with caplog.at_level(logging.INFO):
        held = find_polygons(path, np.array([[1.0, 5.0], [9.0, 5.0], [5.0, 9.0], [25.0, 5.0]]))
    assert held.row.tolist() == [0, 0, -1, 1]
    assert held.num_repaired == 1
    assert "1 invalid polygons" in caplog.text


def test_layers_are_told_apart(tmp_path):
    path = tmp_path / "levels.gpkg"
    frame([(0, 0, 10, 10)]).to_file(path, layer="ADM_0", engine="pyogrio")
    frame([(0, 0, 5, 10), (5, 0, 10, 10)]).to_file(path, layer="ADM_1", engine="pyogrio")
    assert polygon_layers(path) == ["ADM_0", "ADM_1"]
    place = np.array([[7.0, 5.0]])
    assert find_polygons(path, place).row == 0
    assert find_polygons(path, place, layer="ADM_1").row == 1
    with pytest.raises(ValueError, match="no layer 'ADM_7'; there are ADM_0, ADM_1"):
        find_polygons(path, place, layer="ADM_7")


def test_wrong_files_are_named(tmp_path):
    place = np.array([[0.0, 0.0]])
    with pytest.raises(FileNotFoundError, match=r"no polygon file .*none.shp"):
        find_polygons(tmp_path / "none.shp", place)
    (tmp_path / "text.gpkg").write_text("not a map")
    with pytest.raises(ValueError, match=r"text\.gpkg is damaged"):
        find_polygons(tmp_path / "text.gpkg", place)
    (tmp_path / "text.parquet").write_text("not a table")
    with pytest.raises(ValueError, match="damaged or is not a parquet file"):
        find_polygons(tmp_path / "text.parquet", place)
    frame().drop(columns="geometry").to_parquet(tmp_path / "plain.parquet")
    with pytest.raises(ValueError, match="no geometry as WKB"):
        find_polygons(tmp_path / "plain.parquet", place)
    path = write(frame(), tmp_path / "boxes.gpkg")
    with pytest.raises(ValueError, match="no column 'nmae'; there are name, code"):
        find_polygons(path, place, ["nmae"])
    points = gpd.GeoDataFrame({"n": [1]}, geometry=[shapely.Point(0, 0)], crs=4326)
    with pytest.raises(ValueError, match="contains no polygons in its 1 rows"):
        find_polygons(write(points, tmp_path / "points.gpkg"), place)


def test_published_polygons_give_the_labels_that_were_made_of_them(shared_data):
    import pyarrow.parquet as pq

    folder = shared_data / "downstream"
    points = pq.read_table(folder / "downstream_points_30k.parquet")
    lonlat = np.stack([points["lon"], points["lat"]], 1)
    countries = find_polygons(folder / "countries_ne50m.geojson", lonlat, ["adm0_a3", "continent"])
    assert countries.columns["adm0_a3"].tolist() == points["country"].to_pylist()
    assert countries.columns["continent"].tolist() == points["continent"].to_pylist()
    regions = find_polygons(folder / "ecoregions_resolve2017_simplified.parquet", lonlat, ["biome_num"])
    assert regions.columns["biome_num"].tolist() == points["biome_num"].to_pylist()


@pytest.mark.parametrize("module", ["pyogrio"])
def test_without_geopandas_the_extra_is_named(tmp_path, monkeypatch, module):
    path = write(frame(), tmp_path / "boxes.gpkg")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=r"pip install 'geotether\[geo\]'"):
        find_polygons(path, np.array([[0.0, 0.0]]))


def test_polygons_far_from_every_place_are_not_looked_at(tmp_path):
    bow = shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])
    far = shapely.affinity.translate(bow, 100)
    path = write(gpd.GeoDataFrame({"n": [0, 1]}, geometry=[bow, far], crs=4326), tmp_path / "bows.gpkg")
    held = find_polygons(path, np.array([[1.0, 5.0]]))
    assert (held.row.tolist(), held.num_repaired) == ([0], 1)
