"""Mirrors src/geotether/files/points.py, with rows.py and writers.py behind it."""

import csv
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from geotether.files.points import PointRecords, open_points, output_format, read_points, with_columns
from geotether.files.writers import write_points

LONLAT = np.array([[5.66, 51.97], [-180.0, -90.0], [180.0, 0.0]])
EMBEDDING = np.array([[0.1, -2.0], [3.5, 1e-8], [0.0, 7.0]], dtype=np.float32)


def write_columns(records, path, extra):
    output_format(path)
    columns = with_columns(records.columns, extra)
    write_points(path, columns.schema, [(columns, records.lonlat)])


@pytest.fixture
def points_csv(tmp_path):
    path = tmp_path / "towns.csv"
    path.write_text('postcode,lon,lat,name\n01234,5.66,51.97,"Wageningen, ""stad"""\n00001,-180,-90,\n99999,180,0,三\n')
    return path


def test_a_csv_keeps_its_columns(points_csv):
    records = read_points(points_csv)
    np.testing.assert_array_equal(records.lonlat, LONLAT)
    assert len(records) == 3
    assert records.columns["postcode"].to_pylist() == ["01234", "00001", "99999"]
    assert records.columns["name"].to_pylist() == ['Wageningen, "stad"', "", "三"]


@pytest.mark.parametrize(
    "text, message",
    [
        (
            "lon,lat\n51.97,5.66\n-33.87,151.21\n",
            r"p\.csv: 1 of 2 rows .*row 1 is \(-33\.87, 151\.21\).*other way round",
        ),
        ("lon,lat\n0,0\n,5\n", "row 1 is .nan, 5."),
        ("lon,lat\n0,0\n0,inf\n", "row 1 is .0, inf."),
        ("lon,lat\n600000,5000000\n", "projected metres"),
        ("lon,lat\n0,0\n5°X,1\n", "row 1 has lon = '5°X'"),
        ("east,lat,name\n0,0,a\n", "no column for lon; .*Columns found: 'east', 'lat', 'name'"),
        ("a,b\n0,0\n", "no column for lon"),
        ("lon,Lon,lat\n0,0,0\n", "'lon' and 'Lon' could both be lon"),
        ("lon,lat,a,a\n0,0,0,0\n", "names column 'a' twice"),
        ("lon,lat\n", "it has no rows"),
        ("", "it is empty; its first line must name the columns"),
        ("lon,lat\n0,0\n1,2,3\n", r"the line has 3 values, the header 2: line 3, '1,2,3'\. Correct"),
        (f"lon,lat\n\n0,0\n{'9' * 1000}\n", rf"line 3, '{'9' * 60}\.\.\.'\. Correct"),  # empty lines are none
        ("lon,lat\n0\n1,2,3\n", r"the line has 1 values, the header 2: line 2, '0'; and 1 more do not fit\. Correct"),
    ],
)
def test_an_unsuitable_csv_is_an_error(tmp_path, text, message):
    (tmp_path / "p.csv").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_points(tmp_path / "p.csv")


def feature(coordinates, kind="Point", **properties):
    geometry = {"type": kind, "coordinates": coordinates}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def write_geojson(path, features, **more):
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features, **more}))
    return path


def test_geojson_gives_properties_and_geometry(tmp_path):
    features = [feature([5.66, 51.97], a=1, b="x"), feature([0, 0, 12.5], c=[1, 2]), feature([180, 0], a="one")]
    records = read_points(write_geojson(tmp_path / "p.geojson", features))
    np.testing.assert_array_equal(records.lonlat, [[5.66, 51.97], [0, 0], [180, 0]])
    assert records.columns.column_names == ["geometry", "a", "b", "c"]
    assert records.columns["a"].to_pylist() == ["1", None, "one"]
    assert records.columns["c"].to_pylist() == [None, [1, 2], None]


@pytest.mark.parametrize(
    "features, more, message",
    [
        ([{"type": "Feature", "geometry": None}], {}, "row 0: no geometry"),
        ([feature([0])], {}, r"row 0 .*the Point needs"),
        ([feature([51.97, 151.0])], {}, r"row 0 is \(51\.97, 151\).*other way round"),
        ([], {}, "no rows"),
        ([feature([0, 0])], {"type": "Topology"}, "Topology, not a FeatureCollection"),
    ],
)
def test_invalid_geojson_is_an_error(tmp_path, features, more, message):
    with pytest.raises(ValueError, match=message):
        read_points(write_geojson(tmp_path / "p.geojson", features, **more))


@pytest.mark.filterwarnings("ignore::UserWarning:geopandas")
def test_geopandas_reads_what_is_written_and_back(tmp_path):
    geopandas = pytest.importorskip("geopandas")
    frame = geopandas.GeoDataFrame({"a": [1, 2, 3]}, geometry=geopandas.points_from_xy(*LONLAT.T), crs="OGC:CRS84")
    frame.to_parquet(tmp_path / "in.parquet")
    records = read_points(tmp_path / "in.parquet")
    np.testing.assert_array_equal(records.lonlat, LONLAT)
    write_columns(records, tmp_path / "out.parquet", {"embedding": EMBEDDING})
    back = geopandas.read_parquet(tmp_path / "out.parquet")
    assert back.crs.equals("OGC:CRS84")
    assert back.geometry.geom_equals(frame.geometry).all()
    np.testing.assert_array_equal(np.stack(back["embedding"].to_list()), EMBEDDING)
    write_columns(records, tmp_path / "out.geojson", {"embedding": EMBEDDING})
    np.testing.assert_array_equal(read_points(tmp_path / "out.geojson").lonlat, LONLAT)


def test_embeddings_are_fixed_size_lists_in_parquet(points_csv, tmp_path):
    write_columns(read_points(points_csv), tmp_path / "out.parquet", {"embedding": EMBEDDING, "rank": np.arange(3)})
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.column_names == ["postcode", "lon", "lat", "name", "embedding", "rank"]
    assert table.schema.field("embedding").type == pa.list_(pa.float32(), 2)
    assert table["embedding"].to_pylist() == EMBEDDING.tolist()


def test_embeddings_are_json_lists_in_csv(points_csv, tmp_path):
    write_columns(read_points(points_csv), tmp_path / "out.csv", {"embedding": EMBEDDING})
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["embedding"] == "[0.1, -2.0]"
    assert rows[0]["postcode"] == "01234"
    assert [json.loads(row["embedding"]) for row in rows][1] == [3.5, 1e-8]
    again = read_points(tmp_path / "out.csv")
    np.testing.assert_array_equal(again.lonlat, LONLAT)


def test_embeddings_are_lists_in_geojson(points_csv, tmp_path):
    write_columns(
        read_points(points_csv), tmp_path / "out.geojson", {"embedding": EMBEDDING, "x": np.array([1, np.nan, 2])}
    )
    document = json.loads((tmp_path / "out.geojson").read_text(encoding="utf-8"))
    assert [f["geometry"]["coordinates"] for f in document["features"]] == LONLAT.tolist()
    assert document["features"][0]["properties"]["embedding"] == [0.1, -2.0]
    assert document["features"][1]["properties"]["x"] is None


def test_a_geometry_becomes_lon_and_lat_in_a_csv(tmp_path):
    records = read_points(write_geojson(tmp_path / "p.geojson", [feature(place, a=1) for place in LONLAT.tolist()]))
    write_columns(records, tmp_path / "out.csv", {})
    assert (tmp_path / "out.csv").read_text().splitlines()[:2] == ["lon,lat,a", "5.66,51.97,1"]


def test_dates_and_decimals_survive_text(tmp_path):
    (tmp_path / "p.csv").write_text("lon,lat,day,when\n0,0,2024-02-29,2024-02-29 12:30:00\n")
    write_columns(read_points(tmp_path / "p.csv"), tmp_path / "o.geojson", {})
    properties = json.loads((tmp_path / "o.geojson").read_text())["features"][0]["properties"]
    assert properties["day"] == "2024-02-29"
    assert properties["when"] == "2024-02-29T12:30:00"


def test_numbers_as_text_are_the_same_numbers(tmp_path):
    numbers = [0.1, -2.0, 1e22, -1e-8, 123456789.0, 0.0, None, np.nan, np.inf]
    lists = [[0.1, -2.0], [], None, [1e-8, None, np.nan], [3.0, 16777216.0], [5e-324], [1e300], [0.5], [-0.0]]
    columns = {
        "double": pa.array(numbers, pa.float64()),
        "single": pa.array(numbers, pa.float32()),
        "lists": pa.array(lists, pa.list_(pa.float64())),
        "fixed": pa.array([None, *[[0.1, 2.0]] * 8], pa.list_(pa.float32(), 2)),
    }
    records = PointRecords(np.repeat([[-180.0, 1e-7]], 9, axis=0), pa.table(columns))
    write_columns(records, tmp_path / "o.geojson", {})
    features = json.loads((tmp_path / "o.geojson").read_text())["features"]
    assert features[0]["geometry"]["coordinates"] == [-180, 1e-7]
    rows = [feature["properties"] for feature in features]
    known = [*numbers[:7], None, None]
    assert [row["double"] for row in rows] == known
    assert [None if row["single"] is None else float(np.float32(row["single"])) for row in rows] == [
        None if number is None else float(np.float32(number)) for number in known
    ]
    assert [row["lists"] for row in rows] == [*lists[:3], [1e-8, None, None], *lists[4:]]
    assert [row["fixed"] for row in rows] == columns["fixed"].cast(pa.list_(pa.float32())).to_pylist()[:1] + [
        [0.1, 2.0]
    ] * 8
    assert all(isinstance(value, float) for value in [rows[1]["double"], *rows[4]["lists"]])  # not integers
    write_columns(records, tmp_path / "o.csv", {})
    with (tmp_path / "o.csv").open(newline="") as file:
        cells = list(csv.DictReader(file))
    np.testing.assert_array_equal([float(cell["double"] or "nan") for cell in cells[:7]], [*numbers[:6], np.nan])
    assert [json.loads(cell["lists"] or "null") for cell in cells] == [row["lists"] for row in rows]


@pytest.mark.parametrize("ending", ["csv", "geojson", "parquet"])
def test_rows_come_in_tables_of_bounded_length(tmp_path, ending):
    columns = pa.table({"lon": np.arange(100.0), "lat": np.zeros(100)})
    write_columns(PointRecords(np.stack([np.arange(100.0), np.zeros(100)], 1), columns), tmp_path / f"p.{ending}", {})
    with open_points(tmp_path / f"p.{ending}", "o.csv", rows_at_once=40) as points:
        found = [(table.num_rows, lonlat[0, 0]) for table, lonlat in points.chunks]
    assert found == [(40, 0), (40, 40), (20, 80)]


@pytest.mark.parametrize(
    "path, extra, message",
    [
        ("out.txt", {}, r"ends in '\.txt'"),
        ("out.shp", {}, r"255 columns .*write \.gpkg"),
        ("out.csv", {"name": np.arange(3)}, "have a column 'name'"),
        ("out.csv", {"e": np.arange(2)}, r"shape \(2,\), but there are 3 points"),
        ("out.csv", {"e": np.zeros((3, 2, 2))}, r"shape \(3, 2, 2\)"),
    ],
)
def test_invalid_output_is_an_error(points_csv, tmp_path, path, extra, message):
    with pytest.raises(ValueError, match=message):
        write_columns(read_points(points_csv), tmp_path / path, extra)
    assert not (tmp_path / path).exists()


def test_bytes_need_parquet(tmp_path):
    records = PointRecords(LONLAT, pa.table({"photo": pa.array([b"\x00"] * 3)}))
    with pytest.raises(ValueError, match=r"'photo' contains bytes.*write a \.parquet"):
        write_columns(records, tmp_path / "out.csv", {})
    write_columns(records, tmp_path / "out.parquet", {})


@pytest.mark.parametrize("ending", ["csv", "parquet", "geojson"])
def test_a_failed_write_leaves_the_old_file(points_csv, tmp_path, monkeypatch, ending):
    records = read_points(points_csv)
    target = tmp_path / f"out.{ending}"
    target.write_text("old")
    before = sorted(path.name for path in tmp_path.iterdir())

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="the disk is full"):
        write_columns(records, target, {"embedding": EMBEDDING})
    assert target.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == before
