"""Decoding of images: pixels, and the place and time in their metadata."""

import io
import math
import warnings
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from geotether.sources.grids.geotiff import lonlat_in, open_geotiff
from geotether.sources.pictures.exif import NOWHERE, photo_place, photo_time

MODES = ("RGB", "L")
MAX_PIXELS = 100_000_000
UNKNOWN_TIME: Any = np.datetime64("NaT", "ms")
# First bytes of image formats.
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
    """An image that cannot be used; the message is the reason, the same for the same fault."""


@dataclass(frozen=True, eq=False)
class Photo:
    """An image with the place and time in its metadata.

    Attributes:
        pixels: Shape (height, width, bands), in the number type of the file.
        place: Longitude and latitude in degrees, NaN if unknown.
        no_place: Why the place is unknown; empty if it is known.
        time: datetime64[ms] in UTC, NaT if unknown.
    """

    pixels: np.ndarray
    place: tuple[float, float]
    no_place: str
    time: np.datetime64


def image_kind(start: bytes) -> str:
    """Return the format of an image from its first 12 bytes: "JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP" or "".

    Example:
        >>> image_kind(bytes.fromhex("ffd8ffe000104a4649460001"))
        'JPEG'
    """
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WEBP"
    return next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), "")


def check_image_options(mode: str | None, size: int | None, max_pixels: int) -> None:
    """Raise ValueError if an option of `read_photo` is out of range."""
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

    TIFF is read by rasterio unchanged, with any number of bands and any number type, missing floating-point values as
    NaN; its place is the centre of its extent. Other formats are read by Pillow: rotated as in their EXIF, without
    transparency, palettes and CMYK converted to RGB; grey images keep one band and 16 bits.

    Args:
        data: The bytes of the file.
        mode: "RGB" or "L": convert to three bands or to grey (by Pillow, also TIFF). None: keep the bands.
        size: Resize the shorter side to this number of pixels and crop the centre. None: keep the size.
        max_pixels: Larger images are rejected before decoding.
        needs_place: Reject an image without a place in its metadata before decoding.

    Returns:
        The image with its place and time.

    Raises:
        ImageError: With the reason, if it cannot be used.
        ImportError: If it is a TIFF and rasterio is not installed.
    """
    kind = image_kind(data[:16])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged metadata are ignored; sizes are checked below
            if kind == "TIFF" and mode is None:
                return _read_tiff(data, size, max_pixels, needs_place)
            return _read_picture(data, mode, size, max_pixels, needs_place)
    except (ImageError, ImportError):
        raise
    except Exception as error:  # decoders raise arbitrary errors for damaged bytes
        raise ImageError(f"damaged or cut short {kind or 'image'}") from error


def _read_picture(data: bytes, mode: str | None, size: int | None, max_pixels: int, needs_place: bool) -> Photo:
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        image: Any = Image.open(io.BytesIO(data))
    except UnidentifiedImageError as error:
        kind = image_kind(data[:16])
        raise ImageError(f"damaged or cut short {kind}" if kind else "not an image of a known format") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"more than {max_pixels} pixels; raise max_pixels if the size is intended") from error
    with image:
        _refuse_size(image.width, image.height, max_pixels)
        exif = image.getexif()
        place, no_place = photo_place(exif)
        if needs_place and no_place:
            raise ImageError(no_place)
        time = photo_time(exif, place[0])
        upright = ImageOps.exif_transpose(image)
        if mode is not None and upright.mode in _DEEP:
            raise ImageError(f"more than 8 bits per pixel, which mode={mode!r} would truncate; leave mode out")
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
    with open_geotiff(io.BytesIO(data)) as file:
        _refuse_size(file.width, file.height, max_pixels)
        place, why, time = *_tiff_place(file), UNKNOWN_TIME
        no_place = ""
        if math.isnan(place[0]):
            place, no_place, time = _tiff_exif(data)
            no_place = no_place and (why or no_place)
        if needs_place and no_place:
            raise ImageError(no_place)
        pixels = np.moveaxis(file.read(), 0, -1)
        if file.nodata is not None and pixels.dtype.kind == "f":
            pixels[pixels == file.nodata] = np.nan
    if pixels.dtype.kind not in "uif":
        raise ImageError(f"pixels of type {pixels.dtype} are not real numbers")
    pixels = np.ascontiguousarray(pixels) if size is None else _fit_bands(pixels, size)
    return Photo(pixels, place, no_place, time)


def _tiff_place(file: Any) -> tuple[tuple[float, float], str]:
    """Return the centre of a georeferenced image in degrees; or NaN and what is wrong with its CRS, if anything."""
    try:
        lon, lat = lonlat_in(file, file.height / 2, file.width / 2)[0].tolist()
    except ValueError as error:
        return NOWHERE, str(error)
    return ((lon, lat) if math.isfinite(lon) and math.isfinite(lat) else NOWHERE), ""


def _tiff_exif(data: bytes) -> tuple[tuple[float, float], str, np.datetime64]:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data)) as image:
            exif = image.getexif()
            place, no_place = photo_place(exif)
            return place, no_place, photo_time(exif, place[0])
    except UnidentifiedImageError:  # Pillow does not support all bands and number types of TIFF
        return NOWHERE, "no georeference and no GPS position in its EXIF", UNKNOWN_TIME


def _refuse_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise ImageError(f"more than {max_pixels} pixels; raise max_pixels if the size is intended")


def _fit_bands(pixels: np.ndarray, size: int) -> np.ndarray:
    """Resize and crop each band, of any number type."""
    from PIL import Image, ImageOps

    bands = []
    for band in np.moveaxis(pixels, -1, 0):
        image = Image.fromarray(np.ascontiguousarray(band, dtype=np.float32))
        bands.append(np.asarray(ImageOps.fit(image, (size, size), method=Image.Resampling.BILINEAR)))
    fitted = np.stack(bands, axis=-1)
    return fitted.astype(pixels.dtype) if pixels.dtype.kind == "f" else np.rint(fitted).astype(pixels.dtype)


def read_file(path: Path, min_bytes: int = 0) -> bytes:
    """Read an image file; ImageError with the reason if it is missing, unreadable or smaller than `min_bytes`."""
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


def read_all(
    images: Iterable[Any], read: Callable[[Any], Photo], skip: Container[int]
) -> tuple[dict[int, Photo], dict[int, str]]:
    """Read images except those at some positions; return photos and reasons for failures, by position."""
    photos: dict[int, Photo] = {}
    reasons: dict[int, str] = {}
    for at, image in enumerate(images):
        if at in skip:
            continue
        try:
            photos[at] = read(image)
        except ImageError as error:
            reasons[at] = str(error)
    return photos, reasons
