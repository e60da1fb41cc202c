"""A rectangle of a raster as a raster of its own."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from geotether.sources.grids.cells import Raster

# Places along each side of the bounds, by which rows and columns are found.
_OUTLINE = 65


class CroppedRaster:
    """The cells of a raster around a bounding box; attributes as in `GdalRaster`.

    A box across the edge of a raster that goes around the Earth is one piece.

    Args:
        raster: An open raster.
        bounds: West, south, east, north in degrees; east may exceed 180.
        margin: Cells that are kept around the box.

    Raises:
        ValueError: If no cell of the raster is in the box.
    """

    def __init__(self, raster: Raster, bounds: Sequence[float], margin: int = 0) -> None:
        self.raster, grid = raster, raster.grid
        rows, columns = _indices(raster, bounds)
        rows, first = rows[np.isfinite(rows)], columns[0]
        share = (bounds[2] - bounds[0]) / 360
        if grid.wraps and share < 1 - 1e-9:  # from the first meridian of the box eastwards
            columns = np.array([first, first + share * grid.width * np.sign(grid.affine[0])])
        elif grid.wraps:
            columns = np.array([0.0, grid.width])
        elif grid.turn is not None:  # places west of the raster are not far east of it
            columns = np.where(columns > (grid.width + grid.turn) / 2, columns - grid.turn, columns)
        columns = columns[np.isfinite(columns)]
        if not len(rows) or not len(columns):
            raise ValueError(_not_covered(raster, bounds))
        self.top = max(int(np.floor(rows.min())) - margin, 0)
        bottom = min(int(np.ceil(rows.max())) + margin, grid.height)
        self.left, right = int(np.floor(columns.min())) - margin, int(np.ceil(columns.max())) + margin
        if not grid.wraps or right - self.left >= grid.width:
            self.left, right = max(self.left, 0), min(right, grid.width)
        if bottom <= self.top or right <= self.left:
            raise ValueError(_not_covered(raster, bounds))
        a, b, c, d, e, f = grid.affine
        moved = (a, b, c + a * self.left + b * self.top, d, e, f + d * self.left + e * self.top)
        self.grid = replace(
            grid,
            height=bottom - self.top,
            width=right - self.left,
            affine=moved,
            x_centers=None if grid.x_centers is None else grid.x_centers[self.left : right],
            y_centers=None if grid.y_centers is None else grid.y_centers[self.top : bottom],
        )
        self.path, self.names, self.dtype, self.missing = raster.path, raster.names, raster.dtype, raster.missing
        self.scales, self.offsets = raster.scales, raster.offsets
        self.tile = (min(raster.tile[0], self.grid.height), min(raster.tile[1], self.grid.width))

    def read(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        """Read cells as stored, shape (height, width, bands)."""
        left, top = left + self.left, top + self.top
        turn = self.raster.grid.width
        parts = []
        while width > 0:  # in two pieces across the edge of the raster
            first = left % turn
            some = min(width, turn - first)
            parts.append(self.raster.read(top, first, height, some))
            left, width = left + some, width - some
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def files(self) -> list[Path]:
        """List the files that the raster consists of."""
        return self.raster.files()


def _indices(raster: Raster, bounds: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and columns of a lattice of places in a box, the first of them at its western edge."""
    west, south, east, north = bounds
    lon, lat = np.meshgrid(np.linspace(west, east, _OUTLINE), np.linspace(south, north, _OUTLINE))
    return raster.grid.cells(np.stack([lon.ravel(), lat.ravel()], axis=1))


def _not_covered(raster: Raster, bounds: Sequence[float]) -> str:
    own = ", ".join(f"{edge:.4g}" for edge in raster.grid.bounds())
    return (
        f"{raster.path} does not cover the region: it reaches from {own} and the region from "
        f"{', '.join(f'{edge:.4g}' for edge in bounds)} (west, south, east, north). Choose another raster, or leave "
        "it out."
    )
