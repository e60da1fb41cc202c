"""Blocks of pixels: windows of a raster's pixels, about one block per node, read in pieces."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64

from geotether.context.smoothing import KM_PER_DEGREE, NodeGrid
from geotether.geodesy.coordinates import wrap_longitude
from geotether.sources.grids.cells import Raster, decode

# Pixels that span a node's spacing; finer ones are averaged first.
PIXELS_PER_NODE = 10
# Values of a piece that is read at once.
_PIECE_VALUES = 2**22
TRANSFORMS = {None: None, "sqrt": np.sqrt, "log1p": np.log1p}


@dataclass(frozen=True, eq=False)
class Piece:
    """The blocks of a rectangle of a raster.

    Attributes:
        rows: Their rows.
        columns: Their columns.
        share: Share of each block's pixels that have data in all bands, shape (rows, columns).
        windows: A view of their pixels and a margin, shape (rows, columns, side, side, bands); NaN without data.
        margin: Pixels of the margin at each side.
    """

    rows: slice
    columns: slice
    share: Float32[np.ndarray, "rows columns"]
    windows: Float32[np.ndarray, "rows columns side side bands"]
    margin: int

    @cached_property
    def flat(self) -> Bool[np.ndarray, "rows columns"]:
        """Whether all pixels of a block are equal and have data."""
        m = self.margin
        core = self.windows[:, :, m : self.windows.shape[2] - m, m : self.windows.shape[3] - m]
        return (core == core[:, :, :1, :1]).all(axis=(2, 3, 4))

    @property
    def looks(self) -> Float32[np.ndarray, "rows columns bands"]:
        """The first pixel of each block."""
        return self.windows[:, :, self.margin, self.margin]


class RasterBlocks:
    """The blocks of a raster, which are about as large as the spacing of nodes.

    In a raster of degrees whose pixels fit the nodes, each block lies around one node; in others blocks begin at the
    first pixel.

    Args:
        raster: An open raster.
        nodes: Nodes to serve.
        margin: Pixels that a window has around its block.
        transform: One of `TRANSFORMS`.

    Attributes:
        shape: Rows and columns of blocks.
        unit: Side of a block in the raster's own pixels.
        shrink: Side of the squares of own pixels that are averaged first.
    """

    def __init__(self, raster: Raster, nodes: NodeGrid, margin: int = 0, transform: str | None = None) -> None:
        self.raster, self.margin, self.transform = raster, margin, transform
        grid = raster.grid
        ratio = nodes.step * KM_PER_DEGREE / grid.cell_km
        fitting = self._fitting(nodes)
        if fitting is None:
            self.shrink = max(1, int(ratio / PIXELS_PER_NODE))
            self.unit = self.shrink * max(1, round(ratio / self.shrink))
            self._top = self._left = 0
        else:
            self.unit, self._top, self._left = fitting
            divisors = [n for n in range(1, self.unit + 1) if self.unit % n == 0 and self.unit / n >= PIXELS_PER_NODE]
            self.shrink = max(divisors, default=1)
        self.wraps = grid.wraps and grid.width % self.unit == 0
        width = grid.width if self.wraps else grid.width - self._left
        self.shape = (-(-(grid.height - self._top) // self.unit), -(-width // self.unit))

    def _fitting(self, nodes: NodeGrid) -> tuple[int, int, int] | None:
        """Return side, first row and first column of blocks around the nodes, if the pixels fit."""
        grid = self.raster.grid
        a, b, c, d, e, f = grid.affine
        if grid.crs is not None or b or d or grid.x_centers is not None or grid.y_centers is not None:
            return None
        sides = nodes.step / abs(a), nodes.step / abs(e)
        unit = round(sides[0])
        first_row, first_column = (90 - f) / e - unit / 2, (-180 - c) / a - unit / 2
        if unit < 1 or max(abs(side - unit) * 360 / nodes.step for side in sides) > 0.01:
            return None
        if max(abs(first - round(first)) for first in (first_row, first_column)) > 0.01:
            return None
        top, left = (-(-round(first) % unit) for first in (first_row, first_column))
        return unit, top, left

    @cached_property
    def lonlat(self) -> Float64[np.ndarray, "rows columns 2"]:
        """Centres of the blocks in degrees; NaN outside the domain of the CRS."""
        rows, columns = np.meshgrid(
            self._top + (np.arange(self.shape[0]) + 0.5) * self.unit,
            self._left + (np.arange(self.shape[1]) + 0.5) * self.unit,
            indexing="ij",
        )
        lonlat = self.raster.grid.lonlat(rows.ravel(), columns.ravel()).reshape(*self.shape, 2)
        lonlat[..., 0] = wrap_longitude(lonlat[..., 0])
        lonlat[..., 1] = lonlat[..., 1].clip(-90, 90)
        return lonlat

    @cached_property
    def areas(self) -> Float64[np.ndarray, "rows columns"]:
        """Area of the blocks on the ground, relative to one another; 0 outside the domain of the CRS."""
        if min(self.shape) < 2:
            return np.isfinite(self.lonlat).all(axis=-1).astype(np.float64)
        steps = [np.diff(self.lonlat, axis=axis) for axis in (0, 1)]
        down, right = (np.concatenate([step, step.take([-1], axis)], axis) for axis, step in enumerate(steps))
        for step in (down, right):
            step[..., 0] = wrap_longitude(step[..., 0])
        areas = np.abs(down[..., 0] * right[..., 1] - down[..., 1] * right[..., 0])
        return np.nan_to_num(areas * np.cos(np.radians(self.lonlat[..., 1])))

    def rectangles(self) -> list[tuple[slice, slice]]:
        """Divide the blocks into rectangles of about one tile of the file."""
        values = self.unit**2 * len(self.raster.names)
        high = max(1, min(self.raster.tile[0] // self.unit, math.isqrt(_PIECE_VALUES // values)))
        wide = max(1, _PIECE_VALUES // (values * high))
        rows, columns = self.shape
        return [
            (slice(top, min(top + high, rows)), slice(left, min(left + wide, columns)))
            for top in range(0, rows, high)
            for left in range(0, columns, wide)
        ]

    def pieces(self, rectangles: list[tuple[slice, slice]] | None = None) -> Iterator[Piece]:
        """Read the blocks of all rectangles, or of some."""
        for rows, columns in self.rectangles() if rectangles is None else rectangles:
            pixels = self._pixels(rows, columns)
            span, margin = self.unit // self.shrink, self.margin
            known = np.isfinite(pixels).all(axis=2)
            core = known[margin : known.shape[0] - margin, margin : known.shape[1] - margin]
            share = core.reshape(-1, span, core.shape[1] // span, span).mean(axis=(1, 3), dtype=np.float32)
            side = span + 2 * margin
            windows = np.lib.stride_tricks.sliding_window_view(pixels, (side, side), axis=(0, 1))[::span, ::span]
            yield Piece(rows, columns, share, np.moveaxis(windows, 2, -1), margin)

    def _pixels(self, rows: slice, columns: slice) -> Float32[np.ndarray, "height width bands"]:
        """Return the pixels of blocks and their margin, transformed and averaged; NaN without data."""
        grid, around = self.raster.grid, self.margin * self.shrink
        top, bottom = (self._top + edge * self.unit for edge in (rows.start, rows.stop))
        left, right = (self._left + edge * self.unit for edge in (columns.start, columns.stop))
        top, bottom, left, right = top - around, bottom + around, left - around, right + around
        found = np.full((bottom - top, right - left, len(self.raster.names)), np.nan, dtype=np.float32)
        first, last = max(top, 0), min(bottom, grid.height)
        # Columns beyond the edges of a raster that goes around the Earth are those of its other side.
        turns = (-1, 0, 1) if grid.wraps else (0,)
        for shift in (turn * grid.width for turn in turns):
            start, stop = max(left, shift), min(right, shift + grid.width)
            if start < stop and first < last:
                cells = self.raster.read(first, start - shift, last - first, stop - start)
                found[first - top : last - top, start - left : stop - left] = self._transformed(cells)
        if self.shrink > 1:
            s = self.shrink
            found = found.reshape(found.shape[0] // s, s, found.shape[1] // s, s, -1)
            gaps = np.isnan(found)
            if gaps.any():
                count = (~gaps).sum(axis=(1, 3))
                total = np.where(gaps, 0, found).sum(axis=(1, 3))
                return np.where(count, total / np.maximum(count, 1), np.nan).astype(np.float32)
            found = found.mean(axis=(1, 3))
        return found

    def _transformed(self, cells: np.ndarray) -> np.ndarray:
        values = decode(self.raster, cells)
        values[~np.isfinite(values)] = np.nan
        function = TRANSFORMS[self.transform]
        if function is None:
            return values
        least = np.nanmin(values, initial=np.inf)
        if least < (0 if self.transform == "sqrt" else -1 + 1e-6):
            raise ValueError(
                f"{self.raster.path} has the value {least:g}, of which transform: {self.transform} cannot be taken; "
                "leave transform out, or mark such cells as missing."
            )
        return function(values)

    def at(
        self,
        lonlat: Float[np.ndarray, "n 2"],
        values: Float32[np.ndarray, "rows columns k"],
        share: Float32[np.ndarray, "rows columns"],
    ) -> tuple[Float32[np.ndarray, "n k"], Float32[np.ndarray, " n"]]:
        """Interpolate the values of blocks bilinearly between their centres, weighted by their share of data.

        Returns:
            Sums of share times value, (n, k), and sums of shares, (n,).
        """
        rows, columns = self.raster.grid.cells(lonlat)
        down, right = (rows - self._top) / self.unit - 0.5, (columns - self._left) / self.unit - 0.5
        good = np.isfinite(down) & np.isfinite(right)
        down, right = np.where(good, down, -2.0), np.where(good, right, -2.0)
        row, column = np.floor(down).astype(np.int64), np.floor(right).astype(np.int64)
        down, right = (down - row).astype(np.float32), (right - column).astype(np.float32)
        total, weight = np.zeros((len(lonlat), values.shape[2]), np.float32), np.zeros(len(lonlat), np.float32)
        for below in (0, 1):
            for beside in (0, 1):
                i, j = row + below, column + beside
                j = j % self.shape[1] if self.wraps else j
                here = (i >= 0) & (i < self.shape[0]) & (j >= 0) & (j < self.shape[1])
                i, j = np.where(here, i, 0), np.where(here, j, 0)
                part = (down if below else 1 - down) * (right if beside else 1 - right) * share[i, j] * here
                total += part[:, None] * values[i, j]
                weight += part
        return total, weight


def filled(windows: Float32[np.ndarray, "n side side bands"]) -> Float32[np.ndarray, "n side side bands"]:
    """Return windows whose missing pixels have the mean of their window; each window has a pixel with data."""
    gaps = np.isnan(windows)
    rows = np.flatnonzero(gaps.any(axis=(1, 2, 3)))
    if len(rows):
        windows = windows.copy()
        windows[rows] = np.where(gaps[rows], np.nanmean(windows[rows], axis=(1, 2), keepdims=True), windows[rows])
    return windows
