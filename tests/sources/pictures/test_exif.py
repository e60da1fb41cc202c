"""Mirrors src/geotether/sources/pictures/exif.py: EXIF that Pillow writes into real files and reads back."""

import io

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from geotether.sources.pictures.exif import photo_place, photo_time

WAGENINGEN = {1: "N", 2: (51.0, 58.0, 12.0), 3: "E", 4: (5.0, 39.0, 36.0)}


def exif_of(gps=None, camera=None, kind="JPEG"):
    """Write EXIF into an image and open it again."""
    exif = Image.Exif()
    exif[0x010F] = "a maker"
    for folder, values in ((0x8825, gps), (0x8769, camera)):
        if values:
            exif[folder] = values
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, kind, exif=exif.tobytes())
    image = Image.open(file)
    exif = image.getexif()
    exif.image = image  # a TIFF's EXIF is read when it is asked for
    return exif


class Written:
    """EXIF as other programs write it, which Pillow reads but would not write."""

    def __init__(self, gps=None, camera=None):
        self.folders = {0x8825: gps or {}, 0x8769: camera or {}}

    def get_ifd(self, number):
        return self.folders[number]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize(
    "north, east, want",
    [("N", "E", (5.66, 51.97)), ("S", "E", (5.66, -51.97)), ("N", "W", (-5.66, 51.97)), ("S", "W", (-5.66, -51.97))],
)
def test_all_four_quarters_of_the_globe(kind, north, east, want):
    place, reason = photo_place(exif_of(WAGENINGEN | {1: north, 3: east, 6: 12.0}, kind=kind))
    np.testing.assert_allclose(place, want, atol=1e-12)
    assert reason == ""


@pytest.mark.parametrize(
    "gps",
    [
        {1: "N", 2: (51.97, 0.0, 0.0), 3: "E", 4: (5.66, 0.0, 0.0)},  # decimal degrees
        {1: "N", 2: (51.0, 58.2, 0.0), 3: "E", 4: (5.0, 39.6, 0.0)},  # decimal minutes
        {1: "N", 2: (IFDRational(51), IFDRational(582, 10), IFDRational(0, 0)), 3: "E", 4: ((5, 1), (396, 10), (0, 0))},
        {1: "N", 2: (51.97,), 3: "E", 4: (5.66,)},
        {1: b"N\0", 2: (51, 58, 12), 3: "east", 4: 5.66},
        {1: "n ", 2: [IFDRational(5197, 100)], 3: "E\0", 4: ((566, 100),)},
    ],
)
def test_every_way_to_write_a_position(gps):
    place, reason = photo_place(Written(gps))
    np.testing.assert_allclose(place, (5.66, 51.97), atol=1e-12)
    assert reason == ""


@pytest.mark.parametrize(
    "lat, lon",
    [
        ((IFDRational(-33858333, 1000000), 0, 0), (IFDRational(-70670000, 1000000), 0, 0)),
        ((-33, 51, 29.9988), (-70, 40, 12)),
        ((-33, -51, -29.9988), (-70, -40, -12)),
        ((33, 51, 29.9988), (70.67,)),
        ((-33.858333,), ((-7067, 100), (0, 0), (0, 0))),
    ],
)
def test_degrees_below_zero_lie_south_and_west_as_the_reference_says(lat, lon):
    place, reason = photo_place(Written({1: "South", 2: lat, 3: "W", 4: lon}))
    np.testing.assert_allclose(place, (-70.67, -33.858333), atol=1e-6)
    assert reason == ""


@pytest.mark.parametrize(
    "gps, reason",
    [
        (None, "no GPS position in its EXIF"),
        ({1: "N", 2: (51, 58, 12)}, "no GPS position in its EXIF"),
        ({2: (51, 58, 12), 4: (5, 39, 36)}, "GPS position without N or S, or without E or W"),
        (WAGENINGEN | {1: "?"}, "GPS position without N or S, or without E or W"),
        (WAGENINGEN | {2: (IFDRational(51, 0), IFDRational(0), IFDRational(0))}, "GPS position is not a number"),
        (WAGENINGEN | {4: ((0, 0), (0, 0), (0, 0))}, "GPS position is not a number"),
        (WAGENINGEN | {4: "five"}, "GPS position is not a number"),
        (WAGENINGEN | {4: ()}, "GPS position is not a number"),
        (WAGENINGEN | {2: (51, IFDRational(58, 0), 12)}, "GPS position is not a number"),
        (WAGENINGEN | {2: (51, (0, 0), 12)}, "GPS position is not a number"),
        (WAGENINGEN | {2: (51, 58, 1200)}, "GPS position is not a number"),
        (WAGENINGEN | {2: (51, -58, 12)}, "GPS position is not a number"),
        (WAGENINGEN | {2: (-51, 58, 12)}, "GPS position below zero, but with N"),
        (WAGENINGEN | {4: (-5.66, 0, 0)}, "GPS position below zero, but with N or E"),
        (WAGENINGEN | {1: "None"}, "GPS position without N or S"),
        (WAGENINGEN | {3: "O"}, "GPS position without N or S"),  # Ost is east, Ouest is west
        ({1: "N", 2: (0, 0, 0), 3: "E", 4: (0, 0, 0)}, "GPS position 0, 0"),
    ],
)
def test_invalid_positions_have_a_reason(gps, reason):
    place, got = photo_place(Written(gps))
    assert np.isnan(place).all()
    assert got.startswith(reason)


ORIGINAL, OFFSET, DIGITIZED = 0x9003, 0x9011, 0x9004


@pytest.mark.parametrize(
    "gps, camera, lon, want",
    [
        (None, {ORIGINAL: "2021:07:15 10:30:00", OFFSET: "+02:00"}, 5.66, "2021-07-15T08:30"),
        (None, {ORIGINAL: "2021:07:15 22:30:00", OFFSET: "-08:00"}, -120.0, "2021-07-16T06:30"),
        ({29: "2021:07:15", 7: (8.0, 30.0, 5.0)}, {ORIGINAL: "2021:07:15 10:30:00"}, 5.66, "2021-07-15T08:30:05"),
        (None, {ORIGINAL: "2021:07:15 10:30:00"}, 139.7, "2021-07-15T01:30"),  # nine hours before Tokyo's clocks
        (None, {ORIGINAL: "2021:07:15 10:30:00"}, 179.9, "2021-07-14T22:30"),
        (None, {ORIGINAL: "2021:07:15 10:30:00"}, 260.0, "2021-07-15T17:30"),  # 260 is 100 west
        (None, {ORIGINAL: "2021:07:15 10:30:00"}, np.nan, "2021-07-15T10:30"),
        (None, {DIGITIZED: "2021:07:15 10:30:00", 0x9012: "+00:00"}, 90.0, "2021-07-15T10:30"),
        (None, {ORIGINAL: "0000:00:00 00:00:00"}, 0.0, "NaT"),
        (None, {ORIGINAL: "    :  :     :  :  "}, 0.0, "NaT"),
        (None, {ORIGINAL: "2021:02:30 10:30:00", OFFSET: "noon"}, 0.0, "NaT"),
        ({29: "2021:07:15", 7: ((1, 0), (0, 1), (0, 1))}, None, 0.0, "NaT"),
        (None, None, 0.0, "NaT"),
    ],
)
def test_times_are_utc(gps, camera, lon, want):
    time = photo_time(Written(gps, camera), lon)
    np.testing.assert_array_equal(time, np.datetime64(want, "ms"))
    assert time.dtype == np.dtype("datetime64[ms]")


def test_times_are_read_from_files():
    exif = exif_of({29: "2021:07:15", 7: (8.0, 30.0, 5.0)}, {ORIGINAL: "2021:07:15 10:30:00", OFFSET: "+02:00"})
    assert photo_time(exif) == np.datetime64("2021-07-15T08:30:00")
    assert photo_time(exif_of({29: "2021:07:15", 7: (8.0, 30.0, 5.0)})) == np.datetime64("2021-07-15T08:30:05")
