"""Mirrors src/geotether/sources/pictures/pixels.py."""

import io
import struct
import sys
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from geotether.sources.pictures.pixels import ImageError, check_image_options, image_kind, read_file, read_photo

rasterio = pytest.importorskip("rasterio")


@pytest.fixture
def colour() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def encoded(pixels, kind="PNG", **options) -> bytes:
    file = io.BytesIO()
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(file, kind, **options)
    return file.getvalue()


def tiff(pixels, **profile) -> bytes:
    height, width, count = pixels.shape
    profile = {"crs": "EPSG:4326", "transform": rasterio.Affine(0.1, 0, 5, 0, -0.1, 52)} | profile
    with rasterio.io.MemoryFile() as memory:
        with memory.open(
            driver="GTiff", height=height, width=width, count=count, dtype=pixels.dtype, **profile
        ) as file:
            file.write(np.moveaxis(pixels, -1, 0))
        return memory.read()


def test_lossless_pictures_come_as_they_are(colour):
    for kind, options in (("PNG", {}), ("WEBP", {"lossless": True}), ("BMP", {})):
        data = encoded(colour, kind, **options)
        assert image_kind(data) == kind
        np.testing.assert_array_equal(read_photo(data).pixels, colour)
    jpeg = encoded(colour, "JPEG", quality=95)
    np.testing.assert_array_equal(read_photo(jpeg).pixels, np.asarray(Image.open(io.BytesIO(jpeg))))


def test_bands_follow_what_is_in_the_file(colour):
    grey, deep = colour[..., 0], colour[..., 0].astype(np.uint16) * 257
    np.testing.assert_array_equal(read_photo(encoded(grey)).pixels, grey[..., None])
    got = read_photo(encoded(deep)).pixels
    assert got.dtype == np.uint16
    np.testing.assert_array_equal(got, deep[..., None])
    alpha = np.dstack([colour, np.full(colour.shape[:2], 7, np.uint8)])
    np.testing.assert_array_equal(read_photo(encoded(alpha)).pixels, colour)
    palette = Image.fromarray(colour).quantize(16)
    np.testing.assert_array_equal(read_photo(encoded(palette)).pixels, np.asarray(palette.convert("RGB")))
    ink = encoded(Image.fromarray(colour).convert("CMYK"), "JPEG")
    assert read_photo(ink).pixels.shape == (20, 30, 3)
    one_bit = encoded(Image.fromarray(grey > 99))
    np.testing.assert_array_equal(read_photo(one_bit).pixels[..., 0], np.where(grey > 99, 255, 0))


def test_mode_converts(colour):
    assert read_photo(encoded(colour), mode="L").pixels.shape == (20, 30, 1)
    three = read_photo(encoded(colour[..., 0]), mode="RGB").pixels
    np.testing.assert_array_equal(three, np.repeat(colour[..., :1], 3, axis=-1))
    np.testing.assert_array_equal(read_photo(encoded(colour, "TIFF"), mode="RGB").pixels, colour)
    with pytest.raises(ImageError, match=r"8 bits .*mode='RGB'"):
        read_photo(encoded(colour[..., 0].astype(np.uint16)), mode="RGB")


def deep_png(pixels, exif) -> bytes:
    """16 bits in colour, which Pillow neither writes nor reads."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    height, width, bands = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    colour = {2: 4, 3: 2, 4: 6}[bands]
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0))
    about = chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))
    return b"\x89PNG\r\n\x1a\n" + header + about + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_stand_upright_in_8_and_16_bits(colour, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    want = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(encoded(colour, exif=exif)))))
    if orientation in (1, 3, 6, 8):
        np.testing.assert_array_equal(want, np.rot90(colour, {1: 0, 3: 2, 6: 3, 8: 1}[orientation]))
    np.testing.assert_array_equal(read_photo(encoded(colour, exif=exif)).pixels, want)
    found = read_photo(deep_png(colour * np.uint16(257), exif)).pixels
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, want * np.uint16(257))


def test_16_bits_are_never_cut_to_8(colour):
    deep = np.random.default_rng(0).integers(0, 65536, (20, 30, 4), dtype=np.uint16)
    exif = Image.Exif()
    exif[0x8825] = {1: "S", 2: (1.0, 30.0, 0.0), 3: "E", 4: (36.0, 0.0, 0.0)}
    for bands, kept in ((2, 1), (3, 3), (4, 3)):  # grey or colour, with transparency or without
        photo = read_photo(deep_png(deep[..., :bands], exif))
        np.testing.assert_array_equal(photo.pixels, deep[..., :kept])
        assert photo.place == (36.0, -1.5)
        with pytest.raises(ImageError, match="more than 8 bits"):
            read_photo(deep_png(deep[..., :bands], exif), mode="RGB")
    small = read_photo(deep_png(deep[..., :3], exif), size=4).pixels
    assert (small.shape, small.dtype) == ((4, 4, 3), np.uint16)
    with pytest.raises(ImageError, match="leave mode out"):
        read_photo(tiff(deep[..., :3]), mode="RGB")


def test_size_resizes_the_shorter_side_and_cuts_out_the_middle():
    wide = np.zeros((40, 100, 3), np.uint8)
    wide[:, 30:70] = 200  # the middle square
    np.testing.assert_array_equal(read_photo(encoded(wide), size=40).pixels, np.full((40, 40, 3), 200))
    small = read_photo(encoded(wide.transpose(1, 0, 2).copy()), size=8).pixels
    assert small.shape == (8, 8, 3)
    assert (small[2:-2] == 200).all()  # at the cut the filter sees beyond it
    assert read_photo(encoded(wide[:4, :4]), size=8).pixels.shape == (8, 8, 3)
    deep = (wide[..., :1].astype(np.uint16) * 300).repeat(5, axis=-1)
    np.testing.assert_array_equal(read_photo(tiff(deep), size=40).pixels, np.full((40, 40, 5), 60_000))
    assert read_photo(encoded(deep[..., 0]), size=40).pixels.dtype == np.uint16


@pytest.mark.parametrize("kind", ["uint8", "uint16", "int16", "float32", "float64"])
@pytest.mark.parametrize("bands", [1, 4, 12])
def test_tiff_of_any_bands_and_numbers(kind, bands):
    pixels = (np.random.default_rng(0).random((6, 8, bands)) * 200).astype(kind)
    photo = read_photo(tiff(pixels))
    assert photo.pixels.dtype == kind
    np.testing.assert_array_equal(photo.pixels, pixels)
    np.testing.assert_allclose(photo.place, (5.4, 51.7), atol=1e-9)  # the middle of 5..5.8, 51.4..52
    assert photo.no_place == ""


def test_tiff_lies_where_its_own_projection_says():
    from pyproj import Transformer

    pixels = np.ones((10, 20, 2), np.uint16)
    data = tiff(pixels, crs="EPSG:32631", transform=rasterio.Affine(10, 0, 680_000, 0, -10, 5_760_000))
    want = Transformer.from_crs(32631, 4326, always_xy=True).transform(680_100, 5_759_950)
    np.testing.assert_allclose(read_photo(data).place, want, atol=1e-9)


def test_tiff_without_data_is_nan_and_without_georeference_has_no_place():
    pixels = np.array([[[1.5], [-9999.0]]], np.float32)
    np.testing.assert_array_equal(read_photo(tiff(pixels, nodata=-9999)).pixels, [[[1.5], [np.nan]]])
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        bare = tiff(np.ones((4, 4, 5), np.float64), crs=None, transform=rasterio.Affine.identity())
    assert read_photo(bare).no_place == "no georeference and no GPS position in its EXIF"
    exif = Image.Exif()
    exif[0x8825] = {1: "S", 2: (1.0, 30.0, 0.0), 3: "E", 4: (36.0, 0.0, 0.0)}
    photo = read_photo(encoded(np.zeros((4, 4, 3), np.uint8), "TIFF", exif=exif.tobytes()))
    np.testing.assert_allclose(photo.place, (36.0, -1.5))


def test_damaged_images_are_errors_with_a_reason(colour):
    jpeg = encoded(colour, "JPEG")
    for data, reason in (
        (jpeg[:100], "damaged or cut short JPEG"),
        (encoded(colour)[:-60], "damaged or cut short PNG"),
        (encoded(colour, "WEBP")[:50], "damaged or cut short WEBP"),
        (tiff(colour)[:200], "damaged or cut short TIFF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC image, .* convert"),
        (b"<html>404 not found</html>", "not an image of a known format"),
    ):
        with pytest.raises(ImageError, match=reason):
            read_photo(data)
    with pytest.raises(ImageError, match="complex64"):
        read_photo(tiff(np.ones((2, 2, 1), np.complex64)))


def test_bombs_are_refused_before_they_are_decoded(colour, monkeypatch):
    with pytest.raises(ImageError, match="more than 599 pixels; raise max_pixels"):
        read_photo(encoded(colour), max_pixels=599)
    assert read_photo(encoded(colour), max_pixels=600).pixels.shape == (20, 30, 3)
    with pytest.raises(ImageError, match="more than 599 pixels"):
        read_photo(tiff(colour), max_pixels=599)
    bomb = bytearray(encoded(np.zeros((1, 1), np.uint8)))
    bomb[16:24] = struct.pack(">II", 60_000, 60_000)  # the header promises 3.6 thousand million pixels
    bomb[29:33] = struct.pack(">I", zlib.crc32(bytes(bomb[12:29])))
    with pytest.raises(ImageError, match="more than 50,000,000 pixels"):
        read_photo(bytes(bomb))
    with pytest.raises(ImageError, match="damaged or cut short PNG"):  # Pillow's own limit is lower
        read_photo(bytes(bomb), max_pixels=4_000_000_000)
    with pytest.raises(ImageError, match="more than 600 pixels"):
        read_photo(tiff(np.zeros((20, 30, 9), np.uint16)), max_pixels=600)  # 18 bytes each
    tiled = bytearray(tiff(colour, tiled=True, blockxsize=32, blockysize=32))
    for tag in (0x0142, 0x0143):  # the tile that the small image is a part of
        at = tiled.index(struct.pack("<HHI", tag, 3, 1))
        tiled[at + 2 : at + 12] = struct.pack("<HII", 4, 1, 60_000)
    for mode in (None, "RGB"):
        with pytest.raises(ImageError, match="more than 50,000,000 pixels"):
            read_photo(bytes(tiled), mode)
    jpeg = encoded(colour, "JPEG", progressive=True)
    last = jpeg[jpeg.rindex(b"\xff\xda") : -2]
    with pytest.raises(ImageError, match="scans"):
        read_photo(jpeg[:-2] + 200 * last + jpeg[-2:])
    with pytest.raises(ImageError, match="scans"):  # behind a marker without a length
        read_photo(jpeg[:-2] + b"\xff\x01" + 200 * last + jpeg[-2:])
    video = 200 * b"\xff\xda"
    assert read_photo(jpeg[:-2] + 20 * last + jpeg[-2:] + video).pixels.shape == (20, 30, 3)


def test_a_single_place_can_be_requested(colour):
    with pytest.raises(ImageError, match="no GPS position in its EXIF"):
        read_photo(encoded(colour), needs_place=True)


def test_files_are_read_or_have_a_reason(tmp_path, colour):
    (tmp_path / "a.png").write_bytes(encoded(colour))
    assert read_file(tmp_path / "a.png", 100) == encoded(colour)
    (tmp_path / "empty.png").touch()
    for name, smallest, reason in (
        ("b.png", 0, "there is no such file"),
        ("empty.png", 0, "the file is empty"),
        ("a.png", 100_000, "the file is smaller than 100000 bytes"),
        (".", 0, "the file cannot be read: Is a directory"),
    ):
        with pytest.raises(ImageError, match=reason):
            read_file(tmp_path / name, smallest)


def test_options_out_of_range_and_a_missing_extra_are_named(colour, monkeypatch):
    for options, message in (
        (("CMYK", None, 1), "mode must be 'RGB', 'L'"),
        ((None, 0, 1), "size must be 1 pixel or more"),
        ((None, None, 0), "max_pixels must be 1 or more"),
    ):
        with pytest.raises(ValueError, match=message):
            check_image_options(*options)
    data = tiff(colour)
    monkeypatch.setitem(sys.modules, "rasterio", None)
    with pytest.raises(ImportError, match=r"pip install 'geotether\[geo\]'"):
        read_photo(data)
