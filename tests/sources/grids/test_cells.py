"""Mirrors src/geotether/sources/grids/cells.py."""

import numpy as np
import pytest

from geotether.sources.grids import cells as module
from geotether.sources.grids.cells import Cells, copy_pays, copy_raster, open_raster

rasterio = pytest.importorskip("rasterio")


@pytest.fixture
def path(write_geotiff, tmp_path):
    """300 x 700 cells of two bands in tiles of 128 x 128, numbered."""
    numbers = np.arange(2 * 300 * 700, dtype=np.int32).reshape(2, 300, 700)
    tiles = {"tiled": True, "blockxsize": 128, "blockysize": 128}
    return write_geotiff(tmp_path / "a.tif", numbers, (0.5, 0, -175, 0, -0.5, 75), nodata=5, **tiles)


def test_cells_in_any_order_with_and_without_a_copy_are_those_of_rasterio(path, tmp_path):
    rng = np.random.default_rng(0)
    row, column = rng.integers(0, 300, (40, 5)), rng.integers(0, 700, (40, 5))
    with rasterio.open(path) as file:
        want = np.moveaxis(file.read()[:, row, column], 0, -1)
    raster = open_raster(path)
    np.testing.assert_array_equal(Cells(raster).take(row, column), want)
    np.testing.assert_array_equal(Cells(raster, copy_raster(raster, tmp_path / "copy.npy")).take(row, column), want)
    assert Cells(raster).take(row[:0], column[:0]).shape == (0, 5, 2)


def test_few_tiles_are_kept_and_each_is_read_once_in_a_run(path, monkeypatch):
    monkeypatch.setattr(module, "KEPT_BYTES", 600_000)
    raster = open_raster(path)
    read, reads = raster.read, []
    monkeypatch.setattr(raster, "read", lambda *piece: reads.append(piece) or read(*piece))
    cells = Cells(raster)
    rng = np.random.default_rng(0)
    cells.take(rng.integers(0, 300, 5000), rng.integers(0, 700, 5000))
    assert len(reads) == len(set(reads)) == 6  # 256 x 256 cells at a time
    assert sum(tile.nbytes for tile in cells._tiles.values()) <= 600_000


def test_places_find_their_cell_and_the_edges_belong_to_the_map(path):
    cells = Cells(open_raster(path))
    lonlat = np.array([[-175.0, 75.0], [175.0, -75.0], [0.0, 0.0], [179.0, 0.0], [0.0, 76.0]])
    row, column, inside = cells.find(*cells.raster.grid.cells(lonlat))
    assert inside.tolist() == [True, True, True, False, False]
    assert row[:3].tolist() == [0, 299, 150]
    assert column[:3].tolist() == [0, 699, 350]
    assert cells.find(*cells.raster.grid.cells(lonlat[:3]))[2] is None


def test_a_copy_is_reused(path, tmp_path, monkeypatch):
    raster = open_raster(path)
    monkeypatch.setattr(module, "_PIECE_BYTES", 1)
    copy = copy_raster(raster, tmp_path / "job" / "copy.npy")
    np.testing.assert_array_equal(np.load(copy), raster.read(0, 0, 300, 700))
    before = copy.stat().st_mtime_ns
    assert copy_raster(raster, copy).stat().st_mtime_ns == before
    broken = open_raster(path)
    monkeypatch.setattr(broken, "read", lambda *piece: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        copy_raster(broken, tmp_path / "job" / "other.npy")
    assert [file.name for file in (tmp_path / "job").iterdir()] == ["copy.npy"]


def test_a_raster_is_copied_for_many_places_unless_it_is_large(path, monkeypatch):
    raster = open_raster(path)
    assert not copy_pays(raster, 5)
    assert copy_pays(raster, 6)
    monkeypatch.setattr(module, "COPY_BYTES", 300 * 700 * 8 - 1)
    assert not copy_pays(raster, 10**6)
