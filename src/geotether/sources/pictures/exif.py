"""Place and time of a photograph from its EXIF metadata."""

import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Exif

NOWHERE = (math.nan, math.nan)
# Tag numbers of EXIF 2.32: the two directories, and the tags read from them.
_GPS, _CAMERA = 0x8825, 0x8769
_LAT_REF, _LAT, _LON_REF, _LON, _GPS_TIME, _GPS_DATE = 1, 2, 3, 4, 7, 29
_NORTH_SOUTH = {1: ("n", "north", "nord", "norte"), -1: ("s", "south", "sud", "süd", "sur", "sul")}
_EAST_WEST = {1: ("e", "east", "est", "este"), -1: ("w", "west")}
_TAKEN = ((0x9003, 0x9011), (0x9004, 0x9012))  # original, then digitized: local time and its offset from UTC


def photo_place(exif: "Exif") -> tuple[tuple[float, float], str]:
    """Read the place of a photograph, from `Image.getexif()`.

    Degrees, minutes and seconds may be rationals or plain numbers; missing minutes or seconds count as zero. Degrees
    below zero lie south or west, as the reference must say. A position that could lie on either side is not used:
    without N or S, or without E or W, or with another sign than its reference. Neither is 0, 0, which cameras write
    before they have a position. The altitude is ignored.

    Returns:
        Longitude and latitude in degrees and ""; or NaNs and the reason why there is no place.
    """
    gps = exif.get_ifd(_GPS)
    if _LAT not in gps or _LON not in gps:
        return NOWHERE, "no GPS position in its EXIF"
    found = []
    for tag, reference, names in ((_LON, _LON_REF, _EAST_WEST), (_LAT, _LAT_REF, _NORTH_SOUTH)):
        sign = next((sign for sign, known in names.items() if _text(gps.get(reference)).lower() in known), 0)
        if sign == 0:
            return NOWHERE, "GPS position without N or S, or without E or W"
        degrees, negative = _degrees(gps[tag])
        if math.isnan(degrees):
            return NOWHERE, "GPS position is not a number of degrees, minutes and seconds"
        if negative and sign > 0:
            return NOWHERE, "GPS position below zero, but with N or E: it could lie on either side"
        found.append(sign * degrees)
    if found == [0, 0]:
        return NOWHERE, "GPS position 0, 0: unknown to the camera"
    return (found[0], found[1]), ""


def photo_time(exif: "Exif", lon: float = math.nan) -> np.datetime64:
    """Read the time of a photograph in UTC; NaT if there is none.

    The first available of: the local time with its offset from UTC; the GPS time, which is UTC; the local time in the
    nautical time zone of the place, because the clock of a camera has no zone; the local time taken as UTC if the place
    is unknown (`lon` is NaN).
    """
    camera, gps = exif.get_ifd(_CAMERA), exif.get_ifd(_GPS)
    if not camera and not gps:
        return np.datetime64("NaT", "ms")
    local = None
    for tag, offset_tag in _TAKEN:
        taken, offset = _clock(camera.get(tag)), _offset(camera.get(offset_tag))
        if taken and offset is not None:
            return _utc(taken - offset)
        local = local or taken
    satellite = _satellite_clock(gps)
    if satellite:
        return _utc(satellite)
    if local is None:
        return np.datetime64("NaT", "ms")
    hours = 0 if math.isnan(lon) else round(((lon + 180) % 360 - 180) / 15)
    return _utc(local - timedelta(hours=hours))


def _text(value: Any) -> str:
    value = value.decode("ascii", "replace") if isinstance(value, bytes) else value
    return value.strip(" \0") if isinstance(value, str) else ""


def _numbers(value: Any) -> list[float]:
    """Return the numbers of a tag: NaN for 0/0, which means missing; infinite for any other value that is not one."""
    found = []
    for part in value if isinstance(value, list | tuple) else (value,):
        try:
            top, bottom = part if isinstance(part, tuple) else (part, 1)  # type: Any, Any
            top, bottom = getattr(top, "numerator", top), getattr(top, "denominator", 1) * bottom
            found.append(float(top) / float(bottom) if bottom else math.nan if top == 0 else math.inf)
        except (TypeError, ValueError, OverflowError):
            found.append(math.inf)
    return found


def _degrees(value: Any) -> tuple[float, bool]:
    """Return degrees without a sign, NaN if they cannot be read, and whether the tag has them below zero."""
    parts = _numbers(value)[:3]
    if not parts or not math.isfinite(parts[0]) or (len(parts) == 3 and math.isnan(parts[1]) and parts[2] > 0):
        return math.nan, False
    parts = [0.0 if math.isnan(part) else part for part in parts]
    given = [part for part in parts if part != 0]
    negative = bool(given) and given[0] < 0
    # The sign is that of the first part, or of all; 60 seconds are rounded.
    if any(abs(part) > 60 for part in parts[1:]) or (not negative and any(part < 0 for part in given)):
        return math.nan, False
    return sum(abs(part) / 60**power for power, part in enumerate(parts)), negative


def _clock(value: Any) -> datetime | None:
    try:
        return datetime.strptime(_text(value)[:19], "%Y:%m:%d %H:%M:%S")
    except ValueError:  # blanks and zeros mean unknown
        return None


def _offset(value: Any) -> timedelta | None:
    try:
        return datetime.strptime(_text(value), "%z").utcoffset()
    except ValueError:
        return None


def _satellite_clock(gps: dict[int, Any]) -> datetime | None:
    date, time = _text(gps.get(_GPS_DATE)), _numbers(gps.get(_GPS_TIME))
    try:
        day = datetime.strptime(date[:10].replace("-", ":"), "%Y:%m:%d")
        hours, minutes, seconds = time
        return day + timedelta(hours=hours, minutes=minutes, seconds=seconds)
    except (ValueError, OverflowError):
        return None


def _utc(time: datetime) -> np.datetime64:
    return np.datetime64(time, "ms")
