"""Rasters that GDAL opens, such as GeoTIFF, COG and VRT, read in pieces."""

import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from geotether.sources.grids.grid import Grid, same_as_wgs84

# Nothing is read twice from GDAL's cache, which by default takes 5 % of the machine's memory.
CACHE_BYTES = 64_000_000
_LEAST_TILE = 256


class GdalRaster:
    """A raster file, opened with rasterio; see `open_gdal`.

    Args:
        path: A file that rasterio opens.
        bands: Names or numbers from 1. None: all.

    Attributes:
        path: As given.
        grid: Where its cells lie.
        names: One a band.
        dtype: Of what `read` gives.
        missing: The value that stands for no data: a number, NaN, or None where every cell has data.
        scales: What values are multiplied with, one a band; None: they stand as they are.
        offsets: What is then added.
        tile: Rows and columns that are best read together.
    """

    def __init__(self, path: str | Path, bands: Sequence[int | str] | None = None) -> None:
        self.path = Path(path)
        self._dataset = open_gdal(self.path)
        self.grid = gdal_grid(self._dataset)
        colours = [colour.name for colour in self._dataset.colorinterp]
        every = [
            text or (colour if colour in ("red", "green", "blue", "alpha") else f"band {number}")
            for number, (text, colour) in enumerate(zip(self._dataset.descriptions, colours, strict=True), 1)
        ]
        every = [name if every.count(name) == 1 else f"band {number}" for number, name in enumerate(every, 1)]
        chosen = choose_bands(self.path, every, bands)
        self.names = [every[band] for band in chosen]
        self._numbers = [band + 1 for band in chosen]
        self._look_at_values([self._dataset.dtypes[band] for band in chosen], chosen)
        height, width = self._dataset.block_shapes[0]
        # Strips and small blocks are read several at once.
        self.tile = (_at_least(height, self.grid.height), _at_least(width, self.grid.width))

    def read(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        """Read cells as stored, shape (height, width, bands); no data is `missing`."""
        import rasterio
        from rasterio.windows import Window

        with rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES):
            piece = self._dataset.read(
                self._numbers, window=Window(left, top, width, height), masked=self._masked, out_dtype=self.dtype
            )
        if self._masked:
            piece = np.where(np.ma.getmaskarray(piece), self.dtype.type(np.nan), piece.data)
        return np.moveaxis(piece, 0, -1)

    def files(self) -> list[Path]:
        """Name the files it is made of, such as those behind a VRT."""
        return [Path(name) for name in sorted(self._dataset.files) if Path(name).is_file()] or [self.path]

    def _look_at_values(self, dtypes: list[str], chosen: list[int]) -> None:
        from rasterio.enums import MaskFlags

        self.dtype = np.result_type(*map(np.dtype, dtypes))
        if self.dtype.kind == "c":
            raise ValueError(f"{self.path} holds complex numbers; write their parts as bands of their own.")
        nodata = {repr(self._dataset.nodatavals[band]): self._dataset.nodatavals[band] for band in chosen}
        flags = [set(self._dataset.mask_flag_enums[band]) for band in chosen]
        self._masked = False
        self.missing: float | None = None
        if self.dtype.kind == "f":
            # Some files hold NaN without saying so.
            self.missing, self._masked = math.nan, any(MaskFlags.all_valid not in flag for flag in flags)
        elif any(MaskFlags.alpha in flag or MaskFlags.per_dataset in flag for flag in flags) or len(nodata) > 1:
            # A mask beside the cells: no number of their own type is free to stand for it.
            self._masked, self.missing = True, math.nan
            self.dtype = np.result_type(self.dtype, np.float32)
        else:
            self.missing = next(iter(nodata.values()))
        scales = np.array([self._dataset.scales[band] for band in chosen])
        offsets = np.array([self._dataset.offsets[band] for band in chosen])
        plain = (scales == 1).all() and (offsets == 0).all()
        self.scales: np.ndarray | None = None if plain else scales
        self.offsets: np.ndarray | None = None if plain else offsets


def open_gdal(path: Path) -> Any:
    """Open a raster with rasterio.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no raster.
        ImportError: If rasterio is missing.
    """
    try:
        import rasterio
        import rasterio.errors
    except ImportError:
        raise ImportError("Rasters are read with rasterio: pip install 'geotether[geo]'.") from None
    if not path.exists():
        raise FileNotFoundError(f"There is no raster {path}.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)  # an error in `gdal_grid`
            dataset = rasterio.open(path)
    except rasterio.errors.RasterioIOError as error:
        raise ValueError(f"{path} is damaged or no raster that GDAL knows: {error}") from error
    if dataset.count == 0:
        names = ", ".join(name.rsplit(":", 1)[-1] for name in dataset.subdatasets[:20])
        raise ValueError(f"{path} has no bands of its own; convert one of its parts to GeoTIFF: {names or 'none'}.")
    return dataset


def gdal_grid(dataset: Any) -> Grid:
    """Tell where the cells of an open dataset lie.

    Raises:
        ValueError: If it does not say so.
    """
    if dataset.transform.is_identity:
        raise ValueError(f"{dataset.name} does not say where it lies (no geotransform); warp it with gdalwarp first.")
    if dataset.crs is None and max(map(abs, dataset.bounds)) > 361:
        raise ValueError(f"{dataset.name} has no CRS, and its bounds {tuple(dataset.bounds)} are no degrees.")
    crs = None if dataset.crs is None else dataset.crs.to_wkt()
    return Grid(
        dataset.height, dataset.width, tuple(dataset.transform)[:6], None if crs and same_as_wgs84(crs) else crs
    )


def choose_bands(path: Path, names: Sequence[str], bands: Sequence[int | str] | None) -> list[int]:
    """Find bands by name or number.

    Args:
        path: For messages.
        names: Of all bands.
        bands: Names, or numbers from 1. None: all.

    Returns:
        Positions from 0.

    Raises:
        ValueError: If there is no such band; those that are there are listed.
    """
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
        raise ValueError(f"No band of {path} was asked for; leave bands out for all {len(names)}.")
    return chosen


def _at_least(block: int, whole: int) -> int:
    return min(whole, block * -(-_LEAST_TILE // block))
