"""Windows of a raster around places: of so many cells, or of so many kilometres on the ground."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64, Num

from geotether.geodesy.azimuthal import ground_squares
from geotether.sources.grids.cells import Cells, decode

RESAMPLING = ("nearest", "bilinear", "average")
# So many points along a pixel's side are averaged at most.
_FINEST = 16
_CELLS_AT_ONCE = 2**17


@dataclass(frozen=True)
class Window:
    """What to cut around each place.

    Attributes:
        pixels: So many cells along a side, as they lie in the raster, north up.
        km: Or so many kilometres on the ground along a side, north up at the centre.
        size: Pixels along a side of a window in km.
        resampling: "nearest": the cell under the middle of a pixel; "bilinear": between the four cells around it;
            "average": the mean of cells under many points of the pixel, for pixels larger than cells.
    """

    pixels: int | None = None
    km: float | None = None
    size: int | None = None
    resampling: str = "nearest"

    @property
    def side(self) -> int:
        """Pixels along a side of the result; one for a single value."""
        return self.pixels or self.size or 1


def cut_windows(
    cells: Cells, lonlat: Float[np.ndarray, "n 2"], window: Window
) -> tuple[Num[np.ndarray, "n side side bands"], Bool[np.ndarray, "n side side bands"] | None]:
    """Cut a window around each place.

    Columns go on around the Earth where the raster does. What lies outside the raster, and no data, is missing.

    Args:
        cells: Of the raster.
        lonlat: Places in degrees, shape (n, 2), a few hundred at a time.
        window: What to cut.

    Returns:
        Pixels: as stored, where the raster holds integers that stand as they are, else float64; and which are
        missing, None where none is. What a missing pixel holds means nothing.
    """
    if window.km is None:
        rows, columns = _around(cells, lonlat, window.side)
        if window.resampling == "bilinear":
            return _between(cells, rows, columns)
        return _nearest(cells, rows, columns)
    if window.resampling != "average":
        rows, columns = cells.raster.grid.cells(ground_squares(lonlat, window.km, window.side))
        return (_between if window.resampling == "bilinear" else _nearest)(cells, rows, columns)
    finer = points_in_a_pixel(cells, window.km / window.side)
    rows, columns = cells.raster.grid.cells(ground_squares(lonlat, window.km, window.side * finer))
    values, missing = _nearest(cells, rows, columns)
    blocks = (len(lonlat), window.side, finer, window.side, finer, values.shape[-1])
    known = np.ones(values.shape) if missing is None else (~missing).astype(np.float64)
    weight = known.reshape(blocks).sum(axis=(2, 4))
    total = np.where(known > 0, values, 0.0).reshape(blocks).sum(axis=(2, 4))
    return total / np.maximum(weight, 1.0), weight == 0


def points_in_a_pixel(cells: Cells, pixel_km: float) -> int:
    """Count the points along a pixel's side that leave no cell out, 1 to 16."""
    return int(np.clip(np.ceil(pixel_km / cells.raster.grid.cell_km - 1e-9), 1, _FINEST))


def places_at_once(window: Window, bands: int, finer: int = 1) -> int:
    """Say how many places to cut at a time, so that what is worked on stays small."""
    return max(1, _CELLS_AT_ONCE // ((window.side * finer) ** 2 * max(1, bands // 4)))


def _around(cells: Cells, lonlat: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Middles of the `side` x `side` cells around each place, or for one cell the place itself."""
    grid = cells.raster.grid
    rows, columns = (axis[:, None, None] for axis in grid.cells(lonlat))
    if side == 1:
        return rows, columns
    with np.errstate(invalid="ignore"):
        steps = np.arange(side) + 0.5
        up, left = (steps[::-1] if flip else steps for flip in grid.flips)
        # The place lies in the middle cell of an odd number, next to the middle corner of an even one.
        rows, columns = np.floor(rows - (side - 1) / 2) + up[:, None], np.floor(columns - (side - 1) / 2) + left
    if grid.wraps:
        columns = np.mod(columns, grid.width)
    rows, columns = np.broadcast_arrays(rows, columns)
    return rows, columns


def _nearest(cells: Cells, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    row, column, inside = cells.find(rows, columns)
    stored = cells.take(row, column)
    raster = cells.raster
    outside = None if inside is None else np.broadcast_to(~inside[..., None], stored.shape)
    if raster.dtype.kind != "f" and raster.scales is None:
        missing = None if raster.missing is None else stored == raster.missing
        return stored, _either(missing, outside)
    values = decode(raster, stored)
    return values, None if raster.missing is None and outside is None else _either(np.isnan(values), outside)


def _between(cells: Cells, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Bilinear values; missing where the cell that holds the point is, and elsewhere from the cells that have data."""
    grid, raster = cells.raster.grid, cells.raster
    inside = grid.inside(rows, columns)
    if not inside.all():
        rows, columns = np.where(inside, rows, 0.0), np.where(inside, columns, 0.0)
    above, before = np.floor(rows - 0.5), np.floor(columns - 0.5)
    down, along = (rows - 0.5 - above)[..., None], (columns - 0.5 - before)[..., None]
    # Beyond the edge lies the outermost cell once more, or the other end of a whole turn.
    row = [np.clip(above.astype(np.int64) + step, 0, grid.height - 1) for step in (0, 1)]
    column = [before.astype(np.int64) + step for step in (0, 1)]
    column = [np.mod(c, grid.width) if grid.wraps else np.clip(c, 0, grid.width - 1) for c in column]
    corners = [cells.take(r, c) for r in row for c in column]
    outside = None if inside.all() else np.broadcast_to(~inside[..., None], corners[0].shape)
    if raster.missing is None:
        if raster.scales is not None or raster.dtype.itemsize > 2:
            corners = [decode(raster, corner) for corner in corners]
        else:  # single precision holds bytes and 16-bit numbers exactly, at half the time
            down, along = down.astype(np.float32), along.astype(np.float32)
        upper = corners[0] * (1 - along) + corners[1] * along
        lower = corners[2] * (1 - along) + corners[3] * along
        return upper * (1 - down) + lower * down, outside
    total: Any = 0.0
    weight: Any = 0.0
    shares = [(1 - down) * (1 - along), (1 - down) * along, down * (1 - along), down * along]
    for corner, share in zip(corners, shares, strict=True):
        values = decode(raster, corner)
        known = ~np.isnan(values)
        total = total + np.where(known, share * values, 0.0)
        weight = weight + share * known
    _, missing = _nearest(cells, rows, columns)
    return total / np.where(weight > 0, weight, 1.0), _either(missing, outside)


def _either(first: np.ndarray | None, second: np.ndarray | None) -> np.ndarray | None:
    if first is None or second is None:
        return second if first is None else first
    return first | second


def fill_missing(
    values: Float64[np.ndarray, "side side bands"], missing: Bool[np.ndarray, "side side bands"], fill: str | float
) -> Float64[np.ndarray, "side side bands"]:
    """Fill what is missing in one window.

    Args:
        values: Pixels.
        missing: Which of them to fill; not all of a band, unless `fill` is a number.
        fill: "mean": of the band in this window; "nearest": the nearest pixel that is known; or a number.

    Returns:
        A new window.
    """
    filled = values.copy()
    for band in np.flatnonzero(missing.any(axis=(0, 1))):
        hole = missing[..., band]
        if fill == "mean":
            filled[hole, band] = values[~hole, band].mean()
        elif fill == "nearest":
            from scipy.ndimage import distance_transform_edt

            row, column = distance_transform_edt(hole, return_distances=False, return_indices=True)
            filled[..., band] = values[row, column, band]
        else:
            filled[hole, band] = fill
    return filled
