"""Mirrors src/geotether/serving/{points,columns,uploads,colours}.py and routes/points.py."""

import errno
import gzip
import io
import json
import pickle
import re
import shutil
import sqlite3
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("fastapi")
from matplotlib import colormaps
from matplotlib.colors import to_hex

from geotether.files.geometry import with_geometry
from geotether.files.writers import write_points
from geotether.serving import uploads
from geotether.serving.points import PointTables
from geotether.serving.problems import Problem
from geotether.serving.uploads import UploadError, read_file

COUNT = 60
RNG = np.random.default_rng(0)
LONLAT = np.stack([RNG.uniform(-170, 170, COUNT), RNG.uniform(-60, 60, COUNT)], axis=1).round(3)
COLUMNS = {
    "site": np.arange(COUNT),
    "warmth": RNG.normal(10, 4, COUNT).round(3),
    "biome": np.array(["dune", "fen", "oak"])[np.arange(COUNT) % 3],
    "wet": np.arange(COUNT) % 2 == 0,
}
HEADER = "lon,lat,warmth\n"


def content_of(ending, folder):
    """Write the points above in a format."""
    path = folder / f"made{ending}"
    if ending == ".zip":
        import geopandas

        frame = geopandas.GeoDataFrame(COLUMNS, geometry=geopandas.points_from_xy(*LONLAT.T), crs="EPSG:4326")
        frame.to_file(folder / "made.shp")
        return zipped({f"towns/{part.name}": part.read_bytes() for part in folder.glob("made.*")})
    if ending in (".csv", ".tsv"):
        sign = "," if ending == ".csv" else "\t"
        rows = zip(*LONLAT.T.tolist(), *(one.tolist() for one in COLUMNS.values()), strict=True)
        lines = [sign.join(["lon", "lat", *COLUMNS]), *(sign.join(map(str, row)) for row in rows)]
        return "\n".join(lines).encode()
    columns = pa.table(COLUMNS)
    if ending == ".parquet":  # with a copy of a coordinate beside the geometry
        columns = with_geometry(columns.append_column("Latitude", pa.array(LONLAT[:, 1])), LONLAT)
    write_points(path, columns.schema, [(columns, LONLAT)])
    return path.read_bytes()


def read(content, name, folder):
    """Read an upload in this process."""
    file = folder / f"points{uploads.upload_ending(name)}"
    file.write_bytes(content)
    return read_file(file, name, folder / "out.arrow")


def zipped(members):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".geojson", ".parquet", ".gpkg", ".fgb", ".zip"])
def test_every_format_gives_the_same_table(ending, tmp_path):
    folder = tmp_path / "made"
    folder.mkdir()
    found = read(content_of(ending, folder), f"towns{ending.upper()}", tmp_path)
    assert found["rows"] == COUNT
    np.testing.assert_allclose(found["bounds"], [*LONLAT.min(axis=0), *LONLAT.max(axis=0)], atol=1e-9)
    known = {one["name"]: one for one in found["columns"]}
    assert [known[name]["kind"] for name in ("site", "warmth", "biome")] == ["number", "number", "text"]
    assert [known[name]["values"] for name in ("site", "biome")] == [COUNT, 3]
    assert [known[name]["usable_as_label"] for name in ("site", "warmth", "biome", "wet")] == [False, True, True, True]
    assert "looks like an id" in known["site"]["why"]
    assert not any(known[name]["usable_as_label"] for name in ("lon", "lat", "Latitude") if name in known)


def test_a_client_sends_points_and_sees_them_in_colours(client, tmp_path):
    content = content_of(".csv", tmp_path) + b"\n,,60,1.5,fen,true"
    sent = client.post("/points", files={"file": ("../../etc/towns.csv", content)})
    assert sent.status_code == 200, sent.text
    table = sent.json()
    assert [note.startswith("towns.csv: 1 of 61 rows") for note in table["notes"]] == [True]
    assert (table["name"], table["rows"]) == ("towns.csv", COUNT)
    assert table["id"] not in [one["id"] for one in client.get("/model").json().get("points", [])]

    shown = client.get(f"/points/{table['id']}", params={"column": "warmth"})
    assert shown.headers["content-type"] == "application/geo+json"
    features = shown.json()["features"]
    np.testing.assert_allclose([one["geometry"]["coordinates"] for one in features], LONLAT)
    assert [one["properties"]["value"] for one in features] == COLUMNS["warmth"].tolist()
    low, high = np.percentile(COLUMNS["warmth"], (2, 98))
    level = np.clip((COLUMNS["warmth"] - low) / (high - low), 0, 1)
    at = np.abs(level - 0.5).argmin()
    assert features[int(level.argmax())]["properties"]["colour"] == to_hex(colormaps["viridis"](1.0))
    assert features[int(at)]["properties"]["colour"] == to_hex(colormaps["viridis"](round(level[at] * 255)))
    stops = shown.json()["legend"]["stops"]
    np.testing.assert_allclose([stops[0][0], stops[-1][0]], [low, high])

    shown = client.get(f"/points/{table['id']}", params={"column": "biome"}).json()
    colours = {one["name"]: one["colour"] for one in shown["legend"]["classes"]}
    assert sorted(colours) == ["dune", "fen", "oak"]
    assert all(one["properties"]["colour"] == colours[one["properties"]["value"]] for one in shown["features"])
    assert client.get(f"/points/{table['id']}").json()["legend"] is None

    wrong = client.get(f"/points/{table['id']}", params={"column": "warmht"})
    assert wrong.status_code == 404
    assert "'warmth'" in wrong.json()["detail"]["error"]
    assert client.get("/points/../../etc/passwd").status_code == 404
    assert client.get("/points/nothing").status_code == 404


def test_missing_values_have_no_colour_of_a_class(tmp_path):
    tables = PointTables({})
    rows = [(at, 1, "" if at % 7 == 0 else at, "" if at % 5 == 0 else "ab"[at % 2]) for at in range(40)]
    lines = ["lon,lat,warmth,biome", *(",".join(map(str, row)) for row in rows)]
    table = tables.add(io.BytesIO("\n".join(lines).encode()), "a.csv")
    for column, every in (("warmth", 7), ("biome", 5)):
        given = [one["properties"] for one in json.loads(table.geojson(column))["features"]]
        absent = {one["colour"] for one in given[::every]}
        assert len(absent) == 1
        assert all((one["value"] is None) == (row % every == 0) for row, one in enumerate(given))
        assert not absent & {one["colour"] for one in given if one["value"] is not None}
    tables.close()
    assert not table.file.parent.exists()


def test_any_column_can_be_asked_for(tmp_path):
    rng = np.random.default_rng(0)
    columns = {
        "lon": rng.uniform(-10, 10, 40),
        "lat": rng.uniform(-10, 10, 40),
        "class": pa.array(["a", None] * 20).dictionary_encode(),
        "code": pa.array([1, 2] * 20).dictionary_encode(),
        "large": pa.array([2**63 + at for at in range(40)], pa.uint64()),
        "huge": np.array([-1.7e308, 1.7e308] * 20),
        "infinite": np.array([np.inf, np.nan] * 20),
        "dated": np.array(["2020-01-01"] * 40, dtype="datetime64[D]"),
        "lists": [[1.0]] * 40,
    }
    packed = io.BytesIO()
    pq.write_table(pa.table(columns), packed, row_group_size=20)
    packed.seek(0)
    tables = PointTables({})
    table = tables.add(packed, "odd.parquet")
    kinds = dict.fromkeys(columns, "number") | {"class": "text", "dated": "other", "lists": "other"}
    assert {one["name"]: one["kind"] for one in table.columns} == kinds
    for name, kind in kinds.items():
        if kind == "other":
            with pytest.raises(Problem, match="no numbers"):
                table.geojson(name)
        else:
            found = json.loads(table.geojson(name), parse_constant=pytest.fail)
            colours = [one["properties"]["colour"] for one in found["features"]]
            assert len(set(colours)) == 1 if name in ("large", "infinite") else len(set(colours)) > 1


def test_files_of_the_server_are_listed_and_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("geotether.serving.points.MOST_TABLES", 1)
    path = tmp_path / "towns.csv"
    path.write_bytes(content_of(".csv", tmp_path))
    tables = PointTables({"towns": path})
    assert [one["id"] for one in tables.listed()] == ["towns"]

    def read_nothing(content, name, out):
        out.touch()
        return {"columns": [], "bounds": [], "rows": 0}

    def read_without_room(content, name, out):
        raise OSError(errno.ENOSPC, "No space left on device", str(out))

    monkeypatch.setattr("geotether.serving.points.read_upload", read_nothing)
    used = tables.add(io.BytesIO(), "x.csv")
    first, second = used.id, tables.add(io.BytesIO(), "x.csv").id
    assert tables.get(second).name == "x.csv"
    with pytest.raises(Problem) as forgotten:  # by a request that had it before it was forgotten
        used.geojson()
    assert forgotten.value.status_code == 404
    shutil.rmtree(tables.get(second).file.parent)  # by a program that cleans /tmp
    assert tables.add(io.BytesIO(), "y.csv").name == "y.csv"
    assert tables.get("towns").rows == COUNT
    monkeypatch.setattr("geotether.serving.points.read_upload", read_without_room)
    with pytest.raises(Problem) as full:
        tables.add(io.BytesIO(), "z.csv")
    assert (full.value.status_code, "Retry-After" in full.value.headers) == (503, True)
    with pytest.raises(Exception, match="send the file again"):
        tables.get(first)


def bomb(rows):
    packed = io.BytesIO()
    pq.write_table(pa.table({"lon": np.zeros(rows), "lat": np.zeros(rows)}), packed)
    return packed.getvalue()


def nested_bomb():
    """Make one row with a list of 30 million zeros: a few kilobytes."""
    lists = pa.ListArray.from_arrays([0, 30_000_000], pa.array(np.zeros(30_000_000)))
    packed = io.BytesIO()
    pq.write_table(pa.table({"lon": [1.0], "lat": [1.0], "list": lists}), packed, compression="zstd")
    return packed.getvalue()


def database(*statements, application=0x47504B47):
    with sqlite3.connect(":memory:") as made:
        made.execute(f"PRAGMA application_id = {application}")
        made.execute("PRAGMA user_version = 10300")
        for one in statements:
            made.execute(one)
        return made.serialize()


def two_layers():
    pyogrio = pytest.importorskip("pyogrio")
    import shapely

    with tempfile.TemporaryDirectory() as folder:
        for name in "ab":
            points = shapely.to_wkb(shapely.points([[1.0, 2.0]]))
            pyogrio.raw.write(
                f"{folder}/made.gpkg", points, [np.array([1])], ["x"], layer=name, driver="GPKG",
                geometry_type="Point", crs="EPSG:4326", append=name == "b",
            )  # fmt: skip
        return Path(f"{folder}/made.gpkg").read_bytes()


VRT = b"<OGRVRTDataSource><OGRVRTLayer><SrcDataSource>/etc/passwd</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>"
ENTITY = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><kml>&x;</kml>'
LAYER = ["CREATE TABLE a (x)"]
VIEW = "CREATE VIEW v AS SELECT load_extension('/tmp/x') AS y FROM a"
WIDE = json.dumps([{"lon": 1, "lat": 1} | dict.fromkeys(map(str, range(600)), 1)]).encode()
INIT = b'{"type":"FeatureCollection","crs":{"properties":{"name":"+init=/etc/passwd:x"}},"features":[]}'
HOSTILE = {
    "ending": ("towns.xlsx", b"PK\3\4", 415, ".csv"),
    "no ending": ("towns", b"lon,lat\n1,2\n", 415, ".csv"),
    "pickle": ("towns.npy", pickle.dumps([1]), 415, ".csv"),
    "vrt": ("towns.vrt", VRT, 415, ".csv"),
    "kml": ("towns.kml", ENTITY, 415, ".csv"),
    "bare shapefile": ("towns.shp", b"", 415, ".zip"),
    "vrt as gpkg": ("towns.gpkg", VRT, 422, "not a .gpkg"),
    "vrt as fgb": ("towns.fgb", VRT, 422, "not a .fgb"),
    "vrt as csv": ("towns.csv", VRT, 422, "towns.csv"),
    "xml as geojson": ("towns.geojson", ENTITY, 422, "FeatureCollection"),
    "vrt as shapefile": ("towns.zip", zipped({"a.shp": VRT}), 422, "not a Shapefile"),
    "zip of a vrt": ("towns.zip", zipped({"a.vrt": VRT, "../../b.csv": HEADER}), 422, "no Shapefile"),
    "zip of two": ("towns.zip", zipped({"a.shp": b"", "b.shp": b""}), 422, "2 Shapefiles"),
    "not a zip": ("towns.zip", b"PK nothing", 422, "cannot be unpacked"),
    "zip bomb": ("towns.zip", zipped({"a.shp": b"\0" * 10_000_000}), 413, "unpacked"),
    "gzip bomb": ("towns.csv.gz", gzip.compress(HEADER.encode() + b"1,2,3\n" * 2_000_000), 413, "unpacked"),
    "truncated gzip": ("towns.csv.gz", gzip.compress(HEADER.encode() * 99)[:40], 422, "cannot be unpacked"),
    "other database": ("towns.gpkg", database(*LAYER, application=1), 422, "not a .gpkg"),
    "empty geopackage": ("towns.gpkg", database(*LAYER), 422, "towns.gpkg"),
    "half a geopackage": ("towns.gpkg", database(*LAYER)[:3000], 422, "towns.gpkg"),
    "view": ("towns.gpkg", database(*LAYER, VIEW), 422, "views"),
    "virtual table": ("towns.gpkg", database("CREATE VIRTUAL TABLE v USING fts4(x)"), 422, "virtual tables"),
    "columns": ("towns.csv", b",".join(b"c%d" % at for at in range(100_000)), 413, "columns"),
    "columns of json": ("t.json", WIDE, 413, "602 columns"),
    "rows": ("towns.csv", HEADER.encode() + b"1,2,3\n" * 2000, 413, "2,000 rows"),
    "rows of parquet": ("towns.parquet", bomb(10**6), 413, "1,000,000 rows"),
    "not a parquet": ("towns.parquet", b"PAR1" + b"\xff" * 80 + b"PAR1", 422, "towns.parquet"),
    "deep json": ("towns.geojson", b"[" * 200_000, 422, "nested"),
    "proj string": ("t.geojson", INIT, 422, "CRS"),
    "no places": ("towns.csv", b"a,b\n1,2\n", 422, "'a', 'b'"),
    "two longitudes": ("towns.csv", b"site_lon,home_lon,lat\n1,2,3\n", 422, "rename one"),
    "no CRS": ("towns.csv", b"wkt,a\nPOINT (1 2),3\n", 422, "into the file"),
    "two layers": ("towns.gpkg", two_layers(), 422, "one of them"),
    "swapped": ("towns.csv", b"lon,lat\n10,120\n20,130\n", 422, "towns.csv"),
    "empty": ("towns.csv", b"", 422, "is empty"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_not_a_table_of_points_is_a_clear_error(case, tmp_path, monkeypatch):
    name, content, status, said = HOSTILE[case]
    monkeypatch.setattr(uploads, "MOST_BYTES", 5_000_000)
    monkeypatch.setattr(uploads, "MOST_ROWS", 1000)
    with pytest.raises((UploadError, ValueError)) as caught:
        read(content, name, tmp_path)
    assert getattr(caught.value, "status", 422) == status
    text = uploads.for_client(str(caught.value), tmp_path / f"points{Path(name).suffix}", name)
    assert said in text
    assert str(tmp_path) not in text
    assert "root:" not in text
    assert not re.search(r"--|(lon|lat|crs|layer)=", text)


def test_reading_is_limited_in_time_and_memory(monkeypatch, tmp_path):
    monkeypatch.setattr(uploads, "SECONDS", 0.05)
    with pytest.raises(UploadError, match="seconds") as caught:
        uploads.read_upload(io.BytesIO(b"lon,lat\n1,2\n"), "a.csv", tmp_path / "a.arrow")
    assert caught.value.status == 413
    monkeypatch.undo()
    monkeypatch.setattr(uploads, "MEMORY_BYTES", 400_000_000)
    with pytest.raises(UploadError, match="memory") as caught:
        uploads.read_upload(io.BytesIO(nested_bomb()), "a.parquet", tmp_path / "a.arrow")
    assert caught.value.status in (413, 422)
    assert not list(tmp_path.iterdir())
