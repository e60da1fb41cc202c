"""Values at places, for tasks: from a GeoTIFF of any grid, or from terrarium elevation tiles."""

from pathlib import Path

import numpy as np
from jaxtyping import Float, Float64

from geotether.geodesy.coordinates import check_lonlat
from geotether.sources.grids.cells import Cells
from geotether.sources.grids.geotiff import GdalRaster

# Web Mercator ends here: atan(sinh(pi)) in degrees.
MERCATOR_LATITUDE = 85.0511287798066
TERRARIUM_EMPTY = -32768.0


def raster_values(path: str | Path, lonlat: Float[np.ndarray, "n 2"], band: int = 1) -> Float64[np.ndarray, " n"]:
    """Read the value of the cell that contains each place.

    The raster may have any resolution, grid, projection and longitude range (-180..180 or 0..360), and is taken as
    degrees without a CRS; only the tiles that contain places are read, and a bounded number of them is kept in memory.

    Args:
        path: A raster that rasterio opens, such as a GeoTIFF.
        lonlat: Places in degrees, WGS 84, shape (n, 2).
        band: Number of the band, from 1.

    Returns:
        Values with scale and offset applied, shape (n,); NaN outside the raster and where it has no data.

    Raises:
        ValueError: If it is not a raster, has no such band, or has no georeference.
    """
    cells = Cells(GdalRaster(path, [band]))
    check_lonlat(lonlat)
    return cells.values(lonlat.astype(np.float64))[:, 0]


def terrarium_values(
    folder: str | Path, lonlat: Float[np.ndarray, "n 2"], zoom: int | None = None
) -> tuple[Float64[np.ndarray, " n"], int]:
    """Read elevations in metres from terrarium tiles, `{zoom}/{x}/{y}.png` in Web Mercator.

    By default the zoom is the deepest. Elevations are NaN beyond 85.0511 degrees of latitude and where a tile is
    missing or empty; with them comes the number of places whose tile is missing. A missing zoom is FileNotFoundError.

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
            f"{folder} contains {wanted}; terrarium tiles are in {{zoom}}/{{x}}/{{y}}.png, "
            f"zoom levels found: {', '.join(map(str, levels)) or 'none'}."
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
            raise ValueError(f"{path} is damaged or not an image: {error}.") from error
        height, width = colour.shape[:2]
        row = np.clip(((y[here] - top) * height).astype(np.int64), 0, height - 1)
        column = np.clip(((x[here] - left) * width).astype(np.int64), 0, width - 1)
        red, green, blue = colour[row, column].T
        metres = red * 256.0 + green + blue / 256.0 + TERRARIUM_EMPTY
        values[known[here]] = np.where(metres == TERRARIUM_EMPTY, np.nan, metres)
    return values, missing


def terrarium_zooms(folder: str | Path) -> list[int]:
    """List the zoom levels in a folder of tiles, shallowest first; empty if there are none."""
    folder = Path(folder)
    entries = folder.iterdir() if folder.is_dir() else ()
    return sorted(int(entry.name) for entry in entries if entry.is_dir() and entry.name.isdecimal())
