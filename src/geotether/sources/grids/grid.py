"""Grids of raster cells in any CRS: from places to rows and columns and back."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64

from geotether.geodesy.crs import full_turn, is_geographic, lonlat_bounds, lonlat_of_xy, xy_of_lonlat
from geotether.geodesy.distance import great_circle_km

# Places within this distance of the outer edge, in cells, are inside: corners are stored with rounding errors.
EDGE_CELLS = 1e-6


@dataclass(frozen=True, eq=False)
class Grid:
    """The cells of a raster on the Earth. Rows and columns count from 0 at the outer corner of the first cell.

    Attributes:
        height: Number of rows.
        width: Number of columns.
        affine: Six numbers a to f: x = a column + b row + c and y = d column + e row + f.
        crs: CRS of x and y, as text that PROJ knows; None: longitude and latitude in degrees, WGS 84.
        x_centers: Centres of columns that are not evenly spaced; None: `affine` applies.
        y_centers: Likewise for rows, such as the Gaussian latitudes of a weather model.
    """

    height: int
    width: int
    affine: tuple[float, float, float, float, float, float]
    crs: str | None = None
    x_centers: np.ndarray | None = None
    y_centers: np.ndarray | None = None

    @property
    def geographic(self) -> bool:
        """Whether x and y are degrees."""
        return self.crs is None or is_geographic(self.crs)

    @property
    def turn(self) -> float | None:
        """Number of columns in a full turn around the Earth if columns are meridians; else None."""
        a, b, _, d, *_ = self.affine
        if b or d or self.x_centers is not None:
            return None
        whole = 360.0 if self.crs is None else full_turn(self.crs)
        return whole / abs(a) or None

    @property
    def wraps(self) -> bool:
        """Whether the last column is adjacent to the first."""
        return self.turn is not None and abs(self.turn - self.width) < 0.5

    @property
    def flips(self) -> tuple[bool, bool]:
        """Whether rows run northwards, and whether columns run westwards."""
        a, _, _, _, e, _ = self.affine
        rows = e > 0 if self.y_centers is None else bool(self.y_centers[-1] > self.y_centers[0])
        return rows, a < 0 if self.x_centers is None else bool(self.x_centers[-1] < self.x_centers[0])

    @property
    def cell_km(self) -> float:
        """North-south size of a cell on the ground, at the centre of the raster."""
        row, column = self.height / 2, self.width / 2
        steps = np.array([[row - 0.5, column], [row + 0.5, column]])
        return float(great_circle_km(*self.lonlat(steps[:, 0], steps[:, 1])))

    def cells(self, lonlat: Float[np.ndarray, "*n 2"]) -> tuple[Float64[np.ndarray, "*n"], Float64[np.ndarray, "*n"]]:
        """Return fractional row and column indices of places; cell 0 extends from 0 to 1.

        Longitudes may exceed one turn. Indices are not finite where the place is outside the domain of the CRS.
        """
        x, y = lonlat[..., 0], lonlat[..., 1]
        if self.crs is not None:
            # The CRS may not accept longitudes beyond one turn.
            turned = np.stack([x - 360.0 * np.floor((x + 180.0) / 360.0), y], axis=-1)
            x, y = np.moveaxis(xy_of_lonlat(turned.reshape(-1, 2), self.crs).reshape(lonlat.shape), -1, 0)
        with np.errstate(invalid="ignore"):
            a, b, c, d, e, f = self.affine
            scale = a * e - b * d
            if b or d:
                columns = (e * (x - c) - b * (y - f)) / scale
                rows = (a * (y - f) - d * (x - c)) / scale
            else:
                columns, rows = (x - c) * (1.0 / a), (y - f) * (1.0 / e)
            if self.x_centers is not None:
                if self.geographic:
                    x = self._beside(x)
                columns = _between(self.x_centers, x)
            elif self.turn is not None:
                # A place on the western edge stays there after rounding.
                turns = np.floor((columns + EDGE_CELLS) * (1.0 / self.turn))
                if turns.any():
                    columns = columns - self.turn * turns
                columns = np.maximum(columns, 0.0)
            if self.y_centers is not None:
                rows = _between(self.y_centers, self._to_pole(y) if self.geographic else y)
        return rows, columns

    def inside(self, rows: Float[np.ndarray, "*n"], columns: Float[np.ndarray, "*n"]) -> Bool[np.ndarray, "*n"]:
        """Return which rows and columns from `cells` are inside the raster, outer edge included."""
        with np.errstate(invalid="ignore"):
            return (
                (rows >= -EDGE_CELLS)
                & (rows <= self.height + EDGE_CELLS)
                & (columns >= -EDGE_CELLS)
                & (columns <= self.width + EDGE_CELLS)
            )

    def lonlat(self, rows: Float[np.ndarray, "n"], columns: Float[np.ndarray, "n"]) -> Float64[np.ndarray, "n 2"]:
        """Return the places of rows and columns (the inverse of `cells`), with longitudes as in the raster."""
        a, b, c, d, e, f = self.affine
        x, y = a * columns + b * rows + c, d * columns + e * rows + f
        if self.x_centers is not None:
            x = np.interp(columns, np.arange(self.width) + 0.5, self.x_centers)
        if self.y_centers is not None:
            y = np.interp(rows, np.arange(self.height) + 0.5, self.y_centers)
        xy = np.stack([x, y], axis=-1)
        return xy if self.crs is None else lonlat_of_xy(xy, self.crs)

    def bounds(self) -> tuple[float, float, float, float]:
        """Return west, south, east, north in degrees, with east above west and at most one turn apart."""
        x, y = self._corner_xy()
        if self.crs is None:
            west, south, east, north = x.min(), y.min(), x.max(), y.max()
        else:
            west, south, east, north = lonlat_bounds(x.min(), y.min(), x.max(), y.max(), self.crs)
        if not np.isfinite([west, south, east, north]).all():
            west, south, east, north = -180.0, -90.0, 180.0, 90.0
        east = east + 360.0 if east <= west else east
        if east - west >= 360.0 - 1e-9:
            west, east = -180.0, 180.0
        return float(west), float(max(south, -90.0)), float(east), float(min(north, 90.0))

    def _corner_xy(self) -> tuple[np.ndarray, np.ndarray]:
        a, b, c, d, e, f = self.affine
        columns, rows = np.array([0, self.width, 0, self.width]), np.array([0, 0, self.height, self.height])
        x, y = a * columns + b * rows + c, d * columns + e * rows + f
        x = x if self.x_centers is None else _edges(self.x_centers)[[0, -1]]
        return x, y if self.y_centers is None else _edges(self.y_centers)[[0, -1]]

    def _to_pole(self, y: np.ndarray) -> np.ndarray:
        # Gaussian latitudes end before the poles, but their outermost rows cover the rest.
        edges = np.sort(_edges(self.y_centers)[[0, 1, -2, -1]])
        south = edges[0] if -90.0 < edges[0] < -90.0 + (edges[1] - edges[0]) else -np.inf
        north = edges[3] if 90.0 - (edges[3] - edges[2]) < edges[3] < 90.0 else np.inf
        return np.clip(y, south, north)

    def _beside(self, x: np.ndarray) -> np.ndarray:
        west = _edges(self.x_centers).min()
        return west + (x - west + 1e-9) % 360.0 - 1e-9


def axis_steps(centers: Float[np.ndarray, "n"]) -> tuple[float, float] | None:
    """Return step and outer edge of an axis if it is even within single precision; else None."""
    step = (centers[-1] - centers[0]) / (len(centers) - 1)
    even = centers[0] + step * np.arange(len(centers))
    if np.abs(centers - even).max() > 1e-3 * abs(step) + 1.2e-7 * np.abs(centers).max():
        return None
    return float(step), float(centers[0] - step / 2)


def _edges(centers: Any) -> np.ndarray:
    between = (centers[1:] + centers[:-1]) / 2
    return np.concatenate([[2 * centers[0] - between[0]], between, [2 * centers[-1] - between[-1]]])


def _between(centers: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the positions of values among uneven cells, whose edges are half-way between the centres."""
    edges, position = _edges(centers), np.arange(len(centers) + 1.0)
    if edges[-1] < edges[0]:
        edges, position = edges[::-1], position[::-1]
    return np.interp(values, edges, position, left=np.nan, right=np.nan)
