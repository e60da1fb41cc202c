"""Chips from GeoTIFFs: bands on one grid, in the number type of the file, and the place of the middle."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Shaped

# How bands are brought to a finer grid; to a coarser one they are always averaged.
ENLARGING = ("bilinear", "nearest", "cubic")


@contextmanager
def reading_geotiffs() -> Iterator[None]:
    """Read many small GeoTIFFs: GDAL need not list the folder of each.

    Raises:
        ImportError: If rasterio is missing.
    """
    try:
        import rasterio
    except ImportError:
        raise ImportError("GeoTIFFs are read with rasterio: pip install 'geotether[geo]'.") from None
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"):
        yield


def check_size(size: int | None, enlarge: str) -> None:
    """Refuse options of the grid that cannot be meant.

    Raises:
        ValueError: If `size` is below 1 or `enlarge` none of `ENLARGING`.
    """
    if size is not None and size < 1:
        raise ValueError(f"size is a number of pixels from 1, got {size}.")
    if enlarge not in ENLARGING:
        raise ValueError(f"enlarge must be one of {', '.join(ENLARGING)}, got {enlarge!r}.")


@contextmanager
def open_geotiff(path: Path) -> Iterator[Any]:
    """Open a GeoTIFF with rasterio, whether or not it says where it lies.

    Raises:
        ValueError: If it is no image that can be read.
    """
    import warnings

    import rasterio

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            file = rasterio.open(path)
    except rasterio.errors.RasterioIOError as error:
        raise ValueError(f"{path} is no image that can be read: {error}") from error
    with file:
        yield file


def read_chip(
    path: Path | Any,
    bands: Sequence[int] | None,
    expected: int | None,
    size: int | None = None,
    enlarge: str = "bilinear",
    window: tuple[int, int, int] | None = None,
) -> Shaped[np.ndarray, "bands height width"]:
    """Read bands of a GeoTIFF.

    Args:
        path: The file, or the same opened by `open_geotiff`.
        bands: Which bands, from 0; None for all.
        expected: How many bands the file must have; None for any number.
        size: Bring it to so many pixels a side. None: as it is.
        enlarge: How, if the new pixels are smaller: one of `ENLARGING`. Larger ones are means.
        window: Row, column and side of a square to cut out, in pixels. None: the whole.

    Returns:
        In the number type of the file; masked floating-point numbers (the file's nodata) are NaN.

    Raises:
        ValueError: If the file cannot be read or has another number of bands.
    """
    import rasterio
    from rasterio.enums import Resampling
    from rasterio.windows import Window

    with open_geotiff(path) if isinstance(path, Path) else nullcontext(path) as file:
        if expected is not None and file.count != expected:
            raise ValueError(f"{file.name} has {file.count} bands, not {expected}.")
        part = None if window is None else Window(window[1], window[0], window[2], window[2])
        height, width = (file.height, file.width) if window is None else (window[2], window[2])
        chosen = [band + 1 for band in range(file.count)] if bands is None else [band + 1 for band in bands]
        shape = None if size is None else (len(chosen), size, size)
        larger = size is not None and (size < height or size < width)
        how = Resampling.average if larger else Resampling[enlarge]
        try:
            chip = file.read(chosen, window=part, out_shape=shape, resampling=how)
        except rasterio.errors.RasterioIOError as error:
            raise ValueError(f"{file.name} is damaged or cut short: {error}") from error
        if chip.dtype.kind == "f" and file.nodata is not None and not np.isnan(file.nodata):
            chip[chip == file.nodata] = np.nan
    return chip


def chip_places(
    path: Path | Any, windows: Sequence[tuple[int, int, int] | None] = (None,)
) -> Float64[np.ndarray, "n 2"]:
    """Longitudes and latitudes (degrees, WGS 84) of the middles of squares of a GeoTIFF; of None, of the whole.

    Returns:
        Shape (n, 2); NaN if the file does not say where it lies.

    Raises:
        ValueError: If the file cannot be read.
    """
    from rasterio.warp import transform

    with open_geotiff(path) if isinstance(path, Path) else nullcontext(path) as file:
        if file.crs is None or file.transform.is_identity:
            return np.full((len(windows), 2), np.nan)
        whole = [0.0, 0.0, file.height, file.width]
        parts = np.array([whole if at is None else [at[0], at[1], at[2], at[2]] for at in windows], dtype=np.float64)
        across, down = parts[:, 1] + parts[:, 3] / 2, parts[:, 0] + parts[:, 2] / 2
        a, b, c, d, e, f = tuple(file.transform)[:6]
        lon, lat = transform(file.crs, "OGC:CRS84", a * across + b * down + c, d * across + e * down + f)
    return np.stack([lon, lat], axis=1)


def grid_of(path: Path) -> tuple[int, int, tuple[float, ...], str]:
    """Height, width, the six numbers of the transform and the CRS: what two images of one place must share."""
    with open_geotiff(path) as file:
        return file.height, file.width, tuple(file.transform)[:6], str(file.crs)


def band_count(path: Path) -> int:
    """Number of bands of a GeoTIFF."""
    with open_geotiff(path) as file:
        return file.count


def all_places(
    places: Sequence[np.ndarray],
    files: Sequence[Any],
    advice: str = "Leave them out, or georeference them (gdal_edit).",
) -> Float64[np.ndarray, "n 2"] | None:
    """Join the places of all rows.

    Args:
        places: Longitude and latitude of every row, NaN where unknown.
        files: What to name in the message, one a row.
        advice: What to do if some have none.

    Returns:
        Shape (n, 2), or None if no row has a place.

    Raises:
        ValueError: If some rows have a place and others have none.
    """
    lonlat = np.array(places, dtype=np.float64)
    lost = np.isnan(lonlat[:, 0])
    if lost.all():
        return None
    if lost.any():
        raise ValueError(
            f"{lost.sum()} of {len(lost)} images do not say where they lie, such as {files[int(lost.argmax())]}. "
            + advice
        )
    return lonlat
