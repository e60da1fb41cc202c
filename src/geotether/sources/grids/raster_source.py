"""A raster as a source: its values, windows or statistics at places given or drawn."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from geotether.sources.disk import replacing_file
from geotether.sources.fingerprints import file_fingerprint, files_fingerprint
from geotether.sources.grids.cells import Cells, copy_pays, copy_raster, open_raster
from geotether.sources.grids.raster_options import asked_of, check_options
from geotether.sources.grids.raster_places import RasterPlaces, given_places, refuse_outside, sampled_places
from geotether.sources.grids.raster_rows import column_rows, image_rows
from geotether.sources.source import Observations, refuse_places, usable


class RasterSource:
    """Rows from a raster in GeoTIFF, COG, VRT or what else GDAL opens, in NetCDF or in Zarr; in any CRS.

    Args:
        path: Of the raster.
        take: "value": a column a band, from the cell that holds the place (or between cells, with `resampling:
            bilinear`). "window": an image (h, w, bands) around it, north up. "statistics": columns that sum up the
            cells around it.
        bands: Names or numbers from 1. None: all.
        variable: Of NetCDF and Zarr: one or more. None: all on the grid.
        select: Of NetCDF and Zarr: by further dimension, a value or a list, such as {"time": "2020-07"}; what is left
            of such dimensions becomes bands.
        crs: Of NetCDF and Zarr that do not say it, such as "EPSG:32632".
        places: File of points; its row numbers are those of the rows.
        sample: Or so many places, uniform by area, where the raster has data.
        seed: Decides the sample.
        land: Polygons that the sample must lie in.
        mask: Raster that must be above 0 where the sample lies.
        latitudes: South and north of the sample.
        pixels: Side of the window in cells.
        km: Or side of the window in kilometres on the ground, anywhere on Earth; of statistics, the diameter of the
            circle.
        size: Pixels along the side of a window of `km`.
        resampling: "nearest", "bilinear" or "average"; see `Window`.
        statistics: Of take "statistics": some of mean, std, min, max, median, missing.
        classes: Of take "statistics": values whose shares are asked for.
        max_missing: Rows of which a larger share is outside the raster or has no data are rejected, as are those
            without any data at all.
        fill: Of take "window": "mean" of the band in the window, "nearest" pixel, or a number.
        id: Column of `places`.
        time: Column of `places` with dates, or one date for all rows, such as "2020-07-01".

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If an option is out of range, contradicts another or would have no effect; if the raster has no
            such band or variable, or does not say where it lies.
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
        self._ask = asked_of(self.options, self._cells().raster.grid, self.path)

    def __len__(self) -> int:
        """Count the places."""
        return len(self._places().lonlat)

    def __getstate__(self) -> dict[str, Any]:
        # An open raster cannot travel; each process opens its own.
        return {**self.__dict__, "_opened": None}

    def prepare(self, folder: Path) -> None:
        """Find the places, and copy the raster uncompressed where that pays.

        Args:
            folder: For the places drawn and the copy.
        """
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
        date = options["time"] and np.full(len(lonlat), np.datetime64(options["time"], "ms"))
        self._found = RasterPlaces(lonlat, np.empty(0, dtype="<U1"), date)

    def read(self, start: int, stop: int) -> Observations:
        """Read rows `start` to `stop`; see `Source`."""
        places = self._places()
        lonlat = places.lonlat[start:stop]
        reasons = refuse_places(lonlat)
        good = np.array([row for row in range(len(lonlat)) if row not in reasons], dtype=np.int64)
        rows_of = image_rows if self.kind == "images" else column_rows
        content, refused = rows_of(self._cells(), lonlat[good], self._ask)
        reasons |= {int(good[row]): reason for row, reason in refused.items()}
        time = None if places.time is None else places.time[start:stop]
        row = start + np.arange(len(lonlat), dtype=np.int64)
        return usable(Observations(row, lonlat, None, places.id[start:stop], time), reasons, lambda _: content)

    def fingerprint(self) -> str:
        """Name the rows by the content of all files and the options."""
        digest = hashlib.sha256()
        others = [Path(self.options[name]) for name in ("places", "land", "mask") if self.options[name] is not None]
        files = self._cells().raster.files()
        if self.path.is_dir():
            digest.update(files_fingerprint(self.path, files).encode())
            files = []
        for file in [*files, *others]:
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
                raise ValueError("The places are drawn by prepare(folder); call it first.")
            self._found = given_places(Path(self.options["places"]), self.options["id"], self.options["time"])
        return self._found
