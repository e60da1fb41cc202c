"""Mirrors src/geotether/sources/polygons.py."""

import logging

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from geotether.files import polygons
from geotether.files.polygons import polygon_layers
from geotether.sources.polygons import find_polygons, polygon_columns

gpd = pytest.importorskip("geopandas")
shapely = pytest.importorskip("shapely")
BOXES = [(0, 0, 10, 10), (20, 0, 30, 10), (10, 0, 20, 10), (20, 20, 40, 40)]


@pytest.fixture
def write(tmp_path):
    """Write boxes, or a frame, into a file of any format."""

    def make(name, boxes=BOXES, crs="OGC:CRS84", table=None, layer=None):
        if table is None:
            columns = {"name": [f"box {i}" for i in range(len(boxes))], "code": list(range(len(boxes)))}
            table = gpd.GeoDataFrame(columns, geometry=[shapely.box(*box) for box in boxes], crs=crs)
        if name.endswith(".parquet"):
            table.to_parquet(tmp_path / name)
        else:
            table.to_file(tmp_path / name, engine="pyogrio", **({"layer": layer} if layer else {}))
        return tmp_path / name

    return make


@pytest.mark.parametrize("name", ["boxes.gpkg", "boxes.shp", "boxes.geojson", "boxes.parquet"])
def test_every_format_gives_the_polygon_of_each_place(write, name):
    path = write(name)
    assert polygon_columns(path) == ["name", "code"]
    assert polygon_layers(path) == ["boxes"]
    held = find_polygons(path, np.array([[5.0, 5.0], [25.0, 5.0], [50.0, 5.0], [30.0, 30.0]]), ["code", "name"])
    assert held.row.tolist() == [0, 1, -1, 3]
    assert held.found.tolist() == [True, True, False, True]
    assert held.columns["name"].tolist() == ["box 0", "box 1", None, "box 3"]
    assert held.columns["code"].tolist() == [0, 1, None, 3]
    assert len(find_polygons(path, np.empty((0, 2))).row) == 0
    # A shared border belongs to the first polygon in the file.
    assert find_polygons(path, np.array([[10.0, 5.0], [20.0, 5.0]])).row.tolist() == [0, 1]


def test_answers_equal_shapely_point_by_point(write, monkeypatch):
    monkeypatch.setattr(polygons, "POLYGONS_AT_ONCE", 7)  # several batches
    rng = np.random.default_rng(0)
    circles = shapely.buffer(shapely.points(rng.uniform(-60, 60, (40, 2))), rng.uniform(2, 15, 40))
    path = write("circles.gpkg", table=gpd.GeoDataFrame({"n": range(40)}, geometry=circles, crs=4326))
    lonlat = np.stack([rng.uniform(-75, 75, 300), rng.uniform(-75, 75, 300)], 1)
    first = [next((i for i, c in enumerate(circles) if c.intersects(shapely.Point(p))), -1) for p in lonlat]
    assert find_polygons(path, lonlat).row.tolist() == first
    assert -1 in first
    assert len(set(first)) > 20


def test_the_date_line_is_one_meridian_and_polygons_may_cross_it(write):
    split = write("split.geojson", [(170, -20, 180, -10), (-180, 0, -170, 10)])
    places = np.array([[180.0, -15.0], [-180.0, -15.0], [180.0, 5.0], [-180.0, 5.0], [190.0, 5.0], [0.0, 5.0]])
    assert find_polygons(split, places).row.tolist() == [0, 0, 1, 1, 1, -1]
    beyond = write("beyond.geojson", [(170, -20, 190, -10), (-190, 0, -170, 10), (300, -5, 310, 5)])
    places = np.array([[175.0, -15.0], [-175.0, -15.0], [185.0, -15.0], [175.0, 5.0], [-175.0, 5.0], [-55.0, 0.0]])
    assert find_polygons(beyond, places).row.tolist() == [0, 0, 0, 1, 1, 2]
    fiji = shapely.Polygon([(179, -18), (-179, -18), (-179, -16), (179, -16)])  # not cut
    uncut = write(
        "uncut.gpkg", table=gpd.GeoDataFrame({"n": [1, 2]}, geometry=[fiji, shapely.box(0, 0, 5, 5)], crs=4326)
    )
    places = np.array([[179.5, -17.0], [-179.5, -17.0], [180.0, -17.0], [0.0, -17.0], [178.0, -17.0], [1.0, 1.0]])
    assert find_polygons(uncut, places).row.tolist() == [0, 0, 0, -1, -1, 1]


def test_poles_lie_in_the_polygon_that_ends_there(write):
    path = write("caps.gpkg", [(-180, -90, 180, -60), (-180, 80, 180, 90)])
    assert find_polygons(path, np.array([[12.0, -90.0], [-180.0, 90.0], [0.0, 0.0]])).row.tolist() == [0, 1, -1]


@pytest.mark.parametrize("crs", [3857, 32632, 4267, "ESRI:54009"])
def test_another_crs_holds_the_same_places(write, crs):
    shapes = shapely.segmentize([shapely.box(8, 46, 9, 47), shapely.box(9, 46, 10, 47)], 0.01)
    path = write("boxes.gpkg", table=gpd.GeoDataFrame({"n": [0, 1]}, geometry=shapes, crs="OGC:CRS84").to_crs(crs))
    lonlat = np.array([[8.5, 46.5], [9.5, 46.1], [8.01, 46.99], [7.5, 46.5], [-120.0, -89.0]])
    assert find_polygons(path, lonlat).row.tolist() == [0, 1, 0, -1, -1]


def test_invalid_polygons_are_mended_and_counted(write, caplog):
    bow = shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])
    far = shapely.affinity.translate(bow, 100)  # far from every place, so it is not looked at
    shapes = [bow, shapely.box(20, 0, 30, 10), None, far]
    path = write("bow.gpkg", table=gpd.GeoDataFrame({"n": range(4)}, geometry=shapes, crs=4326))
    with caplog.at_level(logging.INFO):
        held = find_polygons(path, np.array([[1.0, 5.0], [9.0, 5.0], [5.0, 9.0], [25.0, 5.0]]))
    assert held.row.tolist() == [0, 0, -1, 1]
    assert "1 invalid polygons" in caplog.text


def test_layers_are_distinguished(write):
    write("levels.gpkg", [(0, 0, 10, 10)], layer="ADM_0")
    path = write("levels.gpkg", [(0, 0, 5, 10), (5, 0, 10, 10)], layer="ADM_1")
    assert polygon_layers(path) == ["ADM_0", "ADM_1"]
    place = np.array([[7.0, 5.0]])
    assert find_polygons(path, place).row == 0
    assert find_polygons(path, place, layer="ADM_1").row == 1
    with pytest.raises(ValueError, match=r"'ADM_7'.* ADM_0, ADM_1"):
        find_polygons(path, place, layer="ADM_7")


@pytest.mark.parametrize(
    ("name", "columns", "error", "said"),
    [
        ("none.shp", [], FileNotFoundError, r"none\.shp"),
        ("text.gpkg", [], ValueError, r"text\.gpkg"),
        ("text.parquet", [], ValueError, r"text\.parquet"),
        ("plain.parquet", [], ValueError, "WKB"),
        ("boxes.gpkg", ["nmae"], ValueError, "'nmae'.* name, code"),
        ("points.gpkg", [], ValueError, "no polygons in its 1 rows"),
    ],
)
def test_wrong_files_are_named(write, tmp_path, name, columns, error, said):
    (tmp_path / "text.gpkg").write_text("not a map")
    (tmp_path / "text.parquet").write_text("not a table")
    pq.write_table(pa.table({"n": [1]}), tmp_path / "plain.parquet")
    write("boxes.gpkg")
    write("points.gpkg", table=gpd.GeoDataFrame({"n": [1]}, geometry=[shapely.Point(0, 0)], crs=4326))
    with pytest.raises(error, match=said):
        find_polygons(tmp_path / name, np.array([[0.0, 0.0]]), columns)
