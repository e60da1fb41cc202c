"""Pixels of one encoded image, with what it says of its place and time."""

import io
import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from geotether.sources.pictures.exif import NOWHERE, photo_place, photo_time

MODES = ("RGB", "L")
MAX_PIXELS = 100_000_000
UNKNOWN_TIME: Any = np.datetime64("NaT", "ms")
# First bytes of the formats that are told by them.
_MAGIC = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n": "PNG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"GIF8": "GIF",
    b"BM": "BMP",
}
_DEEP = {"I", "F", "I;16", "I;16B", "I;16L", "I;16N"}  # modes of Pillow with more than 8 bits, one band


class ImageError(ValueError):
    """An image that cannot be used; the message is the reason, the same words for the same fault."""


@dataclass(frozen=True, eq=False)
class Photo:
    """An image and what it says of itself.

    Attributes:
        pixels: Shape (height, width, bands), of the number type of the file.
        place: Longitude and latitude in degrees, NaN if unknown.
        no_place: Why the place is unknown; empty if it is known.
        time: datetime64[ms] in UTC, NaT if unknown.
    """

    pixels: np.ndarray
    place: tuple[float, float]
    no_place: str
    time: np.datetime64


def image_kind(start: bytes) -> str:
    """Tell the format of an image by its first bytes: "JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP" or "".

    Args:
        start: At least the first 12 bytes.

    Example:
        >>> image_kind(bytes.fromhex("ffd8ffe000104a4649460001"))
        'JPEG'
    """
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WEBP"
    return next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), "")


def check_image_options(mode: str | None, size: int | None, max_pixels: int) -> None:
    """Refuse options of `read_photo` that make no sense.

    Raises:
        ValueError: If one is out of range.
    """
    if mode is not None and mode not in MODES:
        raise ValueError(f"mode must be 'RGB', 'L' (grey) or None (bands as they are), got {mode!r}.")
    if size is not None and size < 1:
        raise ValueError(f"size must be 1 pixel or more, or None (images as they are), got {size}.")
    if max_pixels < 1:
        raise ValueError(f"max_pixels must be 1 or more, got {max_pixels}.")


def read_photo(
    data: bytes,
    mode: str | None = None,
    size: int | None = None,
    max_pixels: int = MAX_PIXELS,
    needs_place: bool = False,
) -> Photo:
    """Decode an image.

    TIFF is read by rasterio as it is, any number of bands and any number type, missing floating-point values as NaN;
    its place is the middle of what it covers. All else is read by Pillow: turned upright by its EXIF, transparency
    dropped, palettes and CMYK made RGB; grey stays one band and 16 bits stay 16 bits.

    Args:
        data: The bytes of the file.
        mode: "RGB" or "L": convert to three bands or to grey (by Pillow, TIFF as well). None: bands as they are.
        size: Resize the shorter side to so many pixels and cut out the middle. None: as it is.
        max_pixels: Larger images are refused before they are decoded.
        needs_place: Refuse an image that does not say where it was taken, before it is decoded.

    Returns:
        The image and what it says of itself.

    Raises:
        ImageError: With the reason, if it cannot be used.
        ImportError: If it is a TIFF and rasterio is missing.
    """
    kind = image_kind(data[:16])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # broken metadata are no matter; sizes are checked here
            if kind == "TIFF" and mode is None:
                return _read_tiff(data, size, max_pixels, needs_place)
            return _read_picture(data, mode, size, max_pixels, needs_place)
    except (ImageError, ImportError):
        raise
    except Exception as error:  # decoders raise anything on damaged bytes, and one image must not stop a million
        raise ImageError(f"damaged or cut short {kind or 'image'}") from error


def _read_picture(data: bytes, mode: str | None, size: int | None, max_pixels: int, needs_place: bool) -> Photo:
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        image: Any = Image.open(io.BytesIO(data))
    except UnidentifiedImageError as error:
        kind = image_kind(data[:16])
        raise ImageError(f"damaged or cut short {kind}" if kind else "no image of a known format") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"more than {max_pixels} pixels; raise max_pixels if it is meant to be so large") from error
    with image:
        _refuse_size(image.width, image.height, max_pixels)
        exif = image.getexif()
        place, no_place = photo_place(exif)
        if needs_place and no_place:
            raise ImageError(no_place)
        time = photo_time(exif, place[0])
        upright = ImageOps.exif_transpose(image)
        if mode is not None and upright.mode in _DEEP:
            raise ImageError(f"more than 8 bits a pixel, which mode={mode!r} would cut off; leave mode out")
        if upright.mode != mode and upright.mode not in _DEEP and (mode or upright.mode not in MODES):
            upright = upright.convert(mode or ("L" if upright.mode in ("1", "LA", "La") else "RGB"))
        if size is not None and upright.mode in MODES:
            upright = ImageOps.fit(upright, (size, size), method=Image.Resampling.BICUBIC)
        pixels = np.asarray(upright)
    pixels = np.atleast_3d(pixels).astype(pixels.dtype.newbyteorder("="), copy=False)
    if size is not None and pixels.shape[:2] != (size, size):
        pixels = _fit_bands(pixels, size)
    return Photo(pixels, place, no_place, time)


def _read_tiff(data: bytes, size: int | None, max_pixels: int, needs_place: bool) -> Photo:
    rasterio = _rasterio()
    with rasterio.io.MemoryFile(data) as memory, memory.open() as file:
        _refuse_size(file.width, file.height, max_pixels)
        place, no_place, time = _tiff_place(file), "", UNKNOWN_TIME
        if math.isnan(place[0]):
            place, no_place, time = _tiff_exif(data)
        if needs_place and no_place:
            raise ImageError(no_place)
        pixels = np.moveaxis(file.read(), 0, -1)
        if file.nodata is not None and pixels.dtype.kind == "f":
            pixels[pixels == file.nodata] = np.nan
    if pixels.dtype.kind not in "uif":
        raise ImageError(f"pixels of type {pixels.dtype} are no real numbers")
    return Photo(np.ascontiguousarray(pixels) if size is None else _fit_bands(pixels, size), place, no_place, time)


def _tiff_place(file: Any) -> tuple[float, float]:
    """The middle of a georeferenced image in degrees, NaN if it does not say where it lies."""
    from rasterio.warp import transform

    if file.crs is None or file.transform.is_identity:
        return NOWHERE
    x, y = file.xy((file.height - 1) / 2, (file.width - 1) / 2)
    (lon,), (lat,) = transform(file.crs, "OGC:CRS84", [x], [y])
    return (lon, lat) if math.isfinite(lon) and math.isfinite(lat) else NOWHERE


def _tiff_exif(data: bytes) -> tuple[tuple[float, float], str, np.datetime64]:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data)) as image:
            exif = image.getexif()
            place, no_place = photo_place(exif)
            return place, no_place, photo_time(exif, place[0])
    except UnidentifiedImageError:  # bands or numbers that Pillow does not know, but rasterio does
        return NOWHERE, "no georeference and no GPS position in its EXIF", UNKNOWN_TIME


def _refuse_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise ImageError(f"more than {max_pixels} pixels; raise max_pixels if it is meant to be so large")


def _fit_bands(pixels: np.ndarray, size: int) -> np.ndarray:
    """Resize and crop any number of bands of any number type, each by itself."""
    from PIL import Image, ImageOps

    bands = []
    for band in np.moveaxis(pixels, -1, 0):
        image = Image.fromarray(np.ascontiguousarray(band, dtype=np.float32))
        bands.append(np.asarray(ImageOps.fit(image, (size, size), method=Image.Resampling.BILINEAR)))
    fitted = np.stack(bands, axis=-1)
    return fitted.astype(pixels.dtype) if pixels.dtype.kind == "f" else np.rint(fitted).astype(pixels.dtype)


def _rasterio() -> Any:
    try:
        import rasterio
        import rasterio.io
    except ImportError:
        raise ImportError("TIFF images are read with rasterio: pip install 'geotether[geo]'.") from None
    return rasterio


def read_file(path: Path, min_bytes: int = 0) -> bytes:
    """Read a file of an image.

    Raises:
        ImageError: With the reason, if there is none, it cannot be read, or it is smaller than `min_bytes`.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise ImageError("there is no such file") from error
    except OSError as error:
        raise ImageError(f"the file cannot be read: {error.strerror}") from error
    if not data:
        raise ImageError("the file is empty")
    if len(data) < min_bytes:
        raise ImageError(f"the file is smaller than {min_bytes} bytes")
    return data
