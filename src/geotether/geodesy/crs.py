"""Coordinate reference systems through pyproj, and the Equal Earth projection of maps."""

import functools
import json
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Float64

from geotether.geodesy.coordinates import array_module

_METRES = {
    **dict.fromkeys(("m", "metre", "metres", "meter", "meters"), 1.0),
    **dict.fromkeys(("km", "kilometre", "kilometres", "kilometer", "kilometers"), 1000.0),
}
_RADIANS = {"rad": 1.0, "radian": 1.0, "radians": 1.0, "microradian": 1e-6, "microradians": 1e-6, "urad": 1e-6}
_WITHOUT_LATITUDE = ("geostationary", "lambert_cylindrical_equal_area", "mercator", "sinusoidal")
WGS84 = "OGC:CRS84"  # longitude and latitude in degrees
# Coefficients A1 to A4 of the polynomial, Šavrič et al. (2018), section 3.
A1, A2, A3, A4 = 1.340264, -0.081106, 0.000893, 0.003796


def crs_name(crs: Any) -> str:
    """Name a CRS for a message.

    Args:
        crs: A text such as "EPSG:28992", WKT, or PROJJSON as a text or a mapping.

    Example:
        >>> crs_name({"name": "Amersfoort / RD New", "id": {"authority": "EPSG", "code": 28992}})
        'EPSG:28992'
    """
    about = json.loads(crs) if isinstance(crs, str) and crs.lstrip().startswith("{") else crs
    if isinstance(about, dict):
        named = about.get("id") or {}
        return f"{named['authority']}:{named['code']}" if "code" in named else str(about.get("name", "a custom CRS"))
    return str(about) if len(str(about)) < 40 else f"{str(about)[:40]}..."


def is_wgs84(crs: Any) -> bool:
    """Whether coordinates in a CRS are longitude and latitude in WGS 84 already.

    Example:
        >>> is_wgs84("urn:ogc:def:crs:OGC:1.3:CRS84"), is_wgs84("EPSG:3857")
        (True, False)
    """
    return re.search(r"(CRS:?84|EPSG:([\d.]*:)?4326)$", crs_name(crs).upper()) is not None


def is_geographic(crs: Any) -> bool:
    """Whether coordinates in a CRS are degrees."""
    return is_wgs84(crs) or _crs(crs_text(crs)).is_geographic


def check_crs(crs: Any) -> None:
    """Raise ValueError unless coordinates in a CRS can be converted to longitude and latitude."""
    if not is_wgs84(crs):
        _transformer(crs_text(crs))


def lonlat_of_xy(xy: Float[np.ndarray, "n 2"], crs: Any) -> Float64[np.ndarray, "n 2"]:
    """Convert coordinates to longitude and latitude.

    Args:
        xy: x (or longitude) and y (or latitude) in `crs`, shape (n, 2).
        crs: Anything that pyproj reads: "EPSG:28992", WKT, PROJJSON as a text or a mapping.

    Returns:
        Degrees, WGS 84, shape (n, 2); NaN where x or y is not finite or outside the range of the CRS. Some projections
        map coordinates far outside to some place; they are found by converting that place back.

    Raises:
        ValueError: If the CRS is unknown or has no relation to the Earth.

    Example:
        >>> lonlat_of_xy(np.array([[155000.0, 463000.0], [1e12, 1e12]]), "EPSG:28992").round(3)
        array([[ 5.387, 52.155],
               [   nan,    nan]])
    """
    xy = np.asarray(xy, dtype=np.float64)
    if is_wgs84(crs):
        return xy
    transformer = _transformer(crs_text(crs))
    lonlat = np.full(xy.shape, np.nan)
    finite = np.flatnonzero(np.isfinite(xy).all(axis=1))
    found = np.stack(transformer.transform(*xy[finite].T), axis=1)
    back = np.stack(transformer.transform(*found.T, direction="INVERSE"), axis=1)
    with np.errstate(invalid="ignore"):
        # Signs may differ: both ends of a map are one meridian.
        same = (np.abs(np.abs(back) - np.abs(xy[finite])) <= 1e-6 * np.abs(xy[finite]) + 1).all(axis=1)
    lonlat[finite[same]] = found[same]
    return lonlat


def xy_of_lonlat(lonlat: Float[np.ndarray, "n 2"], crs: Any) -> Float64[np.ndarray, "n 2"]:
    """Convert longitude and latitude to the coordinates of a CRS.

    Args:
        lonlat: Degrees, WGS 84, shape (n, 2).
        crs: As for `lonlat_of_xy`.

    Returns:
        x and y, shape (n, 2); not finite where the CRS does not reach.

    Raises:
        ValueError: If the CRS is unknown or has no relation to the Earth.
    """
    lonlat = np.asarray(lonlat, dtype=np.float64)
    if is_wgs84(crs):
        return lonlat
    return np.stack(_transformer(crs_text(crs)).transform(*lonlat.T, direction="INVERSE"), axis=1)


def same_as_wgs84(crs: Any) -> bool:
    """Whether x and y of a CRS equal longitude and latitude of WGS 84 to a tenth of a millimetre.

    Example:
        >>> same_as_wgs84("EPSG:4258"), same_as_wgs84("EPSG:3857")
        (True, False)
    """
    check_crs(crs)
    if not is_geographic(crs):
        return False
    lonlat = np.stack(np.meshgrid(np.linspace(-179, 179, 9), np.linspace(-89, 89, 9)), axis=-1).reshape(-1, 2)
    return bool(np.allclose(xy_of_lonlat(lonlat, crs), lonlat, rtol=0, atol=1e-9))


def lonlat_bounds(west: float, south: float, east: float, north: float, crs: Any) -> tuple[float, float, float, float]:
    """Convert a box in a CRS to the box of longitude and latitude around it; east is below west across 180 degrees.

    Raises:
        ValueError: If the CRS is unknown or has no relation to the Earth.
    """
    return _transformer(crs_text(crs)).transform_bounds(west, south, east, north, densify_pts=101)


@functools.lru_cache(maxsize=16)
def full_turn(crs: str) -> float:
    """Return a full turn around the Earth in units of x if x depends on longitude alone; 0 for any other CRS.

    Example:
        >>> full_turn("EPSG:4326"), round(full_turn("EPSG:3857")), full_turn("EPSG:32632")
        (360.0, 40075017, 0.0)
    """
    if is_geographic(crs):
        return 360.0 if is_wgs84(crs) else float(2 * np.pi / _crs(crs).axis_info[0].unit_conversion_factor)  # or gon
    x = xy_of_lonlat(np.array([[-90.0, 0.0], [0.0, 0.0], [90.0, 0.0], [0.0, 60.0], [90.0, 60.0]]), crs)[:, 0]
    with np.errstate(invalid="ignore"):
        quarter = x[2] - x[1]
        same = np.allclose([x[1] - x[0], x[4] - x[3], x[3] - x[1] + quarter], quarter, rtol=1e-9)
    return float(4.0 * quarter) if same and quarter > 0 else 0.0


def crs_of_cf(attributes: Mapping[str, Any]) -> str:
    """Return the CRS of a grid mapping of CF as WKT; ValueError if the attributes do not state one."""
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    text, name = attributes.get("crs_wkt") or attributes.get("spatial_ref"), attributes.get("grid_mapping_name")
    if not text and name != "latitude_longitude":  # PROJ would take 0 for what is missing
        needs = ["longitude"] + ["latitude|standard_parallel"] * (name not in _WITHOUT_LATITUDE)
        needs += ["scale_factor"] * (name == "transverse_mercator")
        for need in needs:
            if not any(re.search(need, key) for key in attributes):
                raise ValueError(f"{name} without {need.partition('|')[0]}")
    try:
        return (CRS.from_user_input(text) if text else CRS.from_cf(dict(attributes))).to_wkt()
    except (CRSError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def unit_factor(unit: str, crs: str) -> float | None:
    """Return the factor from a unit, in lower case, to that of x in a CRS; None if it does not fit.

    Example:
        >>> unit_factor("km", "EPSG:32632"), unit_factor("degrees_east", "OGC:CRS84"), unit_factor("m", "OGC:CRS84")
        (1000.0, 1.0, None)
    """
    if unit in ("", "1"):
        return 1.0
    if is_geographic(crs):
        degrees = unit.startswith("degree") or unit == "deg"
        return 1.0 if degrees else math.degrees(_RADIANS[unit]) if unit in _RADIANS else None
    about = _crs(crs)
    first = about.axis_info[0] if about.axis_info else None
    if unit in _METRES:
        return _METRES[unit] / float(first.unit_conversion_factor if first else 1.0)
    height = re.search(r'satellite height",\s*([\d.]+)', about.to_wkt(), re.IGNORECASE)
    if unit in _RADIANS and height:  # scanning angles
        return _RADIANS[unit] * float(height.group(1))
    return 1.0 if first and unit.replace("_", " ") == first.unit_name.lower() else None


def equal_earth(lonlat: Float[Any, "*batch 2"]) -> Float[Any, "*batch 2"]:
    """Project places onto the Equal Earth map of the unit sphere.

    Args:
        lonlat: Array or tensor, shape (..., 2), degrees. 360 is subtracted from longitudes above 180; 180 itself stays
            on the eastern edge and -180 on the western one.

    Returns:
        The same kind, shape (..., 2): x in about [-2.71, 2.71] and y in about [-1.32, 1.32], in radii of the sphere.

    Source:
        Šavrič, Patterson & Jenny (2018), Int. J. Geographical Information Science 33:454.

    Example:
        >>> equal_earth(np.array([[180.0, 0.0], [0.0, 90.0]])).round(4)
        array([[2.7066, 0.    ],
               [0.    , 1.3174]])
    """
    xp = array_module(lonlat)
    lon, lat = lonlat[..., 0], lonlat[..., 1]
    lon = xp.deg2rad(lon - 360 * (lon > 180))
    t = xp.arcsin(math.sqrt(3) / 2 * xp.sin(xp.deg2rad(lat)))
    slope = A1 + 3 * A2 * t**2 + t**6 * (7 * A3 + 9 * A4 * t**2)
    x = 2 * math.sqrt(3) / 3 * lon * xp.cos(t) / slope
    y = t * (A1 + A2 * t**2 + t**6 * (A3 + A4 * t**2))
    return xp.stack((x, y), -1)


def crs_text(crs: Any) -> str:
    """Write a CRS as a text that pyproj reads."""
    if not isinstance(crs, str | dict) and not hasattr(crs, "to_wkt"):
        raise ValueError(f"{crs!r:.60} is not a CRS; write it as EPSG:4326, WKT or PROJJSON.")
    return crs if isinstance(crs, str) else json.dumps(crs) if isinstance(crs, dict) else crs.to_wkt()


@functools.lru_cache(maxsize=8)
def _crs(crs: str) -> Any:
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        return CRS.from_user_input(crs)
    except CRSError:
        raise ValueError(f"there is no CRS {crs_name(crs)!r}; name one as in crs='EPSG:28992'.") from None


@functools.lru_cache(maxsize=8)
def _transformer(crs: str) -> Any:
    """The conversion from a CRS to longitude and latitude."""
    from pyproj import Transformer
    from pyproj.exceptions import ProjError

    known = _crs(crs)
    try:
        return Transformer.from_crs(known, WGS84, always_xy=True)
    except ProjError:
        raise ValueError(
            f"coordinates in the CRS {known.name!r} have no place on the Earth; write the file with its real CRS."
        ) from None
