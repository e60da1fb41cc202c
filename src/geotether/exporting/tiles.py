"""Tiles of a grid over a region: the parts that a raster is made of."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float64

from geotether.exporting.embedder import Embedder
from geotether.exporting.precision import Coding
from geotether.exporting.sampling import draw_places
from geotether.geodesy.coordinates import wrap_longitude
from geotether.geodesy.crs import lonlat_of_xy, xy_of_lonlat
from geotether.regions.grid import Grid
from geotether.regions.region import Region

Part = dict[str, np.ndarray]
# Bound of the embeddings of a tile, of which two are computed at a time.
_TILE_BYTES = 16 * 2**20
# Of smaller grids, every pixel may be drawn.
_ALL_PIXELS = 65_536


@dataclass(frozen=True)
class Tiles:
    """The pixels of a grid whose centres are within a region, in tiles.

    Attributes:
        grid: The grid.
        region: The region.
        dim: Numbers per pixel while a tile is computed, which bounds its size.
    """

    grid: Grid
    region: Region
    dim: int

    @property
    def side(self) -> int:
        """Rows and columns of a tile, a power of two from 64 to 512."""
        side = 512
        while side > 64 and side**2 * self.dim * 4 > _TILE_BYTES:
            side //= 2
        return side

    @cached_property
    def tiles(self) -> list[tuple[slice, slice]]:
        """Rows and columns of each tile."""
        return self.grid.tiles(self.side)

    @property
    def count(self) -> int:
        """Number of parts."""
        return len(self.tiles)

    @property
    def places(self) -> int:
        """Number of pixels, those outside the region included."""
        return self.grid.rows * self.grid.columns

    @property
    def unit(self) -> str:
        """What the places are called."""
        return "pixels"

    def places_of(self, number: int) -> int:
        """Return the number of pixels of a part."""
        rows, columns = self.tiles[number]
        return (rows.stop - rows.start) * (columns.stop - columns.start)

    def make(self, number: int, embedder: Embedder, coding: Coding) -> Part:
        """Compute a tile.

        Returns:
            `values`, shape (bands, rows, columns), as stored; without any band if no pixel is within the region.
        """
        rows, columns = self.tiles[number]
        inside = self.grid.inside(self.region, rows, columns)
        if not inside.any():
            return {"values": np.empty((0, 0, 0), coding.dtype)}
        embeddings = embedder.pixels(self.grid, rows, columns, inside)
        values = np.full((*inside.shape, len(coding.bands)), coding.nodata, coding.dtype)
        values[inside] = coding.stored(embeddings)
        return {"values": np.ascontiguousarray(np.moveaxis(values, -1, 0))}

    def blocks(self, parts: Iterator[Part]) -> Iterator[tuple[slice, slice, np.ndarray]]:
        """Pair the tiles that have a pixel within the region with their values."""
        for (rows, columns), part in zip(self.tiles, parts, strict=True):
            if len(part["values"]):
                yield rows, columns, part["values"]

    def sample(self, count: int, seed: int = 0) -> Float64[np.ndarray, "n 2"]:
        """Draw pixels within the region; see `draw_places`. Returns their centres, shape (n, 2)."""
        grid = self.grid
        few = np.arange(self.places) if self.places <= _ALL_PIXELS else None
        unit = "degrees" if grid.is_geographic else "m"
        return draw_places(self.region, self._at, self._lonlat, f"pixel of {grid.step:g} {unit}", count, seed, few)

    def _at(self, lonlat: Float64[np.ndarray, "n 2"]) -> np.ndarray:
        """Return the numbers of the pixels that contain places; places outside the grid are left out."""
        grid = self.grid
        xy = lonlat if grid.is_geographic else xy_of_lonlat(lonlat, grid.crs)
        x = grid.west + (xy[:, 0] - grid.west) % 360.0 if grid.is_geographic else xy[:, 0]
        columns, rows = np.floor((x - grid.west) / grid.step), np.floor((grid.north - xy[:, 1]) / grid.step)
        known = (columns >= 0) & (columns < grid.columns) & (rows >= 0) & (rows < grid.rows)
        return (rows[known] * grid.columns + columns[known]).astype(np.int64)

    def _lonlat(self, pixels: np.ndarray) -> Float64[np.ndarray, "n 2"]:
        grid = self.grid
        xy = np.stack([grid.x()[pixels % grid.columns], grid.y()[pixels // grid.columns]], axis=1)
        lonlat = xy if grid.is_geographic else lonlat_of_xy(xy, grid.crs)
        lonlat[:, 0] = wrap_longitude(lonlat[:, 0])
        return lonlat
