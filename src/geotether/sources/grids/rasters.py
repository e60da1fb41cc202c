"""Values of rasters at places: GeoTIFF of any grid, and terrarium elevation tiles."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float64, Integer

from geotether.geodesy.coordinates import check_lonlat
from geotether.sources.grids.geotiff import CACHE_BYTES, gdal_grid, open_gdal

# The most pixels read at once: 64 MB of float32. A global 30-arc-second raster is read in about 60 such pieces.
PIXELS_AT_ONCE = 16_000_000
# Web Mercator ends here: atan(sinh(pi)) in degrees.
MERCATOR_LATITUDE = 85.0511287798066
TERRARIUM_EMPTY = -32768.0


def raster_values(path: str | Path, lonlat: Float[np.ndarray, "n 2"], band: int = 1) -> Float64[np.ndarray, " n"]:
    """Read the cell that each place lies in.

    The raster may have any resolution, grid, projection and longitude range (-180..180 or 0..360); it is read in
    pieces of bounded size, and only where there are places.

    Args:
        path: A raster that rasterio opens, such as a GeoTIFF. Without a CRS its numbers are taken as degrees.
        lonlat: Places in degrees, WGS 84, shape (n, 2).
        band: Which band, from 1.

    Returns:
        Values with scale and offset applied, shape (n,); NaN outside the raster and where it has no data.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no raster, has no such band, or does not say where it lies.
        ImportError: If rasterio is missing.
    """
    path = Path(path)
    dataset = open_gdal(path)
    import rasterio

    with dataset, rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES):
        check_lonlat(lonlat)
        if not 1 <= band <= dataset.count:
            raise ValueError(f"{path} has {dataset.count} bands; got band={band}.")
        grid = gdal_grid(dataset)
        found_rows, found_columns = grid.cells(lonlat.astype(np.float64))
        inside = grid.inside(found_rows, found_columns)
        rows, columns = (
            np.clip(np.floor(np.where(inside, place, 0.0)), 0, size - 1).astype(np.int64)
            for place, size in ((found_rows, grid.height), (found_columns, grid.width))
        )
        values = np.full(len(lonlat), np.nan)
        for window, here in _pieces(dataset, rows, columns, np.flatnonzero(inside), band):
            piece = dataset.read(band, window=window, masked=True)
            found = piece[rows[here] - window.row_off, columns[here] - window.col_off]
            values[here] = np.ma.filled(found.astype(np.float64), np.nan)
        return values * dataset.scales[band - 1] + dataset.offsets[band - 1]


def _pieces(
    dataset: Any,
    rows: Integer[np.ndarray, " n"],
    columns: Integer[np.ndarray, " n"],
    places: Integer[np.ndarray, " m"],
    band: int,
) -> Iterator[tuple[Any, Integer[np.ndarray, " k"]]]:
    """Windows that hold all the places, each of at most `PIXELS_AT_ONCE` pixels, and the places in them."""
    from rasterio.windows import Window

    block_height, block_width = dataset.block_shapes[band - 1]
    # Whole blocks, because a block is the least that can be read.
    width = min(dataset.width, max(block_width, PIXELS_AT_ONCE // block_height // block_width * block_width))
    height = max(block_height, PIXELS_AT_ONCE // width // block_height * block_height)
    across = -(-dataset.width // width)
    piece = rows[places] // height * across + columns[places] // width
    order = np.argsort(piece, kind="stable")
    for here in np.split(places[order], np.flatnonzero(np.diff(piece[order])) + 1):
        if len(here):
            top, left = rows[here].min(), columns[here].min()
            yield Window(left, top, columns[here].max() - left + 1, rows[here].max() - top + 1), here


def terrarium_values(
    folder: str | Path, lonlat: Float[np.ndarray, "n 2"], zoom: int | None = None
) -> tuple[Float64[np.ndarray, " n"], int]:
    """Read elevations from terrarium tiles, `{zoom}/{x}/{y}.png` in Web Mercator.

    Args:
        folder: The folder that holds the zoom levels.
        lonlat: Places in degrees, shape (n, 2).
        zoom: Which level. None: the deepest one that is there.

    Returns:
        Metres, shape (n,), NaN beyond 85.0511 degrees of latitude and where a tile is missing or empty; and the
        number of places whose tile is missing.

    Raises:
        FileNotFoundError: If there is no such folder or zoom level.
        ValueError: If a tile is no image.

    Source:
        Mapzen / Tilezen, Joerd, docs/formats.md, "Terrarium": red * 256 + green + blue / 256 - 32768.
    """
    from PIL import Image, UnidentifiedImageError

    folder = Path(folder)
    check_lonlat(lonlat)
    levels = terrarium_zooms(folder)
    if not levels or (zoom is not None and zoom not in levels):
        wanted = "no zoom level" if zoom is None else f"no zoom level {zoom}"
        raise FileNotFoundError(
            f"{folder} holds {wanted}; terrarium tiles lie in {{zoom}}/{{x}}/{{y}}.png, "
            f"zoom levels here: {', '.join(map(str, levels)) or 'none'}."
        )
    level = levels[-1] if zoom is None else zoom
    values = np.full(len(lonlat), np.nan)
    known = np.flatnonzero(np.abs(lonlat[:, 1]) <= MERCATOR_LATITUDE)
    lon, lat = (lonlat[known, 0] + 180.0) % 360.0, np.radians(lonlat[known, 1])
    x = lon / 360.0 * 2**level
    y = (1.0 - np.arcsinh(np.tan(lat)) / np.pi) / 2.0 * 2**level
    tile_x, tile_y = (np.clip(np.floor(v), 0, 2**level - 1).astype(np.int64) for v in (x, y))
    tiles, which = np.unique(np.stack([tile_x, tile_y]), axis=1, return_inverse=True)
    missing = 0
    for number, (left, top) in enumerate(tiles.T):
        here = np.flatnonzero(which.reshape(-1) == number)
        path = folder / str(level) / str(left) / f"{top}.png"
        if not path.is_file():
            missing += len(here)
            continue
        try:
            with Image.open(path) as image:
                colour = np.asarray(image.convert("RGB"), dtype=np.float64)
        except (UnidentifiedImageError, OSError) as error:
            raise ValueError(f"{path} is damaged or no image: {error}.") from error
        height, width = colour.shape[:2]
        row = np.clip(((y[here] - top) * height).astype(np.int64), 0, height - 1)
        column = np.clip(((x[here] - left) * width).astype(np.int64), 0, width - 1)
        red, green, blue = colour[row, column].T
        metres = red * 256.0 + green + blue / 256.0 + TERRARIUM_EMPTY
        values[known[here]] = np.where(metres == TERRARIUM_EMPTY, np.nan, metres)
    return values, missing


def terrarium_zooms(folder: str | Path) -> list[int]:
    """List the zoom levels in a folder of tiles, shallowest first; an empty list if it is none.

    Args:
        folder: Need not exist.
    """
    folder = Path(folder)
    entries = folder.iterdir() if folder.is_dir() else ()
    return sorted(int(entry.name) for entry in entries if entry.is_dir() and entry.name.isdecimal())
