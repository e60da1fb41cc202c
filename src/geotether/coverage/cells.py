"""Cells of the Earth that contain places: what is kept of places, in a few bytes per cell."""

import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Float64, Int64, UInt8

from geotether.geodesy.blocks import block_center, block_count, block_id
from geotether.geodesy.distance import nearest_in_tree, sphere_tree


@dataclass(frozen=True, eq=False)
class OccupiedCells:
    """The equal-area cells in which some places lie; nothing finer than a cell is kept of them.

    Attributes:
        ids: Numbers of the cells, as of `block_id`, sorted, each once, shape (c,).
        cell_km: Side of a cell in km.

    Example:
        >>> cells = OccupiedCells.of(np.array([[5.66, 51.97], [5.67, 51.97], [179.99, 0.0]]), cell_km=10)
        >>> len(cells), cells.km_to(np.array([[-179.99, 0.0]])).round().tolist()
        (2, [8.0])
    """

    ids: Int64[np.ndarray, " c"]
    cell_km: float

    @classmethod
    def of(cls, lonlat: Float[np.ndarray, "n 2"], cell_km: float | int) -> "OccupiedCells":
        """Find the cells of places, degrees.

        Raises:
            ValueError: If a row is not a coordinate or `cell_km` is out of range (see `block_id`).
        """
        return cls(np.unique(block_id(lonlat, float(cell_km))), float(cell_km))

    def __len__(self) -> int:
        """Count the cells."""
        return len(self.ids)

    def km_to(self, lonlat: Float[np.ndarray, "n 2"]) -> Float64[np.ndarray, " n"]:
        """Return the distance to the nearest cell's centre in km, shape (n,); infinite without cells.

        The nearest of the places themselves is nearer or farther by at most about the side of a cell.
        """
        if not len(self.ids):
            return np.full(len(lonlat), np.inf)
        return nearest_in_tree(self._tree, lonlat)[0]

    @cached_property
    def _tree(self) -> Any:
        return sphere_tree(block_center(self.ids, self.cell_km))

    def pack(self) -> UInt8[np.ndarray, " b"]:
        """Return the cells as compressed bytes: differences of the sorted numbers, a plane for each byte."""
        steps = np.diff(self.ids, prepend=0).astype("<u4")
        planes = steps.view(np.uint8).reshape(-1, 4).T
        return np.frombuffer(zlib.compress(planes.tobytes(), 9), np.uint8).copy()

    @classmethod
    def unpack(cls, packed: UInt8[np.ndarray, " b"], count: int, cell_km: float) -> "OccupiedCells":
        """Restore `count` cells from `pack`; the bytes need not be trusted.

        Raises:
            ValueError: If the bytes are damaged or do not contain `count` cells of this size.
        """
        limit = block_count(cell_km)
        if not 0 <= count <= limit:
            raise ValueError(f"there are {limit:,} cells of {cell_km:g} km, not {count:,}.")
        try:
            engine = zlib.decompressobj()
            planes = engine.decompress(packed.tobytes(), 4 * count + 1)
        except zlib.error as error:
            raise ValueError(f"the cells are damaged ({error}).") from error
        if len(planes) != 4 * count or not engine.eof:
            raise ValueError(f"the bytes do not contain {count:,} cells.")
        steps = np.frombuffer(planes, np.uint8).reshape(4, count).T.copy().view("<u4")[:, 0].astype(np.int64)
        ids = np.cumsum(steps)
        if (steps[1:] == 0).any() or (count and ids[-1] >= limit):
            raise ValueError(f"the cells are not sorted numbers of cells of {cell_km:g} km.")
        return cls(ids, cell_km)
