"""Exports opened by the libraries that their readers use."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import geotether
from geotether.exporting import export as room
from geotether.exporting.export import export

SRC = Path(geotether.__file__).parents[1]
BOX = (170.0, -50.0, -170.0, -30.0)  # across the antimeridian
TRIANGLE = "triangle.geojson"


@pytest.fixture
def region(tmp_path):
    """A polygon that leaves out half of its box."""
    ring = [[0, 0], [40, 0], [0, 40], [0, 0]]
    shape = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    (tmp_path / TRIANGLE).write_text(json.dumps({"type": "FeatureCollection", "features": [shape]}))
    return tmp_path / TRIANGLE


@pytest.fixture
def encoder(small_model):
    return geotether.load(small_model)


def quiet(*arguments, **options):
    return export(*arguments, **{"progress": "none", **options})


def test_a_cog_has_the_embedding_of_each_pixel(small_model, encoder, region, tmp_path):
    import rasterio

    done = quiet(small_model, tmp_path / "a.tif", region, 1)
    with rasterio.open(done.path) as file:
        assert file.descriptions == tuple(f"e{number}" for number in range(8))
        assert file.tags()["model"] == "small"
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        values = file.read()
        lon, lat = rasterio.transform.xy(file.transform, *np.indices(file.shape).reshape(2, -1))
    lon, lat = np.array(lon), np.array(lat)
    inside = lon + lat <= 40
    np.testing.assert_array_equal(np.isfinite(values).all(axis=0).ravel(), inside)
    expected = encoder.encode(lon=lon[inside], lat=lat[inside])
    np.testing.assert_allclose(values.reshape(8, -1).T[inside], expected, atol=1e-5)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["a.tif", "a.tif.sha256", "a.tif.stac.json", TRIANGLE]


def test_a_cog_across_the_antimeridian_in_metres(small_model, encoder, tmp_path):
    import rasterio
    import rasterio.warp

    done = quiet(small_model, tmp_path / "a.tif", BOX, "100km", dtype="int8")
    with rasterio.open(done.path) as file:
        assert file.crs.is_projected
        assert file.nodata == -128
        values = file.read() * np.array(file.scales)[:, None, None] + np.array(file.offsets)[:, None, None]
        known = file.read_masks(1) > 0
        xy = rasterio.transform.xy(file.transform, *np.nonzero(known))
        lon, lat = (np.array(axis) for axis in rasterio.warp.transform(file.crs, "EPSG:4326", *xy))
    assert (lon > 175).any()
    assert (lon < -175).any()
    assert (np.abs(lon) >= 170).all()
    exact = encoder.encode(lon=lon, lat=lat)
    steps = np.array([band.scale for band in done.coding.bands])
    assert (np.abs(values[:, known].T - exact) <= 0.51 * steps).all()
    assert 0 < done.coding.notes["similarity_loss"]["max"] < 0.02
    item = json.loads(done.item.read_text())
    assert item["bbox"] == [170.0, -50.0, -170.0, -30.0]
    assert item["geometry"]["type"] == "MultiPolygon"


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_xarray_reads_a_zarr_store(small_model, encoder, tmp_path, dtype):
    xr = pytest.importorskip("xarray")
    done = quiet(small_model, tmp_path / "a.zarr", BOX, 0.05, dtype=dtype)
    with xr.open_zarr(done.path, consolidated=False) as data:
        assert data.embedding.dims == ("band", "lat", "lon")
        assert data.embedding.shape == (8, 400, 400)
        assert data.crs.attrs["grid_mapping_name"] == "latitude_longitude"
        assert data.lat.attrs["units"] == "degrees_north"
        some = data.embedding.isel(lat=[0, 200, 399], lon=[0, 200, 399]).load()
        if dtype == "int8":
            some = some * data.scale + data.offset
            some = some.transpose("band", "lat", "lon")
        lon, lat = np.meshgrid(some.lon, some.lat)
    expected = encoder.encode(lon=(lon.ravel() + 180) % 360 - 180, lat=lat.ravel())
    allowed = {"float32": 1e-5, "float16": 2e-3, "int8": 2 * max(band.scale for band in done.coding.bands)}[
        dtype
    ]  # extremes are cut
    np.testing.assert_allclose(some.values.reshape(8, -1).T, expected, atol=allowed)
    with (
        xr.open_zarr(done.path, group="overview_2", consolidated=False) as half,
        xr.open_zarr(done.path, consolidated=False) as data,
    ):
        expected = data.embedding.coarsen(lat=2, lon=2).mean()
        xr.testing.assert_allclose(half.lat, expected.lat)
        assert np.abs(half.embedding - expected.values).max() <= {"float32": 1e-5, "float16": 4e-3, "int8": 0.51}[dtype]


def test_a_zarr_store_names_the_conventions_of_geozarr(small_model, region, tmp_path):
    zarr = pytest.importorskip("zarr", minversion="3")
    quiet(small_model, tmp_path / "a.zarr", region, "20km")
    group = zarr.open_group(tmp_path / "a.zarr", mode="r", zarr_format=3)
    assert [one["name"] for one in group.attrs["zarr_conventions"]] == ["proj", "spatial"]
    assert "laea" in group.attrs["proj:wkt2"].lower() or "Lambert Azimuthal" in group.attrs["proj:wkt2"]
    assert group["embedding"].attrs["spatial:dimensions"] == ["y", "x"]
    assert group.attrs["spatial:shape"] == list(group["embedding"].shape[1:])
    assert np.isnan(group["embedding"][:]).any()


@pytest.mark.parametrize("cells", ["h3:3", "healpix:32"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_geopandas_and_duckdb_read_cells(small_model, encoder, region, tmp_path, cells, dtype):
    duckdb, geopandas = pytest.importorskip("duckdb"), pytest.importorskip("geopandas")
    done = quiet(small_model, tmp_path / "a.parquet", region, cells=cells, dtype=dtype)
    frame = geopandas.read_parquet(done.path)
    name = cells.partition(":")[0]
    assert list(frame) == ["geometry", name, "embedding"]
    assert frame.crs.equals("OGC:CRS84")
    vectors = np.stack(frame.embedding).astype(np.float64)
    if dtype == "int8":
        bands = done.coding.bands
        vectors = vectors * [band.scale for band in bands] + [band.offset for band in bands]
    exact = encoder.encode(lon=frame.geometry.x, lat=frame.geometry.y)
    allowed = {"float32": 1e-6, "float16": 2e-3, "int8": 0.51 * max(band.scale for band in done.coding.bands)}[dtype]
    np.testing.assert_allclose(vectors, exact, atol=allowed)
    rows = duckdb.sql(f"select count(*), count(distinct {name}), min(len(embedding)) from '{done.path}'").fetchall()
    assert rows[0] == (len(frame), len(frame), 8)


@pytest.mark.skipif(shutil.which("gdalinfo") is None, reason="gdalinfo is not installed")
def test_gdalinfo_reads_a_cog(small_model, region, tmp_path):
    quiet(small_model, tmp_path / "a.tif", region, 1)
    told = subprocess.run(["gdalinfo", "-json", tmp_path / "a.tif"], capture_output=True, text=True, check=True)
    assert [band["description"] for band in json.loads(told.stdout)["bands"]][:2] == ["e0", "e1"]


def test_checksums_and_the_stac_item(small_model, region, tmp_path):
    pystac = pytest.importorskip("pystac")
    done = quiet(small_model, tmp_path / "a.zarr", region, 2, dtype="float16")
    subprocess.run(["sha256sum", "--check", "--quiet", "a.zarr.sha256"], cwd=tmp_path, check=True)
    item = pystac.Item.from_file(str(done.item))
    asset = item.assets["embeddings"]
    assert asset.extra_fields["raster:bands"][0] == {"data_type": "float16", "nodata": "nan"}
    assert item.properties["proj:code"] == "EPSG:4326"
    assert item.properties["proj:shape"] == [20, 20]
    assert item.properties["emb:runtime_parameters"]["dimensions"] == 8
    assert item.properties["emb:quantization"]["quantized_dtype"] == "float16"
    quiet(small_model, tmp_path / "b.tif", region, 2)
    about = json.loads((tmp_path / "b.tif.stac.json").read_text())["assets"]["embeddings"]
    digest = (tmp_path / "b.tif.sha256").read_text().split()[0]
    assert about["file:checksum"] == "1220" + digest
    assert about["file:size"] == (tmp_path / "b.tif").stat().st_size


def test_an_export_is_made_once_and_again_if_it_changes(small_model, region, tmp_path):
    out = tmp_path / "a.tif"
    assert quiet(small_model, out, region, 2).renewed
    before = out.stat().st_mtime_ns
    assert not quiet(small_model, out, region, 2).renewed
    assert out.stat().st_mtime_ns == before
    assert quiet(small_model, out, region, 1).renewed
    assert quiet(small_model, tmp_path / "a.zarr", region, 0.1).renewed
    assert (tmp_path / "a.zarr" / "overview_2").exists()
    quiet(small_model, tmp_path / "a.zarr", region, 1)
    assert not (tmp_path / "a.zarr" / "overview_2").exists()


def test_any_function_of_places_can_be_exported(region, tmp_path):
    import rasterio

    done = quiet(lambda lon, lat: np.stack([lon, lat], axis=1), tmp_path / "a.tif", region, 1)
    with rasterio.open(done.path) as file:
        assert file.read()[:, -1, 0].tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a.nc", {"resolution": 1}, r"\.tif"),
        ("a.tif", {}, "--resolution"),
        ("a.zarr", {"resolution": "wide"}, "wide"),
        ("a.tif", {"cells": "h3:3"}, r"\.parquet"),
        ("a.parquet", {"resolution": 1}, "--cells"),
        ("a.parquet", {"cells": "h3:3", "resolution": 1}, "leave out --resolution"),
        ("a.parquet", {"cells": "h3:16"}, "h3:16"),
        ("a.parquet", {"cells": "healpix:50"}, "power of two"),
        ("a.parquet", {"cells": "h3:15"}, "more than 10,000,000,000"),
        ("a.tif", {"resolution": 1, "region": "Atlantis"}, "Atlantis"),
        ("a.tif", {"resolution": 0.0001}, "pixels"),
        ("a.tif", {"resolution": 60, "region": (1, 1, 2, 2)}, "finer resolution"),
        ("a.zarr", {"resolution": 60, "region": (1, 1, 2, 2), "dtype": "int8"}, "finer resolution"),
        ("a.parquet", {"cells": "h3:0", "region": (1, 1, 2, 2)}, "finer resolution"),
        ("a.tif", {"resolution": 1, "dtype": "int9"}, "int8"),
        ("a.tif", {"resolution": 1, "dim": 4}, "8"),
        ("a.tif", {"resolution": 1, "layer": "clusters:100"}, "2 to 64"),
        ("a.zarr", {"resolution": 1, "layer": "rgb"}, r"\.tif"),
    ],
    ids=str,
)
def test_wrong_options_are_refused_before_anything_is_written(small_model, tmp_path, name, options, message):
    with pytest.raises(ValueError, match=message):
        quiet(small_model, tmp_path / name, **options)
    assert not list(tmp_path.iterdir())


def test_something_else_is_not_overwritten(small_model, region, tmp_path):
    (tmp_path / "a.tif").write_text("a photograph")
    with pytest.raises(FileExistsError, match="not an export"):
        quiet(small_model, tmp_path / "a.tif", region, 1)
    (tmp_path / "b.zarr").mkdir()
    (tmp_path / "b.zarr" / "thesis.txt").write_text("three years")
    with pytest.raises(FileExistsError, match="not an export"):
        quiet(small_model, tmp_path / "b.zarr", region, 1)
    (tmp_path / "c.tif").mkdir()
    with pytest.raises(IsADirectoryError):
        quiet(small_model, tmp_path / "c.tif", region, 1)
    assert (tmp_path / "a.tif").read_text() == "a photograph"
    assert (tmp_path / "b.zarr" / "thesis.txt").exists()


def test_too_little_room_is_said_with_the_size_before_the_start(small_model, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(OSError, match=r"259,200 pixels, 8\.3 MB .* takes up to 31 MB, and 1\.0 MB are free"):
        quiet(small_model, tmp_path / "a.tif", "world", 0.5)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("a")]


KILLS = """
import os, random, signal, sys, time
from pathlib import Path
from geotether.exporting import tiles
from geotether.exporting.export import export

tiles._TILE_BYTES = 0  # many small tiles
model, folder, seed = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
random.seed(seed)

def start(out):
    child = os.fork()
    if child:
        return child
    export(model, out, "world", 1, progress="none") if out.suffix != ".parquet" else export(
        model, out, "world", cells="healpix:32", progress="none")
    os._exit(0)

for name, kills in (("a.tif", 3), ("a.zarr", 2), ("a.parquet", 1)):
    began = time.monotonic()
    assert os.waitpid(start(folder / "whole" / name), 0)[1] == 0
    whole = time.monotonic() - began
    for _ in range(kills):
        child = start(folder / "killed" / name)
        time.sleep(random.uniform(0.2, 1) * whole)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert os.waitpid(start(folder / "killed" / name), 0)[1] == 0
"""


@pytest.mark.parametrize("seed", [0])
def test_a_killed_export_continues_to_the_same_bytes(small_model, tmp_path, seed):
    """Kill a real process at random moments; nothing but the finished files is left."""
    environment = {"PYTHONPATH": str(SRC), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"}
    arguments = [sys.executable, "-c", KILLS, str(small_model), str(tmp_path), str(seed)]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    files = [
        {
            path.relative_to(tmp_path / part): path.read_bytes()
            for path in (tmp_path / part).rglob("*")
            if path.is_file()
        }
        for part in ("whole", "killed")
    ]
    assert files[0].keys() == files[1].keys()
    assert all(files[0][path] == files[1][path] for path in files[0])
    assert not [path for path in files[1] if path.name.startswith(".")]


def test_an_unfinished_export_with_other_options_starts_again(small_model, region, tmp_path, monkeypatch, caplog):
    with monkeypatch.context() as patch:
        patch.setattr(room, "write_raster", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            quiet(small_model, tmp_path / "a.tif", region, 1)
    caplog.set_level("INFO", "geotether")
    quiet(small_model, tmp_path / "a.tif", region, 1, dtype="float16")
    assert "dtype changed" in caplog.text
    assert not list(tmp_path.glob(".a.tif.job*"))
