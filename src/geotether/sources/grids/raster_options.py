"""What a raster source may be asked, checked at the door."""

import difflib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from geotether.geodesy.azimuthal import LARGEST_KM
from geotether.geodesy.distance import EARTH_RADIUS_KM
from geotether.sources.grids.grid import Grid
from geotether.sources.grids.raster_places import is_date
from geotether.sources.grids.raster_rows import Ask
from geotether.sources.grids.window_statistics import STATISTICS
from geotether.sources.grids.windows import RESAMPLING, Window

TAKES = ("value", "window", "statistics")
# Points along the diameter of a circle whose cells are summed up: at least, at most.
_FEWEST_POINTS, _MOST_POINTS = 32, 128


def check_options(options: Mapping[str, Any]) -> None:
    """Refuse options that are out of range, contradict one another or would have no effect.

    Args:
        options: The arguments of `RasterSource`, all of them.

    Raises:
        ValueError: With what to type instead.
    """
    take = options["take"]
    _one_of("take", take, TAKES)
    _one_of("resampling", options["resampling"], RESAMPLING)
    _check_places(options)
    _check_window(options)
    without = {
        "window": ("statistics", "classes"),
        "value": ("pixels", "km", "size", "statistics", "classes", "fill"),
        "statistics": ("fill",),
    }[take]
    for name in without:
        if options[name] not in (None, ()):
            raise ValueError(f"{name} has no effect on take: {take}; leave it out or choose another take.")
    if not 0 <= options["max_missing"] <= 1:
        raise ValueError(f"max_missing is a share from 0 to 1; got {options['max_missing']}.")
    fill = options["fill"]
    if isinstance(fill, str) and fill not in ("mean", "nearest"):
        raise ValueError(f"fill is 'mean', 'nearest' or a number; got {fill!r}.")
    for name in options["statistics"] or ():
        _one_of("statistics", name, STATISTICS)
    if take == "statistics" and options["statistics"] is not None and not (options["statistics"] or options["classes"]):
        raise ValueError(f"statistics needs one of {', '.join(STATISTICS)}, or classes to count.")


def asked_of(options: Mapping[str, Any], grid: Grid, path: Path) -> Ask:
    """Put checked options into what is asked of a raster.

    Args:
        options: The arguments of `RasterSource`.
        grid: Of the raster.
        path: For messages.

    Raises:
        ValueError: If the window is larger than the raster.
    """
    pixels, km, size = options["pixels"], options["km"], options["size"]
    if pixels is not None and pixels > min(grid.height, grid.width):
        raise ValueError(
            f"A window of {pixels} x {pixels} cells is larger than {path}, which has {grid.height} rows and "
            f"{grid.width} columns; make pixels smaller."
        )
    if km is not None:
        west, south, east, north = grid.bounds()
        band = math.sin(math.radians(north)) - math.sin(math.radians(south))
        area = math.radians(east - west) * band * EARTH_RADIUS_KM**2
        if km**2 * (1 - options["max_missing"]) > area:
            raise ValueError(
                f"A window of {km:g} km is larger than {path}, which covers about {math.sqrt(area):,.3g} km in square; "
                "make km smaller."
            )
    take = options["take"]
    if take == "statistics" and km is not None and size is None:
        size = int(np.clip(math.ceil(km / grid.cell_km), _FEWEST_POINTS, _MOST_POINTS))
    statistics = None
    if take == "statistics":
        statistics = tuple(("mean", "std", "min", "max") if options["statistics"] is None else options["statistics"])
    return Ask(
        Window(pixels, km, size, options["resampling"]),
        statistics,
        tuple(options["classes"]),
        options["max_missing"],
        "mean" if options["fill"] is None else options["fill"],
    )


def _check_places(options: Mapping[str, Any]) -> None:
    places, sample, time = options["places"], options["sample"], options["time"]
    if (places is None) == (sample is None):
        raise ValueError(
            "Say either where to look, places: FILE, or how many places to draw, sample: 20000; "
            f"{'neither' if places is None else 'both'} came."
        )
    if sample is None:
        for name in ("land", "mask", "latitudes", "seed"):
            if options[name] not in (None, 0):
                raise ValueError(f"{name} is for places that are drawn, with sample; {places} gives them already.")
        return
    if sample < 1:
        raise ValueError(f"sample must be 1 place or more; got {sample}.")
    if options["id"] is not None:
        raise ValueError("id names a column of places; places that are drawn have none, so leave it out.")
    if time is not None and not is_date(time):
        raise ValueError(f"time must be a date such as '2020-07-01' where places are drawn; got {time!r}.")
    latitudes = options["latitudes"]
    if latitudes is not None and not (len(latitudes) == 2 and -90 <= latitudes[0] < latitudes[1] <= 90):
        raise ValueError(f"latitudes are [south, north] with -90 <= south < north <= 90; got {list(latitudes)}.")


def _check_window(options: Mapping[str, Any]) -> None:
    take, pixels, km, size = (options[name] for name in ("take", "pixels", "km", "size"))
    resampling = options["resampling"]
    if pixels is not None and km is not None:
        raise ValueError(f"A window is either pixels: {pixels} cells or km: {km} wide; leave one of them out.")
    if take != "value" and pixels is None and km is None:
        raise ValueError(f"take: {take} needs to know how far around each place: pixels: 32, or km: 30.")
    if take == "window" and km is not None and size is None:
        raise ValueError(f"A window of {km} km also needs size, its pixels along a side, such as size: 32.")
    if size is not None and km is None and take != "value":
        raise ValueError(f"size goes with km; got size: {size} without it. For {size} cells, say pixels: {size}.")
    for name in ("pixels", "size"):
        if options[name] is not None and options[name] < 1:
            raise ValueError(f"{name} must be 1 or more; got {options[name]}.")
    if km is not None and not 0 < km <= LARGEST_KM:
        raise ValueError(f"km must be above 0 and at most {LARGEST_KM:,.0f}; got {km}.")
    fits = {"nearest": True, "average": take == "window" and km is not None}
    if not fits.get(resampling, take == "value" or (take == "window" and km is not None)):
        raise ValueError(
            f"resampling: {resampling} has no effect here: windows in pixels and statistics take cells as they are, "
            "and 'average' is for windows in km."
        )


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        close = difflib.get_close_matches(str(value), known, n=1)
        guess = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"{name} is one of {', '.join(known)}; got {value!r}.{guess}")
