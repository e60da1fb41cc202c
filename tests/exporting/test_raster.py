import hashlib
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio

import geotether
from geotether.exporting.raster import Band, write_raster
from geotether.regions.grid import Grid

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(geotether.__file__).parents[1])}
WORLD = ("EPSG:4326", -180.0, 90.0, 0.5, 360, 720)
LAEA = "+proj=laea +lat_0=52 +lon_0=10 +datum=WGS84 +units=m"


@pytest.fixture
def values():
    """Three bands of smooth numbers; a square and a corner are missing."""
    y, x = np.mgrid[0:360, 0:720] / 100
    smooth = np.stack([np.sin(x + y), np.cos(x), 100 * y]).astype(np.float32)
    smooth[:, 40:80, 100:200] = np.nan
    smooth[:, :5, :5] = np.nan
    return smooth


def blocks_of(values, side):
    """Cut an array (bands, rows, columns) into blocks."""
    for top in range(0, values.shape[1], side):
        for left in range(0, values.shape[2], side):
            rows = slice(top, min(top + side, values.shape[1]))
            columns = slice(left, min(left + side, values.shape[2]))
            yield rows, columns, values[:, rows, columns]


def sha(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_rasterio_reads_what_was_written(tmp_path, values):
    bands = [Band("e0"), Band("e1", "1", "cosine of longitude"), Band("height", "m", "metres above nothing")]
    path = tmp_path / "new" / "map.tif"
    write_raster(path, Grid(*WORLD), bands, blocks_of(values, 256), "float32", np.nan, {"model": "world"})
    with rasterio.open(path) as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert (file.crs.to_epsg(), file.bounds) == (4326, (-180, -90, 180, 90))
        assert file.descriptions == ("e0", "e1", "height")
        assert file.units == ("", "1", "m") or file.units == (None, "1", "m")
        assert file.tags()["model"] == "world"
        assert file.tags(3)["description"] == "metres above nothing"
        assert np.isnan(file.nodata)
        np.testing.assert_array_equal(file.read(), values)
        assert file.overviews(1) == [2]
    with rasterio.open(path, overview_level=0) as file:
        expected = np.nanmean(values.reshape(3, 180, 2, 360, 2).swapaxes(2, 3).reshape(3, 180, 360, 4)[:, 60:], axis=-1)
        np.testing.assert_allclose(file.read()[:, 60:], expected, rtol=1e-5, atol=1e-5)
    assert [one.name for one in path.parent.iterdir()] == ["map.tif"]


def test_the_order_and_the_size_of_blocks_do_not_change_the_bytes(tmp_path, values):
    orders = [list(blocks_of(values, 512)), list(blocks_of(values, 100)), list(blocks_of(values, 100))[::-1]]
    for number, blocks in enumerate(orders):
        path = tmp_path / f"{number}.tif"
        write_raster(path, Grid(*WORLD), [Band("e0")] * 3, blocks, "float32", np.nan, {"a": "1", "b": "2"})
    assert len({sha(tmp_path / f"{number}.tif") for number in range(3)}) == 1


def test_half_precision_is_rounded_and_smaller(tmp_path, values):
    noisy = values + np.random.default_rng(0).normal(size=values.shape).astype(np.float32)
    for dtype in ("float32", "float16"):
        bands, blocks = [Band("e")] * 3, blocks_of(noisy, 512)
        write_raster(tmp_path / f"{dtype}.tif", Grid(*WORLD), bands, blocks, dtype, np.nan, {})
    with rasterio.open(tmp_path / "float16.tif") as file:
        np.testing.assert_array_equal(file.read(), noisy.astype(np.float16).astype(np.float32))
    whole, half = ((tmp_path / f"{dtype}.tif").stat().st_size for dtype in ("float32", "float16"))
    assert half < 0.65 * whole


MEMORY = """
import numpy as np
from types import SimpleNamespace
from geotether.exporting.raster import Band, write_raster
grid = SimpleNamespace(crs="EPSG:4326", transform=(1, 0, 0, 0, -1, 0), rows=300, columns=700)
waves = np.sin(np.arange(2 * 300 * 700).reshape(2, 300, 700) / 1000)
blocks = [(slice(0, 256), slice(0, 256), waves[:, :256, :256]), (slice(256, 300), slice(512, 700), waves[:, :44, :188])]
for dtype in ("float32", "float16", "int8", "uint8"):
    values = [(rows, columns, (100 * block).astype(dtype)) for rows, columns, block in blocks]
    write_raster(f"{dtype}.tif", grid, [Band("a"), Band("b")], values, dtype, 0, {})
"""


def test_no_byte_comes_from_memory_that_was_never_set(tmp_path):
    """glibc fills new memory with another byte in each of the two processes."""
    sums = []
    for byte in ("1", "170"):
        folder = tmp_path / byte
        folder.mkdir()
        environment = {**ENVIRONMENT, "MALLOC_PERTURB_": byte}
        subprocess.run([sys.executable, "-c", MEMORY], cwd=folder, env=environment, check=True)
        sums.append({path.name: sha(path) for path in folder.iterdir()})
    assert sums[0] == sums[1]
    assert len(sums[0]) == 4


def test_small_integers_have_scale_and_offset(tmp_path):
    values = np.arange(-128, 128, dtype=np.int8).reshape(2, 8, 16)
    path = tmp_path / "small.tif"
    grid = Grid(LAEA, 4_000_000.0, 3_000_000.0, 1000.0, 8, 16)
    bands = [Band("e0", scale=0.5, offset=-1.0), Band("e1", scale=0.25, offset=3.0)]
    write_raster(path, grid, bands, blocks_of(values, 512), "int8", -128, {})
    with rasterio.open(path) as file:
        assert (file.scales, file.offsets, file.nodata) == ((0.5, 0.25), (-1.0, 3.0), -128)
        assert file.crs.to_dict()["proj"] == "laea"
        np.testing.assert_array_equal(file.read(), values)
        assert np.ma.count_masked(file.read(1, masked=True)) == 1


def test_classes_have_a_colour_table_and_overviews_of_their_own(tmp_path):
    classes = (np.indices((1024, 1024)).sum(axis=0) // 300 % 2 * 3 + 1).astype(np.uint8)[None]
    path = tmp_path / "classes.tif"
    grid = Grid("EPSG:32632", 500_000.0, 5_000_000.0, 30.0, 1024, 1024)
    write_raster(path, grid, [Band("class")], blocks_of(classes, 512), "uint8", 0, {}, {1: (1, 2, 3), 4: (9, 8, 7)})
    with rasterio.open(path) as file:
        assert file.colormap(1)[4][:3] == (9, 8, 7)
    with rasterio.open(path, overview_level=0) as file:
        assert set(np.unique(file.read())) == {1, 4}


def test_red_green_blue_is_a_picture(tmp_path):
    path = tmp_path / "rgb.tif"
    bands = [Band("red"), Band("green"), Band("blue")]
    blocks = blocks_of(np.full((3, 20, 40), 7, np.uint8), 512)
    write_raster(path, Grid("EPSG:4326", 0.0, 20.0, 1.0, 20, 40), bands, blocks, "uint8", 0, {})
    with rasterio.open(path) as file:
        assert [one.name for one in file.colorinterp] == ["red", "green", "blue"]


def test_pixels_in_no_block_have_no_data(tmp_path):
    path = tmp_path / "sparse.tif"
    block = (slice(512, 600), slice(512, 600), np.ones((1, 88, 88), np.float32))
    grid = Grid("EPSG:4326", 0.0, 6.0, 0.01, 600, 1300)
    write_raster(path, grid, [Band("e0")], [block], "float32", np.nan, {})
    with rasterio.open(path) as file:
        assert np.isfinite(file.read(1)).sum() == 88 * 88


@pytest.mark.parametrize(
    "block",
    [
        (slice(0, 2), slice(0, 2), np.ones((2, 2, 2))),
        (slice(9, 11), slice(0, 2), np.ones((1, 2, 2))),
        (slice(0, 2), slice(9, 11), np.ones((1, 2, 2))),
    ],
    ids=["bands", "rows", "columns"],
)
def test_a_block_that_does_not_fit_leaves_nothing(tmp_path, block):
    with pytest.raises(ValueError, match="block"):
        write_raster(tmp_path / "a.tif", Grid("EPSG:4326", 0.0, 1.0, 0.1, 10, 10), [Band("e")], [block], "f4", 0, {})
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_an_error_and_leaves_the_old_file(tmp_path):
    """Files of this process may have at most 300 kB."""
    program = f"""
import numpy as np, resource, signal
from types import SimpleNamespace
from geotether.exporting.raster import Band, write_raster
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, {resource.RLIM_INFINITY}))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
grid = SimpleNamespace(crs="EPSG:4326", transform=(1, 0, 0, 0, -1, 0), rows=512, columns=512)
noise = np.random.default_rng(0).normal(size=(1, 512, 512))
try:
    write_raster({str(tmp_path / "a.tif")!r}, grid, [Band("e")], [(slice(0, 512), slice(0, 512), noise)], "f4", 0, {{}})
except OSError as error:
    print("refused", error)
"""
    (tmp_path / "a.tif").write_text("old")
    done = subprocess.run([sys.executable, "-c", program], env=ENVIRONMENT, capture_output=True, text=True)
    assert done.stdout.startswith("refused"), (done.stdout, done.stderr)
    assert [one.read_text() for one in tmp_path.iterdir()] == ["old"]
