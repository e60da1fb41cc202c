"""Cloud-optimized GeoTIFF: rasters of any size written block by block, with named bands and overviews."""

import errno
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from geotether.files.disk import replacing_file, working_folder

if TYPE_CHECKING:
    from geotether.regions.grid import Grid

# Two threads compress; their number does not change the bytes of the file.
_THREADS = "2"
_CACHE_BYTES = 128_000_000
# A tile holds all bands, and readers load it whole.
_TILE_BYTES = 8 * 2**20


class Band(NamedTuple):
    """One band of a raster.

    Attributes:
        name: Short name, such as "e0", which QGIS shows.
        unit: Unit of the values, such as "m"; "" if they have none.
        description: One sentence for the file's metadata.
        scale: The value is `scale` x the stored number + `offset`.
        offset: See `scale`.
    """

    name: str
    unit: str = ""
    description: str = ""
    scale: float = 1.0
    offset: float = 0.0


def write_raster(
    path: str | Path,
    grid: "Grid",
    bands: Sequence[Band],
    blocks: Iterable[tuple[slice, slice, np.ndarray]],
    dtype: str,
    nodata: float | None,
    tags: Mapping[str, str],
    colours: Mapping[int, tuple[int, int, int]] | None = None,
    resampling: str | None = None,
) -> None:
    """Write a tiled, compressed COG with overviews; the file is complete or absent, and equal for equal input.

    Memory is bounded by a block and 128 MB. During the work, an uncompressed copy lies beside the file.

    Args:
        path: The file, which is replaced.
        grid: Where the pixels lie.
        bands: One per band. Three that are called red, green and blue are shown as a colour picture.
        blocks: Rows, columns and values of shape (bands, rows, columns), in any order, without overlap; blocks that
            start on multiples of 512 are fastest. Pixels in no block are nodata, or 0 if `nodata` is None.
        dtype: "float32", "uint8", "int16", ...; "float16" is rounded to that precision and stored as float32, whose
            empty bits compress to nothing. (The 16-bit numbers of GDAL, NBITS=16, take more room, few programs read
            them, and bytes of theirs at the edge come from memory that was never set.)
        nodata: Value of pixels without data, which `dtype` must be able to hold.
        tags: Metadata of the file.
        colours: Colour table of a single band of uint8: value to red, green and blue, 0 to 255.
        resampling: How overviews summarise pixels, as GDAL names it; by default "mode" with colours, else "average".

    Raises:
        ValueError: If a block does not fit the grid and the bands, or the number type is unknown.
        OSError: If the disk is full or the folder cannot be written to; an existing file is unchanged.
        ImportError: If rasterio is not installed.
    """
    require_rasterio()
    import rasterio
    import rasterio.shutil
    from rasterio._err import CPLE_BaseError
    from rasterio.errors import RasterioError

    half = np.dtype(dtype) == np.float16
    stored = "float32" if half else np.dtype(dtype).name
    side = _tile_side(len(bands), np.dtype(dtype).itemsize)
    resampling = resampling or ("average" if colours is None else "mode")
    options: dict[str, Any] = {
        "COMPRESS": "DEFLATE",
        "PREDICTOR": "YES",
        "BLOCKSIZE": str(side),
        "OVERVIEW_RESAMPLING": resampling.upper(),
        "BIGTIFF": "IF_SAFER",
        "NUM_THREADS": _THREADS,
    }
    with replacing_file(path) as part, working_folder(path) as folder, rasterio.Env(GDAL_CACHEMAX=_CACHE_BYTES):
        plain, cloud = folder / "plain.tif", folder / "cloud.tif"
        try:
            with _new_raster(plain, grid, bands, stored, nodata, side) as file:
                _describe(file, bands, tags, colours)
                for rows, columns, values in blocks:
                    _check_block(grid, len(bands), rows, columns, values)
                    values = values.astype(np.float16) if half else values
                    window = rasterio.windows.Window.from_slices(rows, columns)
                    file.write(values.astype(stored, copy=False), window=window)
            rasterio.shutil.copy(plain, cloud, driver="COG", **options)
            _check_complete(cloud)
        except (RasterioError, CPLE_BaseError) as error:
            raise OSError(errno.EIO, f"GDAL could not write the raster ({error})") from error
        cloud.replace(part)


def require_rasterio() -> None:
    """Raise ImportError, which names the command that installs it, if rasterio cannot be imported."""
    try:
        import rasterio.shutil  # noqa: F401
    except ImportError:
        raise ImportError("GeoTIFF is written with rasterio: pip install 'geotether[geo]'.") from None


def _new_raster(path: Path, grid: "Grid", bands: Sequence[Band], dtype: str, nodata: float | None, side: int) -> Any:
    """Create an uncompressed raster; blocks that are never written take no space."""
    import rasterio

    return rasterio.open(
        path, "w", "GTiff", grid.columns, grid.rows, len(bands), grid.crs, rasterio.Affine(*grid.transform), dtype,
        nodata, tiled=True, blockxsize=side, blockysize=side, interleave="band", bigtiff="YES", sparse_ok=True,
    )  # fmt: skip


def _describe(
    file: Any, bands: Sequence[Band], tags: Mapping[str, str], colours: Mapping[int, tuple[int, int, int]] | None
) -> None:
    from rasterio.enums import ColorInterp

    file.update_tags(**tags)
    file.descriptions = [band.name for band in bands]
    file.units = [band.unit for band in bands]
    file.scales = [band.scale for band in bands]
    file.offsets = [band.offset for band in bands]
    for number, band in enumerate(bands, 1):
        if band.description:
            file.update_tags(number, description=band.description)
    if [band.name for band in bands] == ["red", "green", "blue"]:
        file.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue]
    elif colours is None:
        file.colorinterp = [ColorInterp.gray] + [ColorInterp.undefined] * (len(bands) - 1)
    else:
        file.write_colormap(1, dict(colours))


def _tile_side(bands: int, itemsize: int) -> int:
    """Choose the side of a tile, a power of two from 64 to 512."""
    side = 512
    while side > 64 and bands * itemsize * side**2 > _TILE_BYTES:
        side //= 2
    return side


def _check_block(grid: "Grid", bands: int, rows: slice, columns: slice, values: np.ndarray) -> None:
    wanted = (bands, rows.stop - rows.start, columns.stop - columns.start)
    if values.shape != wanted or not (0 <= rows.start < rows.stop <= grid.rows and 0 <= columns.start < columns.stop):
        raise ValueError(f"a block of rows {rows} and columns {columns} has shape {values.shape}; wanted {wanted}.")
    if columns.stop > grid.columns:
        raise ValueError(f"a block of columns {columns} is outside the grid of {grid.columns} columns.")


def _check_complete(path: Path) -> None:
    """Read the last tile of the raster and of each overview; GDAL does not report all failures to write."""
    import rasterio

    with rasterio.open(path) as file:
        levels = len(file.overviews(1))
    for level in (None, *range(levels)):
        with rasterio.open(path, **({} if level is None else {"overview_level": level})) as file:
            height, width = file.shape
            file.read(window=((height - 1, height), (width - 1, width)))
