"""Mirrors src/geotether/sources/records/columns.py, with row_file.py behind it."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from geotether.sources.records.columns import ColumnsSource

SOURCE = ColumnsSource


def test_columns_of_metres_are_converted(tmp_path, opened):
    pyproj = pytest.importorskip("pyproj")
    x, y = pyproj.Transformer.from_crs("OGC:CRS84", "EPSG:28992", always_xy=True).transform(5.66, 51.97)
    (tmp_path / "p.csv").write_text(f"x,y,v\n{x!r},{y!r},1\n1e12,1e12,2\n,,3\n")
    seen = opened("p.csv", crs="EPSG:28992").read(0, 3)
    np.testing.assert_allclose(seen.lonlat, [[5.66, 51.97]], atol=1e-9)
    assert [r.reason for r in seen.rejected] == [
        "coordinates outside the range of EPSG:28992", "longitude or latitude missing"
    ]  # fmt: skip
    with pytest.raises(ValueError, match="no CRS 'EPSG:99999999'"):
        opened("p.csv", crs="EPSG:99999999")
    with pytest.raises(ValueError, match=r"none of the 3 rows can be used"):
        opened("p.csv")


def test_a_geometry_without_a_crs_needs_one(tmp_path, opened):
    gpd = pytest.importorskip("geopandas")
    frame = gpd.GeoDataFrame({"size": [1]}, geometry=gpd.points_from_xy([5.66], [51.97]))
    frame.to_parquet(tmp_path / "p.parquet")
    with pytest.raises(ValueError, match="has no CRS; state it with crs="):
        opened("p.parquet")
    np.testing.assert_allclose(opened("p.parquet", crs="EPSG:4326").read(0, 1).lonlat, [[5.66, 51.97]])


def test_lines_and_polygons_give_a_point_inside(tmp_path, opened):
    shapely = pytest.importorskip("shapely")
    gpd = pytest.importorskip("geopandas")
    horseshoe = shapely.Polygon([(0, 0), (9, 0), (9, 9), (8, 9), (8, 1), (1, 1), (1, 9), (0, 9)])
    others = [shapely.LineString([(0, 0), (2, 2)]), shapely.MultiPoint([(1, 1), (3, 3)]), shapely.Point(7, 8)]
    shapes = [horseshoe, *others, None]
    frame = gpd.GeoDataFrame({"size": range(5)}, geometry=shapes, crs=4326)
    frame.to_parquet(tmp_path / "p.parquet")
    seen = opened("p.parquet").read(0, 5)
    assert not horseshoe.contains(horseshoe.centroid)
    assert horseshoe.contains(shapely.Point(seen.lonlat[0]))
    assert not any(shape.distance(shapely.Point(at)) for shape, at in zip(others, seen.lonlat[1:], strict=True))
    assert [(r.row, r.reason) for r in seen.rejected] == [(4, "no geometry")]


def test_bad_rows_are_rejected_one_by_one(tmp_path, opened, caplog):
    (tmp_path / "p.csv").write_text("lon,lat,v\n5,52,1\n5,91,2\n,52,3\nfive,52,4\n999,0,5\n7,8\n6,53,6\n1,2,3,4\n")
    source = opened("p.csv")
    seen = source.read(0, len(source))
    assert seen.row.tolist() == [0, 5]
    assert seen.content["v"].to_pylist() == [1, 6]
    assert [(r.row, r.reason) for r in seen.rejected] == [
        (1, "latitude outside [-90, 90], possible as a longitude"),
        (2, "longitude or latitude missing"),
        (3, "lon is not a number"),
        (4, "longitude outside [-180, 360]"),
        (6, "the line has 2 values, the header 3"),
        (7, "the line has 4 values, the header 3"),
    ]
    assert "the header 3: line 7, '7,8'; the line has 4 values, the header 3: line 9, '1,2,3,4'." in caplog.text


def test_types_are_decided_by_all_rows_not_the_first(tmp_path, opened):
    rows = [f"{n % 180},{n % 90},{n},{n},0{n % 10}1,true,\n" for n in range(60000)]
    rows[-1] = "1,1,0.5,x,011,FALSE,\n"
    (tmp_path / "p.csv").write_text("lon,lat,late number,late text,postcode,truth,empty\n" + "".join(rows))
    source = opened("p.csv")
    kinds = {field.name: str(field.type) for field in source.read(0, 1).content.schema}
    assert kinds == {
        "late number": "double", "late text": "string", "postcode": "string", "truth": "bool", "empty": "string"
    }  # fmt: skip
    last = source.read(59998, 60000).content.to_pylist()
    assert last[1] == {"late number": 0.5, "late text": "x", "postcode": "011", "truth": False, "empty": None}
    assert last[0]["late number"] == 59998


def test_na_is_a_text_label_but_a_missing_number(tmp_path, opened):
    (tmp_path / "p.csv").write_text('lon,lat,iso,n\n17,-22,NA,NA\n17,-22,"Two\nlines, one",3\n')
    assert opened("p.csv").read(0, 2).content.to_pylist() == [
        {"iso": "NA", "n": None},
        {"iso": "Two\nlines, one", "n": 3},
    ]


def test_ids_times_and_labels_come_along(tmp_path, opened):
    table = pa.table(
        {
            "lon": [1.0, 2.0, 3.0, 4.0], "lat": [0.0] * 4, "key": [11, 12, None, 14], "v": [1.0, 2.0, 3.0, 4.0],
            "when": ["2024-02-29T01:00:00+02:00", "1998", None, "some day"],
            "class": ["x", None, "y", "z"], "count": pa.array([1, None, 3, 4]), "whole": [1, 2, 3, 4],
        }
    )  # fmt: skip
    pq.write_table(table, tmp_path / "p.parquet", row_group_size=1)
    source = opened("p.parquet", id="key", time="when", labels=["class", "count", "whole"])
    seen = source.read(0, 4)
    assert seen.id.tolist() == ["11", "12"]
    assert seen.time.tolist() == np.array(["2024-02-28T23:00", "1998-01-01"], dtype="datetime64[ms]").tolist()
    assert seen.labels["class"].tolist() == ["x", ""]
    np.testing.assert_array_equal(seen.labels["count"], [1, np.nan])
    assert seen.labels["whole"].dtype == np.int64
    assert source.read(0, 1).labels["count"].dtype == np.float64  # as in every other run
    assert seen.content.column_names == ["v", "when"]
    assert [(r.row, r.reason, r.id) for r in seen.rejected] == [
        (2, "no id", ""),
        (3, "when is not a date in ISO 8601, such as 2003-06-21", "14"),
    ]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_where_chooses_rows(tmp_path, opened, kind):
    table = pa.table({"lon": np.arange(5.0), "lat": np.zeros(5), "s": ["a", "b", "a", None, "c"], "n": [1, 2, 3, 4, 5]})
    if kind == "csv":
        pa.csv.write_csv(table, tmp_path / "p.csv")
    else:
        pq.write_table(table, tmp_path / "p.parquet")
    source = opened(f"p.{kind}", where={"s": ["a", "c"]})
    assert len(source) == 3
    seen = source.read(0, 3)
    assert seen.row.tolist() == [0, 1, 2]
    assert seen.lonlat[:, 0].tolist() == [0, 2, 4]
    assert seen.rejected == []
    assert opened(f"p.{kind}", where={"s": "a", "n": 3}).read(0, 9).content["n"].to_pylist() == [3]
    for where, kept in (
        ({"s": [None]}, [4]),
        ({"s": {"not": "a"}}, [2, 4, 5]),
        ({"s": {"not": ["a", None]}, "n": {"not": 2}}, [5]),
    ):
        assert opened(f"p.{kind}", where=where).read(0, 9).content["n"].to_pylist() == kept
    with pytest.raises(ValueError, match="no row has s = 'z'"):
        opened(f"p.{kind}", where={"s": "z"})
    with pytest.raises(ValueError, match=r"s takes a value, a list of values or \{not: VALUES\}"):
        opened(f"p.{kind}", where={"s": {"no": "z"}})
    with pytest.raises(ValueError, match=r"no column 'source'\. Columns found: 'lon', 'lat', 's', 'n'"):
        opened(f"p.{kind}", where={"source": "z"})
    with pytest.raises(ValueError, match=r"where asks for \['many'\] in column 'n'"):
        opened(f"p.{kind}", where={"n": "many"})


def test_columns_are_chosen_and_ignored(tmp_path, opened):
    (tmp_path / "p.csv").write_text("lon,lat,size,name\n5.66,51.97,1,a\n")
    assert opened("p.csv", columns=["size"]).read(0, 1).content.column_names == ["size"]
    assert opened("p.csv", ignore="name").read(0, 1).content.column_names == ["size"]
    with pytest.raises(ValueError, match="'lat'"):
        opened("p.csv", columns=["lat"])
    with pytest.raises(ValueError, match="no columns beside"):
        opened("p.csv", labels=["size", "name"])


def test_many_rows_are_read_from_anywhere(tmp_path, opened, monkeypatch):
    words = pa.array(["x", "y"] * 5000).dictionary_encode()
    table = pa.table({"lon": np.arange(10000) % 180 * 1.0, "lat": np.zeros(10000), "n": np.arange(10000), "k": words})
    pq.write_table(table, tmp_path / "groups.parquet", row_group_size=777)
    pa.csv.write_csv(table, tmp_path / "spooled.csv")
    opened("groups.parquet")
    assert not list((tmp_path / "job").iterdir())
    for path in ("groups.parquet", "spooled.csv", "whole.parquet"):
        if path == "whole.parquet":  # one large row group, which is copied
            pq.write_table(table, tmp_path / path)
            monkeypatch.setattr("geotether.files.random_access.SMALL_GROUP_BYTES", 10)
        source = opened(path, folder=path.split(".")[0])
        assert bool(list((tmp_path / path.split(".")[0]).iterdir())) == (path != "groups.parquet")
        for start, stop in ((0, 1), (4090, 4100), (8191, 8193), (700, 3000), (9999, 10000), (0, 10000)):
            seen = source.read(start, stop)
            assert seen.content["n"].to_pylist() == list(range(start, stop))
            assert seen.content["k"][0].as_py() == "xy"[start % 2]
            assert seen.row.tolist() == list(range(start, stop))


def test_a_complete_copy_is_used_again_and_another_file_is_not(tmp_path, opened):
    (tmp_path / "p.csv").write_text("lon,lat,v\n1,2,4\n")
    source = opened("p.csv")
    (spool,) = (tmp_path / "job").iterdir()
    stamp, before = spool.stat().st_mtime_ns, source.fingerprint()
    assert opened("p.csv").fingerprint() == before
    assert spool.stat().st_mtime_ns == stamp
    (tmp_path / "p.csv").write_text("lon,lat,v\n1,2,3\n9,9,9\n")
    again = opened("p.csv")
    assert again.fingerprint() != before
    assert again.read(0, 1).content.to_pylist() == [{"v": 3}]
    assert opened("p.csv", where={"v": 3}).fingerprint() != again.fingerprint()


def test_layers_are_named(tmp_path, opened):
    gpd = pytest.importorskip("geopandas")
    for layer in ("towns", "rivers"):
        frame = gpd.GeoDataFrame({"n": [layer]}, geometry=gpd.points_from_xy([1], [2]), crs=4326)
        frame.to_file(tmp_path / "p.gpkg", layer=layer)
    assert opened("p.gpkg", layer="rivers").read(0, 1).content.to_pylist() == [{"n": "rivers"}]
    with pytest.raises(ValueError, match="has the layers towns, rivers; name one with layer="):
        opened("p.gpkg")
    with pytest.raises(ValueError, match="no layer 'lakes'; there are towns, rivers"):
        opened("p.gpkg", layer="lakes")
    (tmp_path / "p.csv").write_text("lon,lat,v\n1,2,3\n")
    with pytest.raises(ValueError, match="has no layers"):
        opened("p.csv", layer="towns")


@pytest.mark.parametrize(
    "text, options, message",
    [
        ("a,b\n1,2\n", {}, r"p\.csv: there is no column for lon and lat; .*crs=.*Columns found: 'a', 'b'"),
        ("a,b\n1,2\n", {"lon": "a", "lat": "c"}, "no column 'c' for lat. Columns found: 'a', 'b'"),
        ("a,b\n1,2\n", {"lon": "a"}, "lon and lat are named together; got lon='a' and lat=None"),
        ("lon,lat,v\n51.97,151.2,1\n-33.8,120.1,1\n", {}, "none of the 2 rows can be used.*other way round"),
        ("lon,lat,v\n1,2,3\n", {"id": "key"}, "no column 'key'. Columns found: 'lon', 'lat', 'v'"),
        ("lon,lat,v\n1,2,3\n", {"ignore": "w"}, "no column 'w'"),
        ("lon,lat,v\n1,2,3\n", {"where": {}}, "where is a mapping"),
        ("lon,lat,v\n1,2,3\n", {"labels": 3}, "labels are names of columns"),
    ],
)  # fmt: skip
def test_an_unsuitable_file_is_an_error(tmp_path, opened, text, options, message):
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        opened("p.csv", **options)


def test_other_bytes_are_refused(tmp_path, opened):
    for name, message in (
        ("p.parquet", "damaged or is not a parquet file"), ("p.geojson", "not UTF-8"),
        ("p.gpkg", "damaged or not a file"), ("p.csv.gz", "cannot be unpacked"), ("p.csv", "not .*UTF"),
    ):  # fmt: skip
        (tmp_path / name).write_bytes(b"\xff\xfe nothing of the kind, lon\n\xe9\n")
        with pytest.raises(ValueError, match=message):
            opened(name)
    with pytest.raises(FileNotFoundError, match="There is no file"):
        opened("absent.csv")
    (tmp_path / "p.xlsx").write_text("")
    with pytest.raises(ValueError, match=r"ends in '\.xlsx'; rows are read from \.csv.*\.gpkg.*\.csv\.gz"):
        opened("p.xlsx")


def test_geojson_of_mixed_properties_is_read_in_pieces(tmp_path, opened, monkeypatch):
    monkeypatch.setattr("geotether.files.json_records._CHUNK", 7)  # every value is cut somewhere
    features = [
        {"type": "Feature", "id": n, "geometry": {"type": "Point", "coordinates": [n, 12.5]}, "properties": p}
        for n, p in enumerate([{"m": 1, "l": ["a"]}, {"m": "one", "l": []}, {"m": {"x": 1.5}}, None])
    ] + [{"type": "Feature", "geometry": {"type": "Point", "coordinates": ["5"]}, "properties": {}}, 7]
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}
    (tmp_path / "p.geojson").write_text(json.dumps({"features": features, "type": "FeatureCollection", "crs": crs}))
    source = opened("p.geojson", id="id")
    seen = source.read(0, len(source))
    assert seen.content.to_pylist() == [
        {"m": "1", "l": ["a"]}, {"m": "one", "l": []}, {"m": '{"x": 1.5}', "l": None}, {"m": None, "l": None}
    ]  # fmt: skip
    assert [r.reason for r in seen.rejected] == [
        "the Point needs [longitude, latitude]",
        "the feature is not a JSON object",
    ]


def test_geojson_of_an_old_standard_is_converted(tmp_path, opened):
    pyproj = pytest.importorskip("pyproj")
    place = pyproj.Transformer.from_crs("OGC:CRS84", "EPSG:3857", always_xy=True).transform(5.66, 51.97)
    feature = {"type": "Feature", "geometry": {"type": "Point", "coordinates": place}, "properties": {"a": 1}}
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::3857"}}
    (tmp_path / "p.json").write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": [feature]}))
    np.testing.assert_allclose(opened("p.json").read(0, 1).lonlat, [[5.66, 51.97]], atol=1e-9)
