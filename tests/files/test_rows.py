"""Mirrors src/geotether/files/rows.py: values that a reader must not change."""

import contextlib
import decimal
import json
import re
import sqlite3
import struct

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from geotether.featurizing.guess import guess_source
from geotether.files.points import read_points
from geotether.files.rows import read_rows
from geotether.sources.records.columns import ColumnsSource

WKB = struct.Struct("<BIdd")
IDS = [11533734498300000001, 11533734498300000003]


def test_integers_beyond_64_bits_signed_are_kept(tmp_path):
    (tmp_path / "ids.csv").write_text("lon,id,huge\n" + "".join(f"1,{one},1{one}\n" for one in IDS))
    rows = read_rows(tmp_path / "ids.csv")
    assert rows["id"].to_pylist() == IDS
    assert rows["huge"].to_pylist() == [f"1{one}" for one in IDS]
    (tmp_path / "ids.jsonl").write_text("\n".join(json.dumps({"id": one}) for one in IDS))
    assert read_rows(tmp_path / "ids.jsonl")["id"].to_pylist() == [str(one) for one in IDS]


def test_two_columns_of_one_name_are_refused(tmp_path):
    table = pa.table([[1.0], [2.0], [3.0]], names=["lon", "lat", "lat"])
    pq.write_table(table, tmp_path / "p.parquet")
    with pytest.raises(ValueError, match="'lat'"):
        read_rows(tmp_path / "p.parquet")
    with pytest.raises(ValueError, match="'lat'"):
        ColumnsSource(tmp_path / "p.parquet").prepare(tmp_path)


def test_newer_arrow_types_are_read_as_older_ones(tmp_path):
    table = pa.table(
        {
            "text": pa.array(["a", None], pa.string_view()),
            "half": pa.array([1.5, None], pa.float16()),
            "price": pa.array([decimal.Decimal("1.25"), None], pa.decimal32(9, 2)),
            "lists": pa.array([["a"], None], pa.list_(pa.string_view())),
        }
    )
    pq.write_table(table, tmp_path / "p.parquet")
    rows = read_rows(tmp_path / "p.parquet")
    assert rows.schema.types == [pa.string(), pa.float32(), pa.decimal128(9, 2), pa.list_(pa.string())]
    assert rows.to_pylist() == table.to_pylist()


@pytest.mark.parametrize("stated", [None, "UTF-8", "ISO-8859-1"])
@pytest.mark.parametrize("encoding", ["UTF-8", "ISO-8859-1"])
def test_texts_of_a_shapefile_in_any_encoding(tmp_path, encoding, stated):
    """An encoding that the .cpg states is followed; a character that it lacks is an error that names the .cpg."""
    gpd = pytest.importorskip("geopandas")
    frame = gpd.GeoDataFrame({"name": ["Köln", "Málaga"]}, geometry=gpd.points_from_xy([7, -4.4], [51, 36.7]), crs=4326)
    frame.to_file(tmp_path / "p.shp", encoding=encoding)
    (tmp_path / "p.cpg").unlink() if stated is None else (tmp_path / "p.cpg").write_text(stated)
    table = bytearray((tmp_path / "p.dbf").read_bytes())
    table[29] = 0
    (tmp_path / "p.dbf").write_bytes(table)
    if (encoding, stated) == ("ISO-8859-1", "UTF-8"):
        with pytest.raises(ValueError, match=r"p\.shp: .*p\.cpg"):
            read_rows(tmp_path / "p.shp")
    elif (encoding, stated) != ("UTF-8", "ISO-8859-1"):  # every byte is a character there
        assert read_rows(tmp_path / "p.shp")["name"].to_pylist() == ["Köln", "Málaga"]


def test_an_attribute_may_be_called_geometry(tmp_path):
    gpd = pytest.importorskip("geopandas")
    gpd.GeoDataFrame({"v": [1]}, geometry=gpd.points_from_xy([7], [51]), crs=4326).to_file(tmp_path / "a.gpkg")
    with contextlib.closing(sqlite3.connect(tmp_path / "a.gpkg")) as file:
        file.execute("ALTER TABLE a ADD COLUMN geometry TEXT DEFAULT 'note'")
        file.commit()
    records = read_points(tmp_path / "a.gpkg")
    assert records.lonlat.tolist() == [[7, 51]]
    assert records.columns["geometry"].to_pylist() == ["note"]


@pytest.mark.parametrize(
    "name, content",
    [
        ("p.json", '[{"lon": 5.5, "lat": 52, "v": 1}, {"lon": 6, "lat": 53, "v": 2}]'),
        ("p.json", '{"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": {"type": "Point", '
                   '"coordinates": [5.5, 52]}, "properties": {"v": 1}}, {"type": "Feature", "geometry": '
                   '{"type": "MultiPoint", "coordinates": [[6, 53]]}, "properties": {"v": 2}}]}'),
        ("p.csv", 'WKT,v\n"POINT (5.5 52)",1\n"POLYGON ((5 52, 7 52, 7 54, 5 54, 5 52))",2\n'),
        ("p.parquet", pa.table({"geom": [WKB.pack(1, 1, 5.5, 52), WKB.pack(1, 1, 6, 53)], "v": [1, 2]})),
    ],
)  # fmt: skip
def test_positions_in_other_forms(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content) if isinstance(content, str) else pq.write_table(content, path)
    crs = None if name == "p.json" else "EPSG:4326"
    records = read_points(path, crs=crs)
    np.testing.assert_allclose(records.lonlat, [[5.5, 52], [6, 53]])
    assert records.columns["v"].to_pylist() == [1, 2]
    if crs is not None:  # well-known binary or text states no CRS
        assert guess_source(path) == "columns"
        with pytest.raises(ValueError, match="no CRS; state it with crs="):
            read_points(path)


@pytest.mark.parametrize(
    "name, content",
    [
        ("p.geojson", '{"type": "FeatureCollection", "features": [' + "[" * 200_000),
        ("p.jsonl", "[" * 200_000),
        ("p.geojson", '{"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": {"type": "Point", '
                      f'"coordinates": [{"1" * 400}, 1]}}, "properties": {{}}}}]}}'),
        ("p.geojson", '{"type": "FeatureCollection", "features": [{"type": "Feature"'),
        ("p.geojson", '{"type": "FeatureCollection", "features": [1 2]}'),
        ("p.geojson", '{"type": "Topology"}'),
        ("p.geojson", '{"features": ['),
        ("p.json", "[1, 2]"),
        ("p.parquet", "PAR1" + "x" * 99),
        ("p.geojson", '{"type": "FeatureCollection", "features": [{"properties": {"a": "M\udce4hre"}}]}'),
        ("p.jsonl", '{"lon": 1, "lat": 2, "a": "M\udce4hre"}'),
    ],
)  # fmt: skip
def test_a_damaged_file_is_an_error_with_its_name(tmp_path, name, content):
    (tmp_path / name).write_bytes(content.encode("latin-1", "surrogateescape"))
    with pytest.raises(ValueError, match=re.escape(name)):
        read_rows(tmp_path / name)
