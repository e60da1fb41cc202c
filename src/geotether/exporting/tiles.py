"""Tiles of a grid over a region: the parts that a raster is made of."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float64

from geotether.exporting.embedder import Embedder
from geotether.exporting.precision import Coding
from geotether.geodesy.crs import lonlat_of_xy
from geotether.regions.grid import Grid
from geotether.regions.region import Region

Part = dict[str, np.ndarray]
# Bound of the embeddings of a tile, of which two are computed at a time.
_TILE_BYTES = 32 * 2**20
_DRAWS = 65_536
_MOST_DRAWS = 200


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

    @cached_property
    def tiles(self) -> list[tuple[slice, slice]]:
        """Rows and columns of each tile; sides are powers of two, 64 to 512."""
        side = 512
        while side > 64 and side**2 * self.dim * 4 > _TILE_BYTES:
            side //= 2
        return self.grid.tiles(side)

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
        """Draw pixels within the region.

        Args:
            count: At most so many; all of a grid that has no more.
            seed: Seed of the draw.

        Returns:
            Longitude and latitude of different pixels in the order of the grid, shape (n, 2).

        Raises:
            ValueError: If no pixel has its centre within the region.
        """
        drawn = np.arange(self.places) if self.places <= _DRAWS else np.empty(0, np.int64)
        rng = np.random.default_rng(seed)
        found = self._within(drawn)
        for _ in range(_MOST_DRAWS if self.places > _DRAWS else 0):
            if len(found) >= count:
                break
            found = np.union1d(found, self._within(rng.integers(self.places, size=_DRAWS)))
        if not len(found):
            raise ValueError(
                f"No pixel of {self.grid.step:g} {'degrees' if self.grid.is_geographic else 'm'} has its centre in "
                f"{self.region.name}; choose a finer resolution."
            )
        if len(found) > count:
            found = np.sort(rng.choice(found, count, replace=False))
        return self._lonlat(found)

    def _within(self, pixels: np.ndarray) -> np.ndarray:
        return pixels[self.region.contains(self._lonlat(pixels))]

    def _lonlat(self, pixels: np.ndarray) -> Float64[np.ndarray, "n 2"]:
        grid = self.grid
        xy = np.stack([grid.x()[pixels % grid.columns], grid.y()[pixels // grid.columns]], axis=1)
        lonlat = xy if grid.is_geographic else lonlat_of_xy(xy, grid.crs)
        lonlat[:, 0] = (lonlat[:, 0] + 180.0) % 360.0 - 180.0
        return lonlat
