"""Decoding of images: pixels, and the place and time in their metadata."""

import io
import math
import re
import warnings
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from geotether.sources.grids.geotiff import lonlat_in, open_geotiff
from geotether.sources.pictures.exif import NOWHERE, photo_place, photo_time

MODES = ("RGB", "L")
MAX_PIXELS = 50_000_000  # at most 8 bytes each while an image is decoded
_CELL_BYTES = 16  # larger pixels, of many bands, count for several
LARGE_ADVICE = "raise max_pixels if the size is intended"
_TOO_LARGE = f"more than {{:,}} pixels; {LARGE_ADVICE}"
_MOST_SCANS = 100  # of a progressive JPEG, each of which goes over all pixels; usual are 10
_MARKER = re.compile(rb"\xff+([^\x00\x01\xd0-\xd7\xff])")  # of a segment of a JPEG
_ORIENTATION = 0x0112
_TILE_WIDTH, _TILE_LENGTH = 0x0142, 0x0143
_STRIP = 512  # rows copied at once
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

    `pixels` have shape (height, width, bands) and the number type of the file; `place` is longitude and latitude in
    degrees, NaN if unknown, which `no_place` explains; `time` is datetime64[ms] in UTC, NaT if unknown.
    """

    pixels: np.ndarray
    place: tuple[float, float]
    no_place: str
    time: np.datetime64


def image_kind(start: bytes) -> str:
    """Return the format of an image from its first 12 bytes: "JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "HEIC" or "".

    Example:
        >>> image_kind(bytes.fromhex("ffd8ffe000104a4649460001"))
        'JPEG'
    """
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WEBP"
    if start[4:8] == b"ftyp" and start[8:12] in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"):
        return "HEIC"
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
    transparency, palettes and CMYK converted to RGB; grey images keep one band. 16 bits stay 16 bits (PNG in colour is
    read by rasterio).

    Args:
        data: The bytes of the file.
        mode: "RGB" or "L": convert to three bands or to grey (by Pillow, also TIFF). None: keep the bands.
        size: Resize the shorter side to this number of pixels and crop the centre. None: keep the size.
        max_pixels: Larger images, and TIFF with larger tiles, are rejected before decoding; pixels of over 16 bytes
            count for several.
        needs_place: Reject an image without a place in its metadata before decoding.

    Returns:
        The image with its place and time.

    Raises:
        ImageError: With the reason, if it cannot be used.
        ImportError: If it is a TIFF and rasterio is not installed.
    """
    kind = image_kind(data[:16])
    if kind == "HEIC":
        raise ImageError("a HEIC image, which is not read; convert it to JPEG")
    if kind == "JPEG" and data.count(b"\xff\xda") > _MOST_SCANS and _scan_count(data) > _MOST_SCANS:
        raise ImageError(f"a JPEG of more than {_MOST_SCANS} scans; write it again")
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


def _scan_count(data: bytes) -> int:
    """Count the scans of a JPEG up to its end: a video may follow, as in motion photos."""
    count, at = 0, 2
    while (marker := _MARKER.search(data, at)) and marker[1] != b"\xd9":
        count += marker[1] == b"\xda"
        at = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2], "big")
    return count


def _read_picture(data: bytes, mode: str | None, size: int | None, max_pixels: int, needs_place: bool) -> Photo:
    from PIL import Image, ImageOps, UnidentifiedImageError

    if Image.MAX_IMAGE_PIXELS is not None:  # Pillow's own limit is below a higher one that was asked for
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, max_pixels)
    kind = image_kind(data[:16])
    try:
        image: Any = Image.open(io.BytesIO(data), formats=[kind] if kind else None)
    except UnidentifiedImageError as error:
        if kind == "TIFF":
            reason = f"a TIFF of bands or numbers that mode={mode!r} cannot convert, or damaged; leave mode out"
        else:
            reason = f"damaged or cut short {kind}" if kind else "not an image of a known format"
        raise ImageError(reason) from error
    except Image.DecompressionBombError as error:
        raise ImageError(_TOO_LARGE.format(max_pixels)) from error
    with image:
        _refuse_size(image.width, image.height, 4, max_pixels)
        if image.format == "TIFF":
            _refuse_size(image.tag_v2.get(_TILE_WIDTH, 1), image.tag_v2.get(_TILE_LENGTH, 1), 4, max_pixels)
        exif = image.getexif()
        place, no_place = photo_place(exif)
        if needs_place and no_place:
            raise ImageError(no_place)
        time = photo_time(exif, place[0])
        truncated = image.mode not in _DEEP and _bits_of(image, data) > 8
        if mode is not None and (image.mode in _DEEP or truncated):
            raise ImageError(f"more than 8 bits per pixel, which mode={mode!r} would truncate; leave mode out")
        if truncated:
            pixels = _deep_pixels(data, exif.get(_ORIENTATION, 1))
        else:
            ImageOps.exif_transpose(image, in_place=True)  # without a copy where it is upright
            if image.mode != mode and image.mode not in _DEEP and (mode or image.mode not in MODES):
                image = image.convert(mode or ("L" if image.mode in ("1", "LA", "La") else "RGB"))
            if size is not None and image.mode in MODES:
                image = ImageOps.fit(image, (size, size), method=Image.Resampling.BICUBIC)
            pixels = _array_of(image)
    pixels = np.atleast_3d(pixels).astype(pixels.dtype.newbyteorder("="), copy=False)
    if size is not None and pixels.shape[:2] != (size, size):
        pixels = _fit_bands(pixels, size)
    return Photo(pixels, place, no_place, time)


def _array_of(image: Any) -> np.ndarray:
    """Return the pixels of a picture; Pillow's own conversion of a large one needs them twice more."""
    first = np.asarray(image.crop((0, 0, image.width, min(image.height, _STRIP))))
    pixels = np.empty((image.height, *first.shape[1:]), first.dtype)
    for top in range(0, image.height, _STRIP):
        rows = min(_STRIP, image.height - top)
        pixels[top : top + rows] = np.asarray(image.crop((0, top, image.width, top + rows)))
    return pixels


def _bits_of(image: Any, data: bytes) -> int:
    """Return the bits per band of a PNG or TIFF, which Pillow truncates to 8 if it has several bands."""
    if image.format == "PNG":
        return data[24]  # in the header, which is always the first chunk
    bits = image.tag_v2.get(258, (8,)) if image.format == "TIFF" else (8,)
    return max(bits if isinstance(bits, tuple) else (bits,))


def _deep_pixels(data: bytes, orientation: int) -> np.ndarray:
    """Read the bands of a PNG of 16 bits by GDAL, without transparency, upright."""
    with open_geotiff(io.BytesIO(data), "PNG") as file:
        pixels = np.moveaxis(file.read(list(range(1, file.count + file.count % 2))), 0, -1)
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    rows, columns = (-1 if orientation in turned else 1 for turned in ((3, 4, 7, 8), (2, 3, 6, 7)))
    return np.ascontiguousarray(pixels[::rows, ::columns])


def _read_tiff(data: bytes, size: int | None, max_pixels: int, needs_place: bool) -> Photo:
    with open_geotiff(io.BytesIO(data), "GTiff") as file:
        cell = sum(np.dtype(kind).itemsize for kind in file.dtypes)
        _refuse_size(file.width, file.height, cell, max_pixels)
        for rows, columns in file.block_shapes:  # a small image may be a part of a large tile, which is decoded whole
            _refuse_size(columns, rows, cell, max_pixels)
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


def _refuse_size(width: int, height: int, cell_bytes: int, max_pixels: int) -> None:
    if width * height * max(1, cell_bytes / _CELL_BYTES) > max_pixels:
        raise ImageError(_TOO_LARGE.format(max_pixels))


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
