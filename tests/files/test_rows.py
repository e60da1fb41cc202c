"""Mirrors src/geotether/files/rows.py: values that a reader must not change."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from geotether.files.places import PlaceFinder
from geotether.files.rows import column_names, read_rows
from geotether.sources.records.columns import ColumnsSource

IDS = [11533734498300000001, 11533734498300000003]


def test_integers_beyond_64_bits_signed_are_kept(tmp_path):
    (tmp_path / "ids.csv").write_text("lon,id,huge\n" + "".join(f"1,{one},1{one}\n" for one in IDS))
    rows = read_rows(tmp_path / "ids.csv")
    assert rows["id"].to_pylist() == IDS
    assert rows["huge"].to_pylist() == [f"1{one}" for one in IDS]
    (tmp_path / "ids.jsonl").write_text("\n".join(json.dumps({"id": one}) for one in IDS))
    assert read_rows(tmp_path / "ids.jsonl")["id"].to_pylist() == [str(one) for one in IDS]


@pytest.mark.parametrize("missing", ["", "NA", "#N/A", "\\N", ".", "***", "<NA>", "NaT", "null", "-", "?"])
def test_marks_of_a_missing_number_leave_a_column_of_numbers(tmp_path, missing):
    (tmp_path / "p.csv").write_text(f"lon,height\n1,2.5\n2,{missing}\n")
    assert read_rows(tmp_path / "p.csv")["height"].to_pylist() == [2.5, None]


def test_a_coordinate_of_400_digits_costs_one_row(tmp_path):
    points = ["[5.66, 51.97]", f"[{'1' * 400}, 1]"]
    lines = [
        f'{{"type": "Feature", "properties": {{}}, "geometry": {{"type": "Point", "coordinates": {p}}}}}'
        for p in points
    ]
    (tmp_path / "p.geojsonl").write_text("\n".join(lines))
    with pytest.raises(ValueError, match="row 1 cannot be read"):
        read_rows(tmp_path / "p.geojsonl")


def test_views_of_texts_are_texts(tmp_path):
    table = pa.table({"name": pa.array(["a", None], pa.string_view()), "lon": [1.0, 2.0]})
    pq.write_table(table, tmp_path / "p.parquet", store_schema=True)
    rows = read_rows(tmp_path / "p.parquet")
    assert rows.schema.field("name").type == pa.string()
    assert rows["name"].to_pylist() == ["a", None]


@pytest.mark.parametrize("encoding", ["UTF-8", "ISO-8859-1"])
def test_texts_of_a_shapefile_without_a_stated_encoding(tmp_path, encoding):
    gpd = pytest.importorskip("geopandas")
    frame = gpd.GeoDataFrame({"name": ["Köln", "Málaga"]}, geometry=gpd.points_from_xy([7, -4.4], [51, 36.7]), crs=4326)
    frame.to_file(tmp_path / "p.shp", encoding=encoding)
    (tmp_path / "p.cpg").unlink()
    table = bytearray((tmp_path / "p.dbf").read_bytes())
    table[29] = 0
    (tmp_path / "p.dbf").write_bytes(table)
    assert read_rows(tmp_path / "p.shp")["name"].to_pylist() == ["Köln", "Málaga"]
    assert column_names(tmp_path / "p.shp") == ["name", "geometry"]


def test_two_columns_of_one_name_are_refused(tmp_path):
    table = pa.table([[1.0], [2.0], [3.0]], names=["lon", "lat", "lat"])
    pq.write_table(table, tmp_path / "p.parquet")
    with pytest.raises(ValueError, match="'lat'"):
        read_rows(tmp_path / "p.parquet")
    with pytest.raises(ValueError, match="'lat'"):
        ColumnsSource(tmp_path / "p.parquet").prepare(tmp_path)


def test_two_columns_that_could_be_the_same_coordinate_are_named():
    table = pa.table({"lon": [1.0], "longitude": [2.0], "lat": [3.0]})
    with pytest.raises(ValueError, match="'lon' and 'longitude'"):
        PlaceFinder(table.schema)
    assert PlaceFinder(table.schema, "longitude", "lat").require(table).tolist() == [[2.0, 3.0]]


def test_a_crs_without_relation_to_the_earth_is_refused():
    engineering = 'LOCAL_CS["site",LOCAL_DATUM["site",0],UNIT["metre",1],AXIS["x",EAST],AXIS["y",NORTH]]'
    with pytest.raises(ValueError, match="site"):
        PlaceFinder(pa.table({"x": [1.0], "y": [2.0]}).schema, "x", "y", engineering)


def test_one_row_without_a_place_is_named_by_a_call_and_rejected_by_a_job():
    table = pa.table({"lon": ["5.66", "five"], "lat": [51.97, 52.0]})
    finder = PlaceFinder(table.schema)
    lonlat, reasons = finder.find(table)
    np.testing.assert_array_equal(lonlat, [[5.66, 51.97], [np.nan, 52.0]])
    assert reasons == {1: "lon is not a number"}
    with pytest.raises(ValueError, match="row 1 has lon = 'five'"):
        finder.require(table)
