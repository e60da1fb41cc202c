"""Raster cells in any order: from an uncompressed copy where that is faster, else tile by tile."""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Float64, Integer, Num, Shaped

from geotether.files.disk import file_fingerprint, files_fingerprint, replacing_file
from geotether.sources.grids.geotiff import GdalRaster
from geotether.sources.grids.grid import Grid
from geotether.sources.grids.gridded import ENDINGS, GriddedRaster

# Rasters up to this size, uncompressed, may be copied to the job's folder on disk.
COPY_BYTES = 2**32
# Memory for tiles where nothing is copied.
KEPT_BYTES = 2**27
_PIECE_BYTES = 2**26


@runtime_checkable
class Raster(Protocol):
    """Interface of all raster formats; see `GdalRaster` for the attributes."""

    path: Path
    grid: Grid
    names: list[str]
    dtype: np.dtype
    missing: float | None
    scales: np.ndarray | None
    offsets: np.ndarray | None
    tile: tuple[int, int]

    def read(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        """Read cells as stored, shape (height, width, bands)."""
        ...

    def files(self) -> list[Path]:
        """List the files that the raster consists of."""
        ...


def open_raster(
    path: str | Path,
    bands: Sequence[int | str] | None = None,
    variable: str | Sequence[str] | None = None,
    select: Mapping[str, Any] | None = None,
    crs: str | None = None,
) -> Raster:
    """Open a raster: NetCDF and Zarr by their endings, all others with GDAL; see `RasterSource` for the options.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a raster, has no such band or variable, or has no georeference.
        ImportError: If the package that reads it is not installed.
    """
    if Path(path).suffix.lower() in ENDINGS:
        return GriddedRaster(path, variable=variable, select=select, bands=bands, crs=crs)
    given = [name for name, value in (("variable", variable), ("select", select)) if value is not None]
    if given:
        raise ValueError(f"{given[0]} is for NetCDF and Zarr ({', '.join(ENDINGS)}); {path} has only bands.")
    return GdalRaster(path, bands=bands, crs=crs)


def raster_fingerprint(raster: Raster) -> str:
    """Identify the content of the files that a raster consists of, wherever they lie; see `file_fingerprint`."""
    if raster.path.is_dir():
        return files_fingerprint(raster.path, raster.files())
    hashes = [file_fingerprint(file) if file.is_file() else str(file) for file in raster.files()]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def decode(raster: Raster, values: Num[np.ndarray, "*n bands"]) -> Float[np.ndarray, "*n bands"]:
    """Convert stored cells to float64 values: NaN where data are missing, scale and offset applied."""
    found = values.astype(np.float64)
    if raster.missing is not None and not np.isnan(raster.missing):
        found[values == raster.missing] = np.nan
    if raster.scales is not None:
        found = found * raster.scales + raster.offsets
    return found


class Cells:
    """Cells of a raster by row and column, many at a time, in any order.

    Without a copy, tiles are read on demand and the most recent ones are kept in memory. With a copy, cells come from
    a memory-mapped uncompressed file that all processes share.

    Args:
        raster: An open raster.
        copy: From `copy_raster`, or None.
    """

    def __init__(self, raster: Raster, copy: Path | None = None) -> None:
        self.raster = raster
        height, width = raster.grid.height, raster.grid.width
        self._flat = None
        if copy is not None:
            self._flat = np.asarray(np.load(copy, mmap_mode="r")).reshape(height * width, len(raster.names))
        self._tiles: OrderedDict[int, np.ndarray] = OrderedDict()
        self._across = -(-width // raster.tile[1])

    def find(
        self, rows: Float[np.ndarray, "*n"], columns: Float[np.ndarray, "*n"]
    ) -> tuple[Integer[np.ndarray, "*n"], Integer[np.ndarray, "*n"], Bool[np.ndarray, "*n"] | None]:
        """Return row and column (0 outside) of the cells at fractional indices, and which are inside (None: all)."""
        grid = self.raster.grid
        inside = grid.inside(rows, columns)
        everywhere = bool(inside.all())
        if not everywhere:
            rows, columns = np.where(inside, rows, 0.0), np.where(inside, columns, 0.0)
        # Truncation equals floor here, and the edges belong to the outermost cells.
        row, column = rows.astype(np.int64), columns.astype(np.int64)
        np.minimum(row, grid.height - 1, out=row)
        np.minimum(column, grid.width - 1, out=column)
        return row, column, None if everywhere else inside

    def take(
        self, row: Integer[np.ndarray, "*#n"], column: Integer[np.ndarray, "*#n"]
    ) -> Shaped[np.ndarray, "*n bands"]:
        """Return cells as stored; rows and columns broadcast and must be inside."""
        if self._flat is not None:
            return self._flat.take(row * self.raster.grid.width + column, axis=0)
        row, column = np.broadcast_arrays(row, column)
        shape, row, column = row.shape, row.ravel(), column.ravel()
        found = np.empty((row.size, len(self.raster.names)), dtype=self.raster.dtype)
        height, width = self.raster.tile
        tile = row // height * self._across + column // width
        order = np.argsort(tile, kind="stable")
        for here in np.split(order, np.flatnonzero(np.diff(tile[order])) + 1):
            if len(here):
                number = int(tile[here[0]])
                top, left = number // self._across * height, number % self._across * width
                found[here] = self._tile(number)[row[here] - top, column[here] - left]
        return found.reshape(*shape, len(self.raster.names))

    def values(self, lonlat: Float[np.ndarray, "n 2"]) -> Float64[np.ndarray, "n bands"]:
        """Return the value of the cell that contains each place (degrees); NaN outside and without data."""
        row, column, inside = self.find(*self.raster.grid.cells(lonlat))
        if inside is None:
            return decode(self.raster, self.take(row, column))
        found = np.full((len(lonlat), len(self.raster.names)), np.nan)
        found[inside] = decode(self.raster, self.take(row[inside], column[inside]))
        return found

    def tiles_of(self, lonlat: Float[np.ndarray, "n 2"]) -> Integer[np.ndarray, "n"]:
        """Return the number of the tile that contains each place, so that places can be read tile by tile."""
        row, column, _ = self.find(*self.raster.grid.cells(lonlat))
        return row // self.raster.tile[0] * self._across + column // self.raster.tile[1]

    def _tile(self, number: int) -> np.ndarray:
        if number in self._tiles:
            self._tiles.move_to_end(number)
            return self._tiles[number]
        grid, (height, width) = self.raster.grid, self.raster.tile
        top, left = number // self._across * height, number % self._across * width
        tile = self.raster.read(top, left, min(height, grid.height - top), min(width, grid.width - left))
        self._tiles[number] = np.ascontiguousarray(tile)
        while sum(kept.nbytes for kept in self._tiles.values()) > KEPT_BYTES and len(self._tiles) > 1:
            self._tiles.popitem(last=False)
        return self._tiles[number]


def copy_pays(raster: Raster, places: int) -> bool:
    """Return whether to copy a raster before taking its cells.

    A copy pays off if there are at least as many places as tiles, because each run of places would otherwise read
    nearly all tiles again. Only rasters of at most `COPY_BYTES` are copied.
    """
    height, width = raster.tile
    tiles = -(-raster.grid.height // height) * -(-raster.grid.width // width)
    size = raster.grid.height * raster.grid.width * len(raster.names) * raster.dtype.itemsize
    return size <= COPY_BYTES and places >= tiles


def copy_raster(raster: Raster, path: Path) -> Path:
    """Write all cells as stored to an .npy file (height, width, bands), atomically and in pieces, unless it exists."""
    if path.is_file():
        return path
    grid, bands = raster.grid, len(raster.names)
    with replacing_file(path) as part:
        with part.open("wb") as file:  # np.save needs the whole array in memory
            header = {"descr": raster.dtype.str, "fortran_order": False, "shape": (grid.height, grid.width, bands)}
            np.lib.format.write_array_header_1_0(file, header)
        start = part.stat().st_size
        cells = np.memmap(part, raster.dtype, "r+", offset=start, shape=(grid.height, grid.width, bands))
        height, width = raster.tile
        along = max(1, _PIECE_BYTES // (height * width * bands * raster.dtype.itemsize)) * width
        for top in range(0, grid.height, height):
            for left in range(0, grid.width, along):
                size = min(height, grid.height - top), min(along, grid.width - left)
                cells[top : top + size[0], left : left + size[1]] = raster.read(top, left, *size)
        cells.flush()
        del cells
    return path
