"""Every format by every reader of files gives the same longitude, latitude and time; every form of a date likewise."""

import contextlib
import datetime
import gzip
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from geotether.files.geometry import with_geometry
from geotether.files.points import read_points
from geotether.files.rows import column_names
from geotether.geodesy.dates import times_of
from geotether.pairing.open import open_paired
from geotether.sources.grids.raster_places import given_places
from geotether.sources.pictures.images import ImagesSource
from geotether.sources.records.columns import ColumnsSource
from geotether.sources.records.vectors import VectorsSource
from geotether.tasks.table import table_task

gpd = pytest.importorskip("geopandas")
shapely = pytest.importorskip("shapely")
pyproj = pytest.importorskip("pyproj")

PLACES = np.array([[5.66, 51.97], [4.9, 52.37], [6.57, 53.22]])
DAYS = ["2024-06-15", "1999-12-31", "2000-01-01"]
TIMES = np.array(DAYS, "datetime64[ms]")
ROWS = {"size": [1.5, 2.5, 3.5], "file": ["a.png", "b.png", "c.png"], "when": DAYS}
DUTCH = pyproj.Transformer.from_crs("OGC:CRS84", "EPSG:28992", always_xy=True)


def as_text(path, mark=",", comma=False):
    rows = [["lon", "lat", *ROWS], *zip(*PLACES.T.tolist(), *ROWS.values(), strict=True)]
    text = "".join(mark.join(map(str, row)) + "\n" for row in rows)
    text = text.replace(".", ",").replace(",png", ".png") if comma else text
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


def as_json(path, geometry=False, collection=False):
    rows = [dict(zip(ROWS, row, strict=True)) for row in zip(*ROWS.values(), strict=True)]
    points = [{"type": "Point", "coordinates": place} for place in PLACES.tolist()]
    if geometry:
        rows = [{"type": "Feature", "geometry": p, "properties": r} for p, r in zip(points, rows, strict=True)]
    else:
        rows = [{"lon": x, "lat": y, **row} for (x, y), row in zip(PLACES.tolist(), rows, strict=True)]
    whole = json.dumps({"type": "FeatureCollection", "name": "x", "features": rows, "more": [1, {"a": 2}]}, indent=1)
    text = whole if collection else "\n".join(map(json.dumps, rows))
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


def as_frame(path, crs=4326, shapes=None):
    frame = gpd.GeoDataFrame(ROWS, geometry=gpd.points_from_xy(*PLACES.T) if shapes is None else shapes, crs=4326)
    frame = frame.to_crs(crs)
    frame.to_parquet(path) if path.suffix == ".parquet" else frame.to_file(path)


def boxes():
    """Polygons whose point on the surface is their centre."""
    return [shapely.box(x - 0.1, y - 0.1, x + 0.1, y + 0.1) for x, y in PLACES]


def as_parquet(path, geometry=False, **options):
    table = pa.table(ROWS)
    if geometry:
        table = with_geometry(table, PLACES)
    else:
        table = table.append_column("Longitude", [PLACES[:, 0]]).append_column("latitude", [PLACES[:, 1]])
        table = table.append_column("x", [[1e6] * 3]).append_column("y", [[1e6] * 3])  # degrees by name come first
    pq.write_table(table, path, **options)


FORMATS = {
    "p.csv": as_text,
    "p.csv.gz": as_text,
    "semicolon.csv": lambda path: as_text(path, ";", comma=True),
    "p.tsv": lambda path: as_text(path, "\t"),
    "p.txt": lambda path: as_text(path, "|"),
    "p.parquet": as_parquet,
    "p.pq": lambda path: as_parquet(path, row_group_size=2),
    "p.geoparquet": lambda path: as_parquet(path, geometry=True),
    "p.geojson": lambda path: as_json(path, geometry=True, collection=True),
    "p.geojsonl": lambda path: as_json(path, geometry=True),
    "p.jsonl": as_json,
    "p.ndjson.gz": as_json,
    "p.gpkg": as_frame,
    "p.shp": as_frame,
    "p.fgb": as_frame,
    "metres.gpkg": lambda path: as_frame(path, 28992),
    "metres.shp": lambda path: as_frame(path, 28992),
    "metres.parquet": lambda path: as_frame(path, 3857),
    "polygons.gpkg": lambda path: as_frame(path, shapes=boxes()),
    "polygons.parquet": lambda path: as_frame(path, shapes=boxes()),
}


def by_table(path, folder):
    source = ColumnsSource(path, time="when")
    source.prepare(folder)
    seen = source.read(0, 9)
    if seen.rejected:
        raise ValueError(seen.rejected)
    assert {"size", "file", "when"} <= {*seen.content.column_names}
    part = source.read(1, 2)
    assert (part.row.tolist(), part.content.to_pylist()) == ([1], seen.content.to_pylist()[1:2])
    return seen.lonlat, seen.time


def by_vectors(path, folder):
    source = VectorsSource(path, column=["size"], time="when")
    source.prepare(folder)
    seen = source.read(0, 9)
    return seen.lonlat, seen.time


def by_points(path, folder):
    records = read_points(path)
    return records.lonlat, times_of(records.columns["when"])[0]


def by_task(path, folder):
    task = table_task(path, "size", time="when")
    return task.lonlat, task.time


def by_raster(path, folder):
    places = given_places(path, time="when")
    return places.lonlat, places.time


def by_pairing(path, folder):
    spec = {"path": str(path), "time": "when", "modalities": {"size": {"kind": "vector", "columns": ["size"]}}}
    names = column_names(path)
    if "geometry" not in names:  # paired data may have no places: columns of coordinates are named
        known = {"lon": {"lon", "Longitude"}, "lat": {"lat", "latitude"}}
        spec |= {axis: next(name for name in names if name in wanted) for axis, wanted in known.items()}
    table = open_paired(spec)
    return table.lonlat, table.time


def by_images(path, folder):
    for name in ROWS["file"]:
        Image.new("RGB", (8, 8)).save(path.parent / name)
    source = ImagesSource(path.parent, index=path, time="when")
    source.prepare(folder)
    seen = source.read(0, 9)
    if seen.rejected:
        raise ValueError(seen.rejected)
    return seen.lonlat, seen.time


READERS = [by_table, by_vectors, by_points, by_task, by_raster, by_pairing, by_images]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
def test_every_format_by_every_reader(tmp_path, name, read):
    (tmp_path / "job").mkdir()
    FORMATS[name](tmp_path / name)
    lonlat, time = read(tmp_path / name, tmp_path / "job")
    order = np.argsort(lonlat[:, 1])  # a FlatGeobuf is sorted by place
    np.testing.assert_allclose(lonlat[order], PLACES, atol=1e-8)
    np.testing.assert_array_equal(np.asarray(time, "datetime64[ms]")[order], TIMES)


FORMS = {
    "year": (["1999"], "1999-01-01"),
    "month": (["2020-01"], "2020-01-01"),
    "day": (["2020-01-31"], "2020-01-31"),
    "digits": (["20240131"], "2024-01-31"),
    "zone in a text": (["2020-01-31T01:00:00+02:00"], "2020-01-30T23:00"),
    "utc": (["2020-01-31T01:00:00Z"], "2020-01-31T01:00"),
    "space": (["2020-01-31 01:30"], "2020-01-31T01:30"),
    "slashes": (["2024/06/15"], "2024-06-15"),
    "range": (["2024-06-15/2024-06-20"], "2024-06-15"),
    "year as a number": ([1999], "1999-01-01"),
    "digits as a number": ([20240131], "2024-01-31"),
    "year as a float": ([1999.0], "1999-01-01"),
    "date32": ([datetime.date(2020, 1, 31)], "2020-01-31"),
    "date64": (pa.array([datetime.date(2020, 1, 31)], pa.date64()), "2020-01-31"),
    "timestamp": (pa.array([datetime.datetime(2020, 1, 31, 1)], pa.timestamp("ns")), "2020-01-31T01:00"),
    "zoned timestamp": (
        pa.array([datetime.datetime(2020, 1, 31, 1)], pa.timestamp("us", "+02:00")),
        "2020-01-31T01:00",
    ),
    "category": (pa.array(["2020-01"]).dictionary_encode(), "2020-01-01"),
    "seconds": ([1577836800], None),
    "milliseconds": ([1577836800000], None),
    "word": (["spring"], None),
    "month or range": (["2024/06"], None),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
def test_every_form_of_a_date_by_every_reader(tmp_path, read, form):
    """Values that are not dates are rejected or refused, and never read as another date."""
    (tmp_path / "job").mkdir()
    given, want = FORMS[form]
    day = pa.array(given) if isinstance(given, list) else given
    days = pa.concat_arrays([day, day.slice(0, 1)])
    table = {"Longitude": [1.0, 2.0], "latitude": [3.0, 4.0], "size": [1.0, 2.0], "file": ["a.png", "b.png"]}
    pq.write_table(pa.table({**table, "when": days}), tmp_path / "dates.parquet")
    time = None
    with contextlib.suppress(ValueError if want is None else ()):
        time = read(tmp_path / "dates.parquet", tmp_path / "job")[1]
    if want is None:
        assert time is None or np.isnat(time).all()
    else:
        assert np.asarray(time, "datetime64[ms]").tolist() == [np.datetime64(want, "ms").item()] * 2
