"""Windows of a raster around places, as images, values or statistics per place."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float, Float64, Num

from geotether.geodesy.azimuthal import ground_squares
from geotether.sources.grids.cells import Cells, decode

RESAMPLING = ("nearest", "bilinear", "average")
STATISTICS = ("mean", "std", "min", "max", "median", "missing")
# Maximum number of points averaged along a pixel's side.
_FINEST = 16
_CELLS_AT_ONCE = 2**17


@dataclass(frozen=True)
class Window:
    """The window to cut around each place.

    Attributes:
        pixels: Side in cells of the raster, north up.
        km: Or side in kilometres on the ground, north up at the centre.
        size: Pixels along a side of a window in km.
        resampling: "nearest": the cell at the centre of a pixel; "bilinear": interpolated between four cells;
            "average": the mean of the cells at many points of the pixel, for pixels larger than cells.
    """

    pixels: int | None = None
    km: float | None = None
    size: int | None = None
    resampling: str = "nearest"

    @property
    def side(self) -> int:
        """Pixels along a side of the result; 1 for a single value."""
        return self.pixels or self.size or 1


@dataclass(frozen=True)
class Query:
    """What to compute at each place: statistics and shares of classes in a window, or its cells themselves."""

    window: Window
    statistics: tuple[str, ...] | None = None
    classes: tuple[float, ...] = ()
    max_missing: float = 0.5
    fill: str | float = "mean"


def image_rows(
    cells: Cells, lonlat: Float64[np.ndarray, "n 2"], query: Query
) -> tuple[Num[np.ndarray, "m side side bands"], dict[int, str]]:
    """Cut an image around each place.

    Images have the raster's own type for integers without scale, else float32; with them, the reason by position for
    places without an image.
    """
    raster, side = cells.raster, query.window.side
    whole = raster.dtype.kind in "iu" and raster.scales is None
    images = np.empty((len(lonlat), side, side, len(raster.names)), raster.dtype if whole else np.float32)
    reasons: dict[int, str] = {}
    for at, values, missing in _cut(cells, lonlat, query.window):
        images[at] = _as(values, images.dtype)
        if missing is None:
            continue
        for window in np.flatnonzero(missing.any(axis=(1, 2, 3))).tolist():
            hole, position = missing[window], int(at[window])
            reason = _too_empty(hole, query)
            if reason is None and isinstance(query.fill, str) and hole.all(axis=(0, 1)).any():
                reason = "a band has no data in the window"
            if reason is None:
                filled = fill_missing(values[window].astype(np.float64), hole, query.fill)
                images[position] = _as(filled, images.dtype)
            else:
                reasons[position] = reason
    kept = np.array([position for position in range(len(lonlat)) if position not in reasons], dtype=np.int64)
    return images if len(kept) == len(images) else images[kept], reasons


def column_rows(cells: Cells, lonlat: Float64[np.ndarray, "n 2"], query: Query) -> tuple[pa.Table, dict[int, str]]:
    """Return values, or statistics of a window or circle, at each place.

    They are columns of float64, null where a band has no data; and the reason by position for places without values.
    """
    bands = cells.raster.names
    counted = in_circle(query.window.side).ravel() if query.window.km is not None else slice(None)
    suffixes = [""]
    if query.statistics is not None:
        suffixes = [f" {name}" for name in (*query.statistics, *(f"share of {value:g}" for value in query.classes))]
    found = np.full((len(lonlat), len(bands), len(suffixes)), np.nan)
    reasons: dict[int, str] = {}
    for at, values, missing in _cut(cells, lonlat, query.window):
        flat = values.astype(np.float64).reshape(len(at), -1, len(bands))
        if missing is not None:
            flat[missing.reshape(flat.shape)] = np.nan
        flat = flat[:, counted]
        for window in np.flatnonzero(np.isnan(flat).any(axis=(1, 2))).tolist():
            reason = _too_empty(np.isnan(flat[window]), query)
            if reason is not None:
                reasons[int(at[window])] = reason
        if query.statistics is None:
            found[at, :, 0] = flat[:, 0]
        else:
            summed = window_statistics(flat, query.statistics, query.classes)
            found[at] = np.stack(list(summed.values()), axis=-1)
    kept = np.array([position for position in range(len(lonlat)) if position not in reasons], dtype=np.int64)
    columns = {
        f"{band}{suffix}": pa.array(np.ascontiguousarray(found[kept, number, place]), from_pandas=True)
        for number, band in enumerate(bands)
        for place, suffix in enumerate(suffixes)
    }
    return pa.table(columns), reasons


def cut_windows(
    cells: Cells, lonlat: Float[np.ndarray, "n 2"], window: Window
) -> tuple[Num[np.ndarray, "n side side bands"], Bool[np.ndarray, "n side side bands"] | None]:
    """Cut a window around each of a few hundred places in degrees.

    Windows continue across the antimeridian if the raster covers a full turn. Pixels, as stored for integers without
    scale, else float64, come with a mask of those outside the raster or without data (None if there are none), whose
    values are undefined.
    """
    if window.km is None:
        rows, columns = _around(cells, lonlat, window.side)
        if window.resampling == "bilinear":
            return _between(cells, rows, columns)
        return _nearest(cells, rows, columns)
    if window.resampling != "average":
        rows, columns = cells.raster.grid.cells(ground_squares(lonlat, window.km, window.side))
        return (_between if window.resampling == "bilinear" else _nearest)(cells, rows, columns)
    finer = points_per_pixel(cells, window.km / window.side)
    rows, columns = cells.raster.grid.cells(ground_squares(lonlat, window.km, window.side * finer))
    values, missing = _nearest(cells, rows, columns)
    blocks = (len(lonlat), window.side, finer, window.side, finer, values.shape[-1])
    known = np.ones(values.shape) if missing is None else (~missing).astype(np.float64)
    weight = known.reshape(blocks).sum(axis=(2, 4))
    total = np.where(known > 0, values, 0.0).reshape(blocks).sum(axis=(2, 4))
    return total / np.maximum(weight, 1.0), weight == 0


def points_per_pixel(cells: Cells, pixel_km: float) -> int:
    """Return the number of points along a pixel's side that hits every cell, 1 to 16."""
    return int(np.clip(np.ceil(pixel_km / cells.raster.grid.cell_km - 1e-9), 1, _FINEST))


def places_at_once(window: Window, bands: int, finer: int = 1) -> int:
    """Return the number of places to cut at a time within bounded memory."""
    return max(1, _CELLS_AT_ONCE // ((window.side * finer) ** 2 * max(1, bands // 4)))


def _around(cells: Cells, lonlat: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the centres of the `side` x `side` cells around each place, or the place itself for one cell."""
    grid = cells.raster.grid
    rows, columns = (axis[:, None, None] for axis in grid.cells(lonlat))
    if side == 1:
        return rows, columns
    with np.errstate(invalid="ignore"):
        steps = np.arange(side) + 0.5
        up, left = (steps[::-1] if flip else steps for flip in grid.flips)
        # With an odd number of cells the place is in the central one, with an even number next to the central corner.
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
    """Return bilinear values of the cells with data; missing where the cell that contains the point is missing."""
    grid, raster = cells.raster.grid, cells.raster
    inside = grid.inside(rows, columns)
    if not inside.all():
        rows, columns = np.where(inside, rows, 0.0), np.where(inside, columns, 0.0)
    above, before = np.floor(rows - 0.5), np.floor(columns - 0.5)
    down, along = (rows - 0.5 - above)[..., None], (columns - 0.5 - before)[..., None]
    # Beyond the edge, repeat the outermost cell, or continue at the other end of a full turn.
    row = [np.clip(above.astype(np.int64) + step, 0, grid.height - 1) for step in (0, 1)]
    column = [before.astype(np.int64) + step for step in (0, 1)]
    column = [np.mod(c, grid.width) if grid.wraps else np.clip(c, 0, grid.width - 1) for c in column]
    corners = [cells.take(r, c) for r in row for c in column]
    outside = None if inside.all() else np.broadcast_to(~inside[..., None], corners[0].shape)
    if raster.missing is None:
        if raster.scales is not None or raster.dtype.itemsize > 2:
            corners = [decode(raster, corner) for corner in corners]
        else:  # float32 represents 8- and 16-bit integers exactly and takes half the time
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
    """Fill the missing pixels of one window in a copy of it.

    `fill` is "mean" (of the band in this window), "nearest" (the nearest known pixel) or a number; only a number fills
    a whole band.
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


def in_circle(size: int) -> Bool[np.ndarray, "size size"]:
    """Return which pixels of a square have their centre in the inscribed circle."""
    offsets = np.arange(size) - (size - 1) / 2
    return np.hypot(offsets[:, None], offsets) <= size / 2


def window_statistics(
    values: Float64[np.ndarray, "n cells bands"], statistics: Sequence[str], classes: Sequence[float] = ()
) -> dict[str, Float64[np.ndarray, "n bands"]]:
    """Compute some of `STATISTICS` over the cells of each window, which are NaN where missing.

    "std" divides by n, "missing" is the share of cells without data; "share of 3" is that of a class among the cells
    with data. Values are NaN where a window has no data.

    Example:
        >>> forest = np.array([[[1.0], [1.0], [4.0], [np.nan]]])
        >>> {name: float(value[0, 0]) for name, value in window_statistics(forest, ["mean", "missing"], [1]).items()}
        {'mean': 2.0, 'missing': 0.25, 'share of 1': 0.6666666666666666}
    """
    known = ~np.isnan(values)
    count = known.sum(axis=1)
    some = count > 0
    divisor = np.maximum(count, 1)
    mean = np.where(known, values, 0.0).sum(axis=1) / divisor
    found = {}
    for name in statistics:
        if name == "mean":
            result = mean
        elif name == "std":
            result = np.sqrt(np.where(known, (values - mean[:, None]) ** 2, 0.0).sum(axis=1) / divisor)
        elif name == "min":
            result = np.where(known, values, np.inf).min(axis=1)
        elif name == "max":
            result = np.where(known, values, -np.inf).max(axis=1)
        elif name == "median":
            # NaN sorts last, so it does not move the middle of the known values.
            ordered = np.sort(values, axis=1)
            low, high = ((divisor - 1) // 2)[:, None], (divisor // 2)[:, None]
            result = sum(np.take_along_axis(ordered, at, axis=1)[:, 0] for at in (low, high)) / 2
        else:
            found[name] = 1.0 - count / values.shape[1]
            continue
        found[name] = np.where(some, result, np.nan)
    for value in classes:
        share = (known & (values == value)).sum(axis=1) / divisor
        found[f"share of {value:g}"] = np.where(some, share, np.nan)
    return found


def _cut(
    cells: Cells, lonlat: np.ndarray, window: Window
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
    """Cut windows in batches, tile by tile; yield the positions of their places, pixels and missing."""
    order = np.argsort(cells.tiles_of(lonlat), kind="stable")
    average = window.resampling == "average" and window.km is not None
    finer = points_per_pixel(cells, window.km / window.side) if average and window.km is not None else 1
    step = places_at_once(window, len(cells.raster.names), finer)
    for first in range(0, len(order), step):
        at = order[first : first + step]
        yield at, *cut_windows(cells, lonlat[at], window)


def _too_empty(missing: np.ndarray, query: Query) -> str | None:
    if missing.all():
        return "outside the raster, or no data there"
    if missing.mean() > query.max_missing:
        return f"more than {query.max_missing:.0%} outside the raster or without data"
    return None


def _as(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if dtype.kind not in "iu" or values.dtype == dtype:
        return values
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)
