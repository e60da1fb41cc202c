"""A raster as a source: its values, windows or statistics at given or sampled places."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from geotether.files.disk import file_fingerprint, replacing_file
from geotether.geodesy.azimuthal import LARGEST_KM
from geotether.geodesy.dates import time_of
from geotether.geodesy.distance import EARTH_RADIUS_KM
from geotether.sources.grids.cells import Cells, copy_pays, copy_raster, open_raster, raster_fingerprint
from geotether.sources.grids.grid import Grid
from geotether.sources.grids.raster_places import RasterPlaces, given_places, refuse_outside, sampled_places
from geotether.sources.grids.windows import RESAMPLING, STATISTICS, Query, Window, column_rows, image_rows
from geotether.sources.source import Observations, usable
from geotether.suggestions import closest

TAKES = ("value", "window", "statistics")
# Minimum and maximum number of points along the diameter of a circle for statistics.
_FEWEST_POINTS, _MOST_POINTS = 32, 128


class RasterSource:
    """Rows from a raster in NetCDF, Zarr, or a format that GDAL reads (GeoTIFF, COG, VRT, ...), in any CRS.

    Args:
        path: The raster.
        take: "value": one column per band, from the cell that contains the place (or interpolated, with `resampling:
            bilinear`). "window": an image (h, w, bands) around the place, north up. "statistics": columns that
            summarise the cells around the place.
        bands: Names or numbers from 1. None: all.
        variable: For NetCDF and Zarr: one or more. None: all on the grid.
        select: For NetCDF and Zarr: a value or a list by further dimension, such as {"time": "2020-07"}; what remains
            of these dimensions becomes bands.
        crs: Of a raster that does not declare one, such as "EPSG:32632".
        places: File of points; row numbers are those of this file.
        sample: Or the number of places to draw, uniform by area, where the raster has data.
        seed: Seed of the sample.
        land: Polygons that contain the sample.
        mask: Raster that is above 0 at the sample.
        latitudes: South and north limits of the sample.
        pixels: Side of the window in cells.
        km: Or side of the window in kilometres on the ground; for statistics, the diameter of the circle.
        size: Pixels along the side of a window of `km`.
        resampling: "nearest", "bilinear" or "average"; see `Window`.
        statistics: For take "statistics": some of mean, std, min, max, median, missing.
        classes: For take "statistics": values whose shares to compute.
        max_missing: Rows with a larger share outside the raster or without data are rejected, as are rows without
            any data.
        fill: For take "window": "mean" of the band in the window, "nearest" pixel, or a number.
        id: Column of `places`.
        time: Column of `places` with dates, or one date for all rows, such as "2020-07-01".

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If an option is out of range, contradicts another or has no effect; if the raster has no such
            band or variable, or no georeference.
    """

    kind: str = "columns"
    features: str = "columns"

    def __init__(
        self,
        path: str | Path,
        take: str = "value",
        bands: Sequence[int | str] | int | str | None = None,
        variable: str | Sequence[str] | None = None,
        select: Mapping[str, Any] | None = None,
        crs: str | None = None,
        places: str | Path | None = None,
        sample: int | None = None,
        seed: int = 0,
        land: str | Path | None = None,
        mask: str | Path | None = None,
        latitudes: Sequence[float] | None = None,
        pixels: int | None = None,
        km: float | None = None,
        size: int | None = None,
        resampling: str = "nearest",
        statistics: Sequence[str] | None = None,
        classes: Sequence[float] = (),
        max_missing: float = 0.5,
        fill: str | float | None = None,
        id: str | None = None,
        time: str | None = None,
    ) -> None:
        self.options = {name: value for name, value in locals().items() if name not in ("self", "path")}
        check_options(self.options)
        self.path = Path(path)
        self.kind, self.features = ("images", "convolution") if take == "window" else ("columns", "columns")
        for name, file in (("places", places), ("land", land), ("mask", mask)):
            if file is not None and not Path(file).exists():
                raise FileNotFoundError(f"There is no file {file}, named as {name}.")
        self.options["bands"] = [bands] if isinstance(bands, int | str) else bands
        self._copy: Path | None = None
        self._found: RasterPlaces | None = None
        self._opened: Cells | None = None
        self._query = query_of(self.options, self._cells().raster.grid, self.path)

    def __len__(self) -> int:
        """Return the number of places."""
        return len(self._places().lonlat)

    def __getstate__(self) -> dict[str, Any]:
        # An open raster cannot be pickled; each process opens its own.
        return {**self.__dict__, "_opened": None}

    def prepare(self, folder: Path) -> None:
        """Read or draw the places, and copy the raster uncompressed into the folder where that is faster."""
        name, options = self.fingerprint()[:16], self.options
        if options["places"] is not None:
            refuse_outside(self._cells(), self._places().lonlat, Path(options["places"]))
        raster = self._cells().raster
        if copy_pays(raster, options["sample"] or len(self)):
            self._copy = copy_raster(raster, folder / f"cells-{name}.npy")
            self._opened = Cells(raster, self._copy)
        if options["sample"] is None:
            return
        drawn = folder / f"places-{name}.npy"
        if not drawn.is_file():
            land, mask = (None if options[name] is None else Path(options[name]) for name in ("land", "mask"))
            south, north = options["latitudes"] or (-90.0, 90.0)
            lonlat = sampled_places(self._cells(), options["sample"], options["seed"], land, mask, (south, north))
            with replacing_file(drawn) as part, part.open("wb") as file:
                np.save(file, lonlat)
        lonlat = np.load(drawn)
        date = options["time"] and np.full(len(lonlat), time_of(options["time"]))
        self._found = RasterPlaces(lonlat, np.empty(0, dtype=object), date)

    def read(self, start: int, stop: int) -> Observations:
        """Read rows `start` to `stop`; see `Source`."""
        places = self._places()
        lonlat = places.lonlat[start:stop]
        reasons = {at: places.reasons[start + at] for at in range(len(lonlat)) if start + at in places.reasons}
        good = np.array([row for row in range(len(lonlat)) if row not in reasons], dtype=np.int64)
        rows_of = image_rows if self.kind == "images" else column_rows
        content, refused = rows_of(self._cells(), lonlat[good], self._query)
        reasons |= {int(good[row]): reason for row, reason in refused.items()}
        time = None if places.time is None else places.time[start:stop]
        row = start + np.arange(len(lonlat), dtype=np.int64)
        return usable(Observations(row, lonlat, None, places.id[start:stop], time), reasons, lambda _: content)

    def fingerprint(self) -> str:
        """Return a hash of the contents of all files and of the options."""
        digest = hashlib.sha256()
        others = [Path(self.options[name]) for name in ("places", "land", "mask") if self.options[name] is not None]
        digest.update(raster_fingerprint(self._cells().raster).encode())
        for file in others:
            digest.update((file_fingerprint(file) if file.is_file() else str(file)).encode())
        plain = {name: value for name, value in self.options.items() if name not in ("places", "land", "mask")}
        digest.update(json.dumps(plain, sort_keys=True, default=str).encode())
        return digest.hexdigest()

    def _cells(self) -> Cells:
        if self._opened is None:
            names = ("bands", "variable", "select", "crs")
            raster = open_raster(self.path, **{name: self.options[name] for name in names})
            self._opened = Cells(raster, self._copy)
        return self._opened

    def _places(self) -> RasterPlaces:
        if self._found is None:
            if self.options["places"] is None:
                raise ValueError("prepare(folder) draws the places; call it first.")
            self._found = given_places(Path(self.options["places"]), self.options["id"], self.options["time"])
        return self._found


def check_options(options: Mapping[str, Any]) -> None:
    """Raise ValueError unless the arguments of `RasterSource` are in range, agree and have an effect."""
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


def query_of(options: Mapping[str, Any], grid: Grid, path: Path) -> Query:
    """Return what to compute at each place, given checked options; ValueError if the window exceeds the raster."""
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
                f"A window of {km:g} km is larger than {path}, which covers about {math.sqrt(area):,.3g} x "
                f"{math.sqrt(area):,.3g} km; make km smaller."
            )
    take = options["take"]
    if take == "statistics" and km is not None and size is None:
        size = int(np.clip(math.ceil(km / grid.cell_km), _FEWEST_POINTS, _MOST_POINTS))
    statistics = None
    if take == "statistics":
        statistics = tuple(("mean", "std", "min", "max") if options["statistics"] is None else options["statistics"])
    return Query(
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
            f"Give either places: FILE, or sample: N to draw N places; got {'neither' if places is None else 'both'}."
        )
    if sample is None:
        for name in ("land", "mask", "latitudes", "seed"):
            if options[name] not in (None, 0):
                raise ValueError(f"{name} applies to sampled places only; with places: {places}, leave it out.")
        return
    if sample < 1:
        raise ValueError(f"sample must be 1 or more; got {sample}.")
    if options["id"] is not None:
        raise ValueError("id names a column of places; sampled places have no columns, so leave it out.")
    if time is not None and time_of(time) is None:
        raise ValueError(f"time must be a date such as '2020-07-01' for sampled places; got {time!r}.")
    latitudes = options["latitudes"]
    if latitudes is not None and not (len(latitudes) == 2 and -90 <= latitudes[0] < latitudes[1] <= 90):
        raise ValueError(f"latitudes are [south, north] with -90 <= south < north <= 90; got {list(latitudes)}.")


def _check_window(options: Mapping[str, Any]) -> None:
    take, pixels, km, size = (options[name] for name in ("take", "pixels", "km", "size"))
    resampling = options["resampling"]
    if pixels is not None and km is not None:
        raise ValueError(f"Give either pixels or km; got pixels: {pixels} and km: {km}.")
    if take != "value" and pixels is None and km is None:
        raise ValueError(f"take: {take} needs the size of the window, such as pixels: 32 or km: 30.")
    if take == "window" and km is not None and size is None:
        raise ValueError(f"take: window with km: {km} needs size, the pixels along a side, such as size: 32.")
    if size is not None and km is None and take != "value":
        raise ValueError(f"size: {size} needs km; for {size} cells, use pixels: {size}.")
    for name in ("pixels", "size"):
        if options[name] is not None and options[name] < 1:
            raise ValueError(f"{name} must be 1 or more; got {options[name]}.")
    if km is not None and not 0 < km <= LARGEST_KM:
        raise ValueError(f"km must be above 0 and at most {LARGEST_KM:,.0f}; got {km}.")
    fits = {"nearest": True, "average": take == "window" and km is not None}
    if not fits.get(resampling, take == "value" or (take == "window" and km is not None)):
        raise ValueError(
            f"resampling: {resampling} has no effect here: windows in pixels and statistics use cells unchanged, "
            "and 'average' is for windows in km."
        )


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        guess = closest(value, known)
        raise ValueError(f"{name} is one of {', '.join(known)}; got {value!r}.{guess}")
