"""Rows of a raster at places: images or columns, and which places give none."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from jaxtyping import Float64, Num

from geotether.sources.grids.cells import Cells
from geotether.sources.grids.window_statistics import in_circle, window_statistics
from geotether.sources.grids.windows import Window, cut_windows, fill_missing, places_at_once, points_in_a_pixel


@dataclass(frozen=True)
class Ask:
    """What is asked of a raster at each place.

    Attributes:
        window: The cells that count.
        statistics: What to make of them; None: they are the row.
        classes: Values whose share is asked for.
        max_missing: With a larger share missing, a place is refused.
        fill: What stands for missing pixels of an image: "mean", "nearest" or a number.
    """

    window: Window
    statistics: tuple[str, ...] | None = None
    classes: tuple[float, ...] = ()
    max_missing: float = 0.5
    fill: str | float = "mean"


def image_rows(
    cells: Cells, lonlat: Float64[np.ndarray, "n 2"], ask: Ask
) -> tuple[Num[np.ndarray, "m side side bands"], dict[int, str]]:
    """Cut an image around each place.

    Returns:
        Images, of the raster's own type where it holds integers that stand as they are, else float32; and by position
        the reason why some places have none.
    """
    raster, side = cells.raster, ask.window.side
    whole = raster.dtype.kind in "iu" and raster.scales is None
    images = np.empty((len(lonlat), side, side, len(raster.names)), raster.dtype if whole else np.float32)
    reasons: dict[int, str] = {}
    for at, values, missing in _cut(cells, lonlat, ask.window):
        images[at] = _as(values, images.dtype)
        if missing is None:
            continue
        for window in np.flatnonzero(missing.any(axis=(1, 2, 3))).tolist():
            hole, position = missing[window], int(at[window])
            reason = _too_empty(hole, ask)
            if reason is None and isinstance(ask.fill, str) and hole.all(axis=(0, 1)).any():
                reason = "a band has no data in the window"
            if reason is None:
                filled = fill_missing(values[window].astype(np.float64), hole, ask.fill)
                images[position] = _as(filled, images.dtype)
            else:
                reasons[position] = reason
    kept = np.array([position for position in range(len(lonlat)) if position not in reasons], dtype=np.int64)
    return images if len(kept) == len(images) else images[kept], reasons


def column_rows(cells: Cells, lonlat: Float64[np.ndarray, "n 2"], ask: Ask) -> tuple[pa.Table, dict[int, str]]:
    """Find values, or statistics of a window or circle, at each place.

    Returns:
        Columns, float64, null where a band has no data; and by position the reason why some places have none.
    """
    bands = cells.raster.names
    counted = in_circle(ask.window.side).ravel() if ask.window.km is not None else slice(None)
    words = [""]
    if ask.statistics is not None:
        words = [f" {name}" for name in (*ask.statistics, *(f"share of {value:g}" for value in ask.classes))]
    found = np.full((len(lonlat), len(bands), len(words)), np.nan)
    reasons: dict[int, str] = {}
    for at, values, missing in _cut(cells, lonlat, ask.window):
        flat = values.astype(np.float64).reshape(len(at), -1, len(bands))
        if missing is not None:
            flat[missing.reshape(flat.shape)] = np.nan
        flat = flat[:, counted]
        for window in np.flatnonzero(np.isnan(flat).any(axis=(1, 2))).tolist():
            reason = _too_empty(np.isnan(flat[window]), ask)
            if reason is not None:
                reasons[int(at[window])] = reason
        if ask.statistics is None:
            found[at, :, 0] = flat[:, 0]
        else:
            summed = window_statistics(flat, ask.statistics, ask.classes)
            found[at] = np.stack(list(summed.values()), axis=-1)
    kept = np.array([position for position in range(len(lonlat)) if position not in reasons], dtype=np.int64)
    columns = {
        f"{band}{word}": pa.array(np.ascontiguousarray(found[kept, number, place]), from_pandas=True)
        for number, band in enumerate(bands)
        for place, word in enumerate(words)
    }
    return pa.table(columns), reasons


def _cut(
    cells: Cells, lonlat: np.ndarray, window: Window
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
    """Windows some at a time, with the positions of their places, tile by tile."""
    order = np.argsort(cells.tiles_of(*cells.raster.grid.cells(lonlat)), kind="stable")
    average = window.resampling == "average" and window.km is not None
    finer = points_in_a_pixel(cells, window.km / window.side) if average and window.km is not None else 1
    step = places_at_once(window, len(cells.raster.names), finer)
    for first in range(0, len(order), step):
        at = order[first : first + step]
        yield at, *cut_windows(cells, lonlat[at], window)


def _too_empty(missing: np.ndarray, ask: Ask) -> str | None:
    if missing.all():
        return "outside the raster, or no data there"
    if missing.mean() > ask.max_missing:
        return f"more than {ask.max_missing:.0%} outside the raster or without data"
    return None


def _as(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if dtype.kind not in "iu" or values.dtype == dtype:
        return values
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)
