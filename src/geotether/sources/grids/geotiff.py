"""GeoTIFF and other formats of GDAL: the one opener over rasterio, and rasters read in pieces."""

import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from geotether.geodesy.crs import crs_name, lonlat_of_xy, same_as_wgs84
from geotether.sources.grids.grid import Grid

# No file is read twice through GDAL's cache, which by default takes 5 % of the machine's memory.
CACHE_BYTES = 64_000_000
_LEAST_TILE = 256
_log = logging.getLogger(__name__)


class GdalRaster:
    """A raster file that GDAL reads.

    Args:
        path: The file.
        bands: Names or numbers from 1. None: all.
        crs: CRS of x and y if the file does not state one, such as "EPSG:32632". None: degrees, with a warning.

    Attributes:
        path: As given.
        grid: Where its cells lie.
        names: One name per band.
        dtype: Number type of the arrays that `read` returns.
        missing: The value that marks missing data: a number, NaN, or None if every cell has data.
        scales: One factor per band; None: stored values are the values.
        offsets: One summand per band, added after scaling.
        tile: Rows and columns that are best read together.
    """

    def __init__(self, path: str | Path, bands: Sequence[int | str] | None = None, crs: str | None = None) -> None:
        self.path = Path(path)
        self._dataset = open_geotiff(self.path)
        if self._dataset.count == 0:
            parts = ", ".join(name.rsplit(":", 1)[-1] for name in self._dataset.subdatasets[:20])
            raise ValueError(f"{path} has no bands; convert one of its parts to GeoTIFF: {parts or 'none'}.")
        self.grid = _grid_of(self._dataset, crs)
        colours = [colour.name for colour in self._dataset.colorinterp]
        every = [
            text or (colour if colour in ("red", "green", "blue", "alpha") else f"band {number}")
            for number, (text, colour) in enumerate(zip(self._dataset.descriptions, colours, strict=True), 1)
        ]
        every = [name if every.count(name) == 1 else f"band {number}" for number, name in enumerate(every, 1)]
        chosen = choose_bands(self.path, every, bands)
        self.names = [every[band] for band in chosen]
        self._numbers = [band + 1 for band in chosen]
        self._inspect_values([self._dataset.dtypes[band] for band in chosen], chosen)
        height, width = self._dataset.block_shapes[0]
        # Strips and small blocks are read several at a time.
        self.tile = (_at_least(height, self.grid.height), _at_least(width, self.grid.width))

    def read(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        """Read cells as stored, shape (height, width, bands); cells without data are `missing`."""
        import rasterio
        import rasterio.errors
        from rasterio.windows import Window

        window = Window(left, top, width, height)
        try:
            with rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES):
                piece = self._dataset.read(self._numbers, window=window, masked=self._masked, out_dtype=self.dtype)
        except rasterio.errors.RasterioError as error:
            raise ValueError(f"{self.path} is damaged or cut short: {error}") from error
        if self._masked:
            piece = np.where(np.ma.getmaskarray(piece), self.dtype.type(np.nan), piece.data)
        return np.moveaxis(piece, 0, -1)

    def files(self) -> list[Path]:
        """List the files that the raster consists of, such as those behind a VRT."""
        return [Path(name) for name in sorted(self._dataset.files) if Path(name).is_file()] or [self.path]

    def _inspect_values(self, dtypes: list[str], chosen: list[int]) -> None:
        from rasterio.enums import MaskFlags

        self.dtype = np.result_type(*map(np.dtype, dtypes))
        if self.dtype.kind == "c":
            raise ValueError(f"{self.path} contains complex numbers; write their parts as separate bands.")
        nodata = {repr(self._dataset.nodatavals[band]): self._dataset.nodatavals[band] for band in chosen}
        flags = [set(self._dataset.mask_flag_enums[band]) for band in chosen]
        self._masked = False
        self.missing: float | None = None
        if self.dtype.kind == "f":
            # Some files contain NaN without declaring it.
            self.missing, self._masked = math.nan, any(MaskFlags.all_valid not in flag for flag in flags)
        elif any(MaskFlags.alpha in flag or MaskFlags.per_dataset in flag for flag in flags) or len(nodata) > 1:
            # With a separate mask, no number of the cells' own type is free to mark missing data.
            self._masked, self.missing = True, math.nan
            self.dtype = np.result_type(self.dtype, np.float32)
        else:
            self.missing = next(iter(nodata.values()))
        scales = np.array([self._dataset.scales[band] for band in chosen])
        offsets = np.array([self._dataset.offsets[band] for band in chosen])
        plain = (scales == 1).all() and (offsets == 0).all()
        self.scales: np.ndarray | None = None if plain else scales
        self.offsets: np.ndarray | None = None if plain else offsets


def open_geotiff(source: str | Path | Any, driver: str | None = None) -> Any:
    """Open a raster with rasterio, georeferenced or not, as a rasterio dataset (a context manager).

    Args:
        source: Path of a file, or a binary file object.
        driver: The only driver of GDAL that may read it. None: any.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If GDAL cannot read it.
    """
    try:
        import rasterio
        import rasterio.errors
    except ImportError:
        raise ImportError("GeoTIFF and other rasters are read with rasterio: pip install 'geotether[geo]'.") from None
    if isinstance(source, str | Path) and not Path(source).exists():
        raise FileNotFoundError(f"There is no raster {source}.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)  # callers check where it matters
            return rasterio.open(source, driver=driver)
    except (rasterio.errors.RasterioIOError, UnicodeDecodeError) as error:
        raise ValueError(f"{source} is damaged or not a raster that GDAL can read: {error}") from error


@contextmanager
def reading_small_files() -> Iterator[None]:
    """Open many small GeoTIFFs inside this block without listing the folder of each."""
    try:
        import rasterio
    except ImportError:
        raise ImportError("GeoTIFFs are read with rasterio: pip install 'geotether[geo]'.") from None
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"):
        yield


def lonlat_in(dataset: Any, rows: np.ndarray | float, columns: np.ndarray | float) -> Float64[np.ndarray, "n 2"]:
    """Return the places of fractional rows and columns of a rasterio dataset, counted from the outer corner.

    Returns:
        Degrees, WGS 84, shape (n, 2); NaN if the dataset has no georeference.

    Raises:
        ValueError: If the CRS of the dataset has no known relation to the Earth.
    """
    rows, columns = np.broadcast_arrays(np.atleast_1d(rows).astype(float), np.atleast_1d(columns).astype(float))
    if dataset.crs is None or dataset.transform.is_identity:
        return np.full((len(rows), 2), np.nan)
    a, b, c, d, e, f = tuple(dataset.transform)[:6]
    x, y = a * columns + b * rows + c, d * columns + e * rows + f
    return lonlat_of_xy(np.stack([x, y], axis=-1), dataset.crs.to_wkt())


def _grid_of(dataset: Any, crs: str | None) -> Grid:
    if dataset.transform.is_identity:
        raise ValueError(
            f"{dataset.name} has no geotransform, so its location is unknown; warp it with gdalwarp first."
        )
    if dataset.crs is not None:
        if crs is not None:
            raise ValueError(f"{dataset.name} states its own CRS ({crs_name(dataset.crs.to_wkt())}); leave crs out.")
        crs = dataset.crs.to_wkt()
    elif crs is None:
        west, south, east, north = bounds = tuple(dataset.bounds)
        if max(abs(west), abs(east)) > 361 or max(abs(south), abs(north)) > 91:
            raise ValueError(
                f"{dataset.name} has no CRS, and its bounds {bounds} are not degrees; give it, such as "
                "crs: 'EPSG:32632'."
            )
        _log.warning("%s has no CRS; its bounds %s are taken as degrees. If not, give crs.", dataset.name, bounds)
    try:
        crs = None if crs is None or same_as_wgs84(crs) else crs
    except ValueError as error:
        raise ValueError(f"{dataset.name}: {error}") from error
    return Grid(dataset.height, dataset.width, tuple(dataset.transform)[:6], crs)


def choose_bands(path: Path, names: Sequence[str], bands: Sequence[int | str] | None) -> list[int]:
    """Return the positions of bands given by name or number from 1 (None: all); ValueError lists the known ones."""
    chosen = []
    for band in range(1, len(names) + 1) if bands is None else bands:
        if isinstance(band, str) and band in names:
            chosen.append(list(names).index(band))
        elif isinstance(band, int) and 1 <= band <= len(names):
            chosen.append(band - 1)
        else:
            known = ", ".join(f"{number} ({name})" for number, name in enumerate(names[:30], 1))
            raise ValueError(f"{path} has no band {band!r}; it has {len(names)}: {known}.")
    if not chosen:
        raise ValueError(f"bands of {path} is empty; leave it out for all {len(names)} bands.")
    return chosen


def _at_least(block: int, whole: int) -> int:
    return min(whole, block * -(-_LEAST_TILE // block))
