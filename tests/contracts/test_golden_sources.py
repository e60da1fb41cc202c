"""Tables that every source builds, row by row as recorded.

The inputs are written by the tests from seeds; what `geotether table build` makes of them is compared with
tests/data/golden/sources.json. A change that is meant to alter it records it again, and its commit says which and why:

    GEOTETHER_RECORD=1 python -m pytest tests/contracts/test_golden_sources.py
"""

import io
import json
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

TOLERANCE = 1e-4
ROWS = 36
PLACES = "lon,lat,site,day"
META = (
    '<archive xmlns="http://rs.tdwg.org/dwc/text/"><core encoding="UTF-8" fieldsTerminatedBy="\\t" '
    'linesTerminatedBy="\\n" ignoreHeaderLines="1" rowType="http://rs.tdwg.org/dwc/terms/Occurrence"><files><location>'
    'occurrence.txt</location></files><id index="0"/><field index="0" term="http://rs.gbif.org/terms/1.0/gbifID"/>{}'
    "</core></archive>"
)


def content_of(path):
    """Every column of a table in full, but for features: their width, and three numbers of each of their columns."""
    found = {}
    table = pq.read_table(path)
    for name, column in zip(table.column_names, table.columns, strict=True):
        if name == "features":
            features = np.array(column.to_pylist(), dtype=np.float64)
            directions = np.random.default_rng(0).standard_normal(len(features)) / np.sqrt(len(features))
            found["dim"] = features.shape[1]
            found["sums"] = features.sum(0).tolist()
            found["sums of squares"] = (features**2).sum(0).tolist()
            found["projections"] = (directions @ features).tolist()
        elif name != "geometry":
            rows = column.to_pylist()
            found[name] = rows if isinstance(rows[0], int | float | bool | str | None) else [str(row) for row in rows]
    return {"rows": table.num_rows, **found}


@pytest.fixture
def built(geotether, same_as_recorded, tmp_path):
    """Build a table and compare it with the one recorded."""

    def build(key, source, *settings):
        out = tmp_path / "built.parquet"
        given = [part for setting in settings for part in ("--set", setting)]
        geotether("table", "build", source, "--out", out, "--name", "things", "--workers", 1, *given)
        same_as_recorded("sources.json", key, content_of(out), TOLERANCE)

    return build


@pytest.fixture
def drawn():
    """Places and attributes: a column of each kind, with gaps."""
    rng = np.random.default_rng(11)
    lon, lat = rng.uniform(-170, 170, ROWS).round(4), rng.uniform(-60, 75, ROWS).round(4)
    kind = np.array(["oak", "beech"])[np.arange(ROWS) % 5 // 3].tolist()
    height = [None if row == 7 else value for row, value in enumerate(rng.uniform(1, 30, ROWS).round(2).tolist())]
    day = [f"20{18 + row % 6}-0{1 + row % 9}-1{row % 9}T0{row % 7}:30:00Z" for row in range(ROWS)]
    flags = (rng.random(ROWS) < 0.4).tolist()
    return {"lon": lon.tolist(), "lat": lat.tolist(), "kind": kind, "height": height, "day": day, "wet": flags}


@pytest.fixture
def places(drawn, tmp_path):
    """A file of places with names and dates, one of them outside the world."""
    rows = [f"{x},{y},s{n},{day[:10]}" for n, (x, y, day) in enumerate(of(drawn, "lon", "lat", "day"))]
    (tmp_path / "places.csv").write_text("\n".join([PLACES, *rows, "400,0,far,2020-01-01"]) + "\n")
    return tmp_path / "places.csv"


def of(drawn, *names):
    return zip(*(drawn[name] for name in names), strict=True)


def cell(value):
    return "" if value is None else str(value)


ATTRIBUTES = ("id=name", "time=day", "labels=[kind, height]", "split.block_km=300")


def test_csv(drawn, built, tmp_path):
    names = list(drawn)
    rows = [",".join([f"n{row}", *map(cell, values)]) for row, values in enumerate(of(drawn, *names))]
    text = "\n".join([",".join(["name", *names]), *rows, "odd,12,95,oak,3.5,2020-01-01,true"]) + "\n"
    (tmp_path / "trees.csv").write_text(text)
    built("csv", tmp_path / "trees.csv", *ATTRIBUTES)


def test_csv_of_another_crs_and_with_choices(drawn, built, tmp_path):
    pytest.importorskip("pyproj")
    rows = [
        f"{500000 + 1000 * row};{5600000 - 2000 * row};{kind};{cell(height).replace('.', ',')}"
        for row, (kind, height) in enumerate(of(drawn, "kind", "height"))
    ]
    (tmp_path / "trees.csv").write_text("\n".join(["x;y;kind;height", *rows]) + "\n")
    settings = ("crs=EPSG:32632", "where={kind: oak}", "features.numeric=[height]", "features.missing=fill")
    built("csv in metres", tmp_path / "trees.csv", *settings, "split=null")


def test_geojson(drawn, built, tmp_path):
    def shape(row, x, y):
        if row % 3:
            return {"type": "Point", "coordinates": [x, y]}
        return {"type": "Polygon", "coordinates": [[[x, y], [x + 2, y], [x + 1, y + 3], [x, y]]]}

    names = [name for name in drawn if name not in ("lon", "lat")]
    features = [
        {
            "type": "Feature",
            "geometry": shape(row, drawn["lon"][row], drawn["lat"][row]),
            "properties": {"name": f"n{row}"} | {name: drawn[name][row] for name in names},
        }
        for row in range(ROWS)
    ]
    text = json.dumps({"type": "FeatureCollection", "features": features})
    (tmp_path / "trees.geojson").write_text(text)
    built("geojson", tmp_path / "trees.geojson", *ATTRIBUTES)


def test_parquet(drawn, built, tmp_path):
    days = pa.array(np.array([day.removesuffix("Z") for day in drawn["day"]], "M8[ms]")).cast(pa.timestamp("ms", "UTC"))
    columns = {"name": [f"n{row}" for row in range(ROWS)], **drawn, "day": days}
    pq.write_table(pa.table(columns), tmp_path / "trees.parquet")
    built("parquet", tmp_path / "trees.parquet", *ATTRIBUTES, "encode_time=[day_of_year, hour, year]")


def test_geopackage(drawn, built, tmp_path):
    geopandas = pytest.importorskip("geopandas")
    columns = {"name": [f"n{row}" for row in range(ROWS)]} | {key: drawn[key] for key in ("kind", "height", "day")}
    points = geopandas.points_from_xy(drawn["lon"], drawn["lat"], crs="EPSG:4326").to_crs("EPSG:3857")
    geopandas.GeoDataFrame(columns, geometry=points).to_file(tmp_path / "trees.gpkg", layer="trees")
    built("geopackage", tmp_path / "trees.gpkg", *ATTRIBUTES)


def test_darwin_core_archive(drawn, built, tmp_path):
    terms = ("decimalLongitude", "decimalLatitude", "class", "family", "eventDate", "coordinateUncertaintyInMeters")
    columns = ("lon", "lat", "kind", "kind", "day")
    rows = ["\t".join([str(row), *map(cell, values), str(100 * row)]) for row, values in enumerate(of(drawn, *columns))]
    rows += ["90\t0\t0\toak\toak\t2020\t1", "91\t4\t5\toak\toak\t2020-02\t1"]
    fields = (f'<field index="{at}" term="http://rs.tdwg.org/dwc/terms/{term}"/>' for at, term in enumerate(terms, 1))
    with zipfile.ZipFile(tmp_path / "gbif.zip", "w") as archive:
        archive.writestr("meta.xml", META.format("".join(fields)))
        archive.writestr("occurrence.txt", "\n".join(["\t".join(["gbifID", *terms]), *rows]) + "\n")
    built("darwin core", tmp_path / "gbif.zip", "max_uncertainty_m=3000", "tolerance=0.5", "features.min_count=5")


def test_texts(drawn, built, tmp_path):
    rows = [
        json.dumps({"lon": x, "lat": y, "name": f"n{row}", "text": f"A {kind} of {height} m", "more": f"wet {wet}"})
        for row, (x, y, kind, height, wet) in enumerate(of(drawn, "lon", "lat", "kind", "height", "wet"))
    ]
    (tmp_path / "notes.jsonl").write_text("\n".join([*rows, '{"lon": 1, "lat"']) + "\n")
    built("texts", tmp_path / "notes.jsonl", "also=[more]", "id=name", "features.dim=5")


def test_vectors(drawn, built, tmp_path, places):
    values = np.random.default_rng(3).standard_normal((ROWS, 5))
    lists = pa.array(values.astype(np.float32).tolist(), pa.list_(pa.float32()))
    pq.write_table(pa.table({"lon": drawn["lon"], "lat": drawn["lat"], "embedding": lists}), tmp_path / "v.parquet")
    built("vectors in a list", tmp_path / "v.parquet", "features.standardise=true", "features.dim=3")
    columns = {f"A{at:02d}": column for at, column in enumerate(values.T)}
    pq.write_table(pa.table({"lon": drawn["lon"], "lat": drawn["lat"], **columns}), tmp_path / "c.parquet")
    built("vectors in columns", tmp_path / "c.parquet", "source=vectors", "column='A??'", "features.normalise=true")
    np.save(tmp_path / "v.npy", np.concatenate([values, values[:1]]))
    built("vectors in an array", tmp_path / "v.npy", f"positions={places}", "id=site", "time=day")


WORLD = np.random.default_rng(5).normal(10, 3, (2, 36, 72)).astype(np.float32)
WORLD[:, :4, 10:30] = np.nan
RASTERS = {
    "value": ("bands=[1]",),
    "bilinear": ("resampling=bilinear",),
    "cells": ("take=window", "pixels=5", "features.num_filters=3"),
    "ground": ("take=window", "km=900", "size=6", "resampling=bilinear", "fill=nearest", "features.num_filters=3"),
    "statistics": ("take=statistics", "km=1500", "statistics=[mean, std, median, missing]"),
}


def write_geotiff(path):
    rasterio = pytest.importorskip("rasterio")
    size = {"width": 72, "height": 36, "count": 2, "dtype": "float32", "nodata": float("nan")}
    grid = rasterio.Affine(5, 0, -180, 0, -5, 90)
    with rasterio.open(path, "w", "GTiff", crs="EPSG:4326", transform=grid, **size) as file:
        file.write(WORLD)
        file.descriptions = ("rain", "heat")


@pytest.mark.parametrize("take", RASTERS)
def test_geotiff(built, tmp_path, places, take):
    write_geotiff(tmp_path / "world.tif")
    settings = (f"places={places}", "id=site", "time=day", "tolerance=0.2", "split.block_km=300")
    built(f"geotiff {take}", tmp_path / "world.tif", *settings, *RASTERS[take])


def test_geotiff_at_sampled_places(built, tmp_path):
    write_geotiff(tmp_path / "world.tif")
    built("geotiff sampled", tmp_path / "world.tif", "sample=40", "seed=4", "latitudes=[-50, 70]", "split=null")


@pytest.mark.parametrize("ending", ["nc", "nc4", "zarr"])
def test_netcdf_and_zarr(built, tmp_path, places, ending):
    xarray = pytest.importorskip("xarray")
    lon, lat = np.arange(2.5, 360, 5), np.arange(-87.5, 90, 5)  # eastward from Greenwich, from the south
    stack = np.stack([np.nan_to_num(WORLD, nan=8.0), np.nan_to_num(WORLD, nan=8.0) + 1], axis=1)
    axes = ("time", "latitude", "longitude")
    variables = {name: (axes, stack[at], {"units": "1"}) for at, name in enumerate(("rain", "heat"))}
    times = np.array(["2020-01-01", "2020-07-01"], dtype="datetime64[ns]")
    dataset = xarray.Dataset(variables, {"time": times, "latitude": lat, "longitude": lon})
    dataset["latitude"].attrs["units"], dataset["longitude"].attrs["units"] = "degrees_north", "degrees_east"
    path = tmp_path / f"climate.{ending}"
    if ending == "zarr":
        pytest.importorskip("zarr")
        dataset.to_zarr(path, zarr_format=3, consolidated=False)
    elif ending == "nc4":
        pytest.importorskip("h5netcdf")
        dataset.to_netcdf(path, engine="h5netcdf")
    else:
        dataset.to_netcdf(path, engine="scipy")
    settings = (f"places={places}", "variable=heat", "tolerance=0.2", "split=null", "id=site")
    built(f"{ending}, both months", path, *settings)
    built(f"{ending}, July around", path, *settings, 'select={time: "2020-07"}', "take=statistics", "pixels=3")


def picture(seed, side):
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (side, side + 4, 3), dtype=np.uint8))


def test_images_with_gps(built, tmp_path):
    (tmp_path / "photos").mkdir()
    for number in range(20):
        exif = Image.Exif()
        place = {1: "NS"[number % 2], 2: (float(2 * number), 30.0, 0.0), 3: "EW"[number % 3 % 2]}
        exif[0x8825] = place | {4: (float(5 * number), 15.0, 36.0), 29: "2020:05:17", 7: (8.0, 30.0, 0.0)}
        picture(number, 12).save(tmp_path / "photos" / f"{number:02d}.png", exif=exif)
    picture(99, 12).save(tmp_path / "photos" / "nowhere.png")
    settings = ("size=8", "mode=RGB", "features.num_filters=3", "tolerance=0.2", "split.block_km=300")
    built("images with GPS", tmp_path / "photos", *settings)


def test_images_of_an_index(drawn, built, tmp_path):
    (tmp_path / "photos").mkdir()
    rows = []
    for row, (x, y, day, kind) in enumerate(of(drawn, "lon", "lat", "day", "kind")):
        picture(row, 8).convert("L").save(tmp_path / "photos" / f"{row}.png")
        rows.append(f"{row}.png,{x},{y},{day},{kind}")
    (tmp_path / "photos.csv").write_text("\n".join(["file,lon,lat,day,kind", *rows]) + "\n")
    settings = (f"index={tmp_path / 'photos.csv'}", "time=day", "labels=[kind]", "size=8", "features.num_filters=3")
    built("images of an index", tmp_path / "photos", *settings)


def test_images_in_a_column(drawn, built, tmp_path):
    data = []
    for row in range(ROWS):
        file = io.BytesIO()
        picture(row, 8).save(file, "PNG")
        data.append(file.getvalue() if row else b"broken")
    table = pa.table({"lon": drawn["lon"], "lat": drawn["lat"], "png": pa.array(data, pa.binary())})
    pq.write_table(table, tmp_path / "chips.parquet", row_group_size=10)
    built("images in a column", tmp_path / "chips.parquet", "features.num_filters=3", "tolerance=0.2")


def test_sentinel2(drawn, built, tmp_path):
    rasterio = pytest.importorskip("rasterio")
    (tmp_path / "s2" / "images").mkdir(parents=True)
    rows = []
    for row, (x, y) in enumerate(of(drawn, "lon", "lat")):
        if row < 12:
            cells = np.random.default_rng(row).integers(0, 4000, (12, 8, 8), dtype=np.uint16)
            grid = rasterio.Affine(0.0001, 0, x, 0, -0.0001, y)
            size = {"width": 8, "height": 8, "count": 12, "dtype": "uint16", "crs": "EPSG:4326", "transform": grid}
            with rasterio.open(tmp_path / "s2" / "images" / f"patch_{row}.tif", "w", "GTiff", **size) as file:
                file.write(cells)
            rows.append(f"patch_{row}.tif,{x},{y}")
    (tmp_path / "s2" / "index.csv").write_text("\n".join(["fn,lon,lat", *rows]) + "\n")
    built("sentinel-2", tmp_path / "s2", "min_bytes=100", "features.num_filters=3")
