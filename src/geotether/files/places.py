"""Where the rows of a table lie: from columns or a geometry, in any CRS, rejecting rows or refusing the file."""

import logging
import re
import unicodedata
from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float64

from geotether.files.geometry import bare_geometry, geometry_column, geometry_notes, points_of_geometry
from geotether.files.numbers import numbers_of
from geotether.geodesy.coordinates import check_lonlat, swap_suspicion
from geotether.geodesy.crs import (
    WGS84,
    check_crs,
    crs_name,
    crs_text,
    full_turn,
    is_geographic,
    is_wgs84,
    lonlat_of_xy,
)

# Names of degrees come before x and y, which may be metres.
_SURE = {
    "lon": ("lon", "longitude", "lng", "decimallongitude", "laengengrad"),
    "lat": ("lat", "latitude", "decimallatitude", "breitengrad", "latitud"),
}
_WORDS = {"lon": {"lon", "longitude", "lng", "laengengrad"}, "lat": {"lat", "latitude", "breitengrad", "latitud"}}
# Words that also mean a length or a width: they name coordinates in a pair, alone or beside `_BESIDE`.
_PAIRED = {"lon": {"laenge", "longitud", "long"}, "lat": {"breite"}}
_BESIDE = frozenset((
    "geo", "geogr", "geographische", "geografische", "geografica", "oestliche", "noerdliche", "ost", "nord", "x", "y",
    "grad", "dezimalgrad", "dezimal", "decimal", "grados", "dd", "gps", "wgs", "84", "etrs", "89",
))  # fmt: skip
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "AE", "Ö": "OE", "Ü": "UE", "á": "a"})
_AXES = {"lon": ("x", "easting"), "lat": ("y", "northing")}
# In Longitude_error or min_lat, the word names another thing.
_OTHER_WORDS = frozenset((
    "error", "uncertainty", "accuracy", "precision", "std", "sd", "sigma", "min", "max", "offset", "delta", "diff",
    "count", "type", "id", "bin",
))  # fmt: skip
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
# Advice in messages, as in geodesy.coordinates.
NAME_ADVICE = "name one with lon= and lat="
CRS_ADVICE = "state it with crs=, such as crs='EPSG:4326' for degrees"
ROWS_ADVICE = "Correct such rows or leave them out"
NO_PLACE = "longitude or latitude missing"
BEYOND_LATITUDE = "latitude outside [-90, 90]"
SWAPPED = f"{BEYOND_LATITUDE}, possible as a longitude"  # and the longitude as a latitude; many may be a swap
# What programs write for a missing number; none of them is a coordinate in degrees.
_SENTINELS = (-999.0, -9999.0, -99999.0, -999999.0, -32768.0, 9999.0, 99999.0, 999999.0)
_MINUTE, _SECOND = "['\u2032\u2019m]", "(?:[\"\u2033\u201ds]|''|\u2032\u2032)"
_PART = r"\d{1,3}(?:[.,]\d+)?"
_ANGLE = re.compile(
    rf"([NSEW])?\s*({_PART})\s*[\u00b0\u00ba\u02dad]?\s*(?:({_PART})\s*{_MINUTE}?\s*)?(?:({_PART})\s*{_SECOND}?\s*)?([NSEW])?",
    re.IGNORECASE,
)
_log = logging.getLogger(__name__)


class PlaceFinder:
    """Finds the place of every row of a file's tables.

    Without `lon` and `lat` the place is the geometry that the file describes; or else the columns whose names say
    degrees (lon, longitude, lng, decimalLongitude, Längengrad; else long, Longitude_WGS84 and the like; else Länge and
    Breite or longitud, see `degrees_axes`); or else x and y, which come first where `crs` is not in degrees; or else a
    column of well-known binary or text. Degrees, minutes and seconds with a letter, such as 51°58'12"N, are read too.

    Args:
        schema: Of these tables.
        lon: Column of longitudes, or of x in `crs`.
        lat: Column of latitudes, or of y; named together with `lon` or not at all.
        crs: CRS of the coordinates, such as "EPSG:28992". None: what the file states, or degrees in WGS 84.

    Attributes:
        columns: The columns that state the place, which are not features.
        place: What they are, in words.

    Raises:
        ValueError: If the columns are missing (those found are listed) or ambiguous, or the CRS is unknown or stated
            twice.
    """

    def __init__(self, schema: pa.Schema, lon: str | None = None, lat: str | None = None, crs: str | None = None):
        if (lon is None) != (lat is None):
            raise ValueError(f"lon and lat are named together; got lon={lon!r} and lat={lat!r}.")
        noted = geometry_column(schema)
        self.geometry = noted if lon is None else None
        # A geometry beside named columns states the place as well.
        self.columns: tuple[str, ...] = (noted,) if noted else ()
        axes = [] if self.geometry else _axes(schema, {"lon": lon, "lat": lat}, crs)
        if not axes and self.geometry is None:
            self.geometry = bare_geometry(schema)
            self.columns = (str(self.geometry),)
        self.crs: Any = crs or WGS84
        if self.geometry is not None:
            about = geometry_notes(schema)["columns"].get(self.geometry, {}) if noted else {"crs": None}
            stated = about.get("crs", WGS84)
            if crs is not None and stated is not None and "crs" in about:
                raise ValueError(f"the file states its own CRS ({crs_name(stated)}); leave crs={crs!r} out.")
            if crs is None and stated is None:
                raise ValueError(f"the geometry has no CRS; {CRS_ADVICE}.")
            self.crs = crs or stated
            self.place = f"the geometry {self.geometry!r}"
        else:
            self.lon, self.lat = axes
            self.columns = (*self.columns, self.lon, self.lat)
            self.place = f"the columns {self.lon!r} and {self.lat!r}"
        check_crs(self.crs)  # an unknown CRS is an error here, not at the first row
        self.place += "" if is_wgs84(self.crs) else f" in {crs_name(self.crs)}"
        self._has_warned = False

    def find(self, table: pa.Table) -> tuple[Float64[np.ndarray, "n 2"], dict[int, str]]:
        """Find the places of some rows; the policy of a job, which rejects single rows.

        Args:
            table: With the schema of this object.

        Returns:
            Longitude and latitude in degrees, shape (n, 2), and row to reason where they are not valid.
        """
        if self.geometry is not None:
            xy, reasons, apart = points_of_geometry(table[self.geometry], full_turn(crs_text(self.crs)))
            if apart and not self._has_warned:
                _log.warning("The points of %d MultiPoints are far apart; one of them is the place.", apart)
                self._has_warned = True
        else:
            axes = [(name, *numbers_of(table[name], comma=True)) for name in (self.lon, self.lat)]
            if is_geographic(self.crs):
                for (_, values, odd), letters in zip(axes, ("EW", "NS"), strict=True):
                    read = {row: degrees_of(str(text), letters) for row, text in odd.items()}
                    for row in [row for row, degrees in read.items() if degrees is not None]:
                        values[row] = read[row]
                        del odd[row]
            reasons = {row: f"{name} is not a number" for name, _, odd in reversed(axes) for row in odd}
            xy = np.stack([values for _, values, _ in axes], axis=1)
        unknown = np.isin(xy, _SENTINELS)
        xy[unknown.any(axis=1) if is_geographic(self.crs) else unknown.all(axis=1)] = np.nan
        lonlat = lonlat_of_xy(xy, self.crs)
        lost = np.flatnonzero(np.isfinite(xy).all(axis=1) & ~np.isfinite(lonlat).all(axis=1)).tolist()
        outside = dict.fromkeys(lost, f"coordinates outside the range of {crs_name(self.crs)}")
        return lonlat, refuse_places(lonlat) | outside | reasons

    def require(self, table: pa.Table) -> Float64[np.ndarray, "n 2"]:
        """Find the places of all rows; the policy of a call, which refuses a table with any row without a valid place.

        Args:
            table: With the schema of this object.

        Raises:
            ValueError: If a row has no valid place; the first is named with the reason.
        """
        lonlat, reasons = self.find(table)
        if reasons:
            row = min(reasons)
            if row in refuse_places(lonlat) and reasons[row] == refuse_places(lonlat)[row]:
                check_lonlat(lonlat)  # its message counts the rows and detects swapped columns
            raise ValueError(
                f"{len(reasons)} of {len(lonlat)} rows have no valid place; row {row}{self._said(table, row)}: "
                f"{reasons[row]}. {ROWS_ADVICE}."
            )
        for doubt in doubts_of(lonlat):
            _log.warning("%s", doubt)
        return lonlat

    def _said(self, table: pa.Table, row: int) -> str:
        if self.geometry is not None:
            return ""
        cells = [repr(table[name][row].as_py()) for name in (self.lon, self.lat)]
        return f" has {self.lon} = {cells[0]} and {self.lat} = {cells[1]}"


def degrees_of(text: str, letters: str) -> float | None:
    """Read degrees, minutes and seconds with a letter of the compass; None if a text is anything else.

    Args:
        text: Such as 51°58'12"N, N 51 58.2 or 33.87S; a sign beside the letter is ambiguous and not read.
        letters: "EW" for a longitude, "NS" for a latitude.

    Example:
        >>> degrees_of("33°52'30''S", "NS"), degrees_of("33°52'30''S", "EW"), degrees_of("33 52 30", "NS")
        (-33.875, None, None)
    """
    match = _ANGLE.fullmatch(text.strip())
    if match is None or (match[1] is None) == (match[5] is None):
        return None
    letter = (match[1] or match[5]).upper()
    degrees, minutes, seconds = (float((match[part] or "0").replace(",", ".")) for part in (2, 3, 4))
    if letter not in letters or minutes >= 60 or seconds >= 60:
        return None
    return (-1 if letter in "SW" else 1) * (degrees + minutes / 60 + seconds / 3600)


def doubts_of(lonlat: Float64[np.ndarray, "n 2"]) -> list[str]:
    """Say what is doubtful about valid places: many at (0, 0), or latitudes that look like longitudes.

    Example:
        >>> doubts_of(np.zeros((2, 2)))
        ['2 of 2 rows lie at longitude 0, latitude 0, which often marks a missing place.']
    """
    zeros = int((lonlat == 0).all(axis=1).sum())
    found = [f"{zeros:,} of {len(lonlat):,} rows lie at longitude 0, latitude 0, which often marks a missing place."]
    return found * (zeros > 1) + [hint for hint in [swap_suspicion(lonlat)] if hint]


def refuse_places(lonlat: Float64[np.ndarray, "n 2"]) -> dict[int, str]:
    """Say which places cannot be (longitude, latitude) in degrees.

    Args:
        lonlat: Shape (n, 2), any values.

    Returns:
        Row to reason.

    Example:
        >>> refuse_places(np.array([[5.66, 51.97], [51.97, 95.66], [5.66, 519.7], [np.nan, 0.0]]))
        {1: 'latitude outside [-90, 90], possible as a longitude', 2: 'latitude outside [-90, 90]', \
3: 'longitude or latitude missing'}
    """
    lon, lat = lonlat[:, 0], lonlat[:, 1]
    reasons = {}
    missing = ~np.isfinite(lonlat).all(axis=1)
    with np.errstate(invalid="ignore"):
        beyond_lat, beyond_lon = np.abs(lat) > 90, (lon < -180) | (lon > 360)
    for row in np.flatnonzero(missing | beyond_lat | beyond_lon).tolist():
        if missing[row]:
            reasons[row] = NO_PLACE
        elif beyond_lat[row]:
            reasons[row] = SWAPPED if abs(lon[row]) <= 90 and abs(lat[row]) <= 180 else BEYOND_LATITUDE
        else:
            reasons[row] = "longitude outside [-180, 360]"
    return reasons


def find_name(names: list[str], known: tuple[str, ...]) -> str | None:
    """Find the first of the known names among columns, in any case.

    Raises:
        ValueError: If two columns differ from it by case only.
    """
    for wanted in known:
        hits = [name for name in names if name.strip().lower() == wanted]
        if len(hits) > 1:
            raise ValueError(f"two columns could be {wanted!r}: {', '.join(map(repr, hits))}; rename one.")
        if hits:
            return hits[0]
    return None


def listed_columns(names: list[str], most: int = 40) -> str:
    """List the columns of a file for a message.

    Example:
        >>> listed_columns(["a", "b", "c"], most=2)
        "Columns found: 'a', 'b' and 1 more."
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"Columns found: {', '.join(map(repr, names[:most])) or 'none'}{more}."


def degrees_axes(names: Iterable[str]) -> dict[str, str]:
    """Return the columns whose names say degrees, with "lon" or "lat".

    Words that also mean a length or a width (Länge, Breite, longitud) count only for a coordinate that no other column
    names, and only if there is the other coordinate.

    Args:
        names: Names of all columns of a table.

    Example:
        >>> degrees_axes(["Länge", "Breite", "Wert"]), degrees_axes(["x", "y", "Länge"])
        ({'Länge': 'lon', 'Breite': 'lat'}, {})
    """
    names = list(names)
    found = {name: axis for name in names if (axis := degrees_axis(name))}
    both = {**found}
    for axis in {*_PAIRED} - {*found.values()}:
        both |= {name: axis for name in names if _is_paired(name, axis)}
    return {name: both[name] for name in names if name in both} if len({*both.values()}) == 2 else found


def degrees_axis(name: str) -> str | None:
    """Return "lon" or "lat" where the name of a column says degrees by itself (English, German, Spanish), else None.

    Example:
        >>> [degrees_axis(name) for name in ("decimalLongitude", "LAT_WGS84", "long", "longevity", "x", "lat_error")]
        ['lon', 'lat', 'lon', None, None, None]
    """
    words = _words_of(name)
    if words & _OTHER_WORDS:
        return None
    named = [axis for axis in _WORDS if _is_sure(name, axis) or words & _WORDS[axis]]
    return named[0] if len(named) == 1 else "lon" if _plain(name) == "long" else None


def _words_of(name: str) -> set[str]:
    return {word.lower() for part in re.split(r"[\W_]+", _folded(name)) for word in _WORD.findall(part)}


def _is_paired(name: str, axis: str) -> bool:
    words = _words_of(name)
    return bool(words & _PAIRED[axis]) and words <= _PAIRED[axis] | _BESIDE


def _is_sure(name: str, axis: str) -> bool:
    return _plain(name) in _SURE[axis]


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", _folded(name)).lower()


def _folded(name: str) -> str:
    """Write umlauts, composed or not, with an e."""
    return unicodedata.normalize("NFC", name).translate(_UMLAUTS)


def _axes(schema: pa.Schema, given: dict[str, str | None], crs: str | None) -> list[str]:
    """Name the columns of the two coordinates; none where the place is a column of well-known binary or text."""
    names = list(schema.names)
    degrees = degrees_axes(names)
    is_doubtful = not any(map(degrees_axis, degrees))  # may be lengths and widths
    found: dict[str, str] = {}
    for axis, wanted in given.items():
        if wanted is not None:
            if wanted not in names:
                raise ValueError(f"there is no column {wanted!r} for {axis}. {listed_columns(names)}")
            found[axis] = wanted
            continue
        plain = [name for name in names if name.strip().lower() in _AXES[axis]]
        named = [name for name in names if degrees.get(name) == axis]
        named = [name for name in named if _is_sure(name, axis)] or named
        if crs is not None and not is_geographic(crs):
            both = plain or named
        else:
            both = [*named, *plain] if is_doubtful else named or plain
        if len(both) > 1:
            said = " and ".join(map(repr, both))
            raise ValueError(f"the columns {said} could both be {axis}; {NAME_ADVICE}.")
        found |= {axis: both[0]} if both else {}
    missing = [axis for axis in given if axis not in found]
    if missing and bare_geometry(schema) is not None:
        return []
    if missing:
        raise ValueError(
            f"there is no column for {' and '.join(missing)}; name the columns of coordinates with lon= and lat= (for "
            "metres also crs=), on the command line with --set lon=COLUMN --set lat=COLUMN (of `geotether encode` "
            f"--lon and --lat). {listed_columns(names)}"
        )
    for axis, name in found.items():
        kind = schema.field(name).type
        if pa.types.is_nested(kind) or pa.types.is_boolean(kind) or pa.types.is_temporal(kind):
            raise ValueError(f"column {name!r} for {axis} contains {kind}, not numbers.")
    return list(found.values())


def lonlat_of_columns(
    columns: pa.Table, lon: str | None = None, lat: str | None = None, crs: str | None = None
) -> Float64[np.ndarray, "n 2"]:
    """Find the places of a whole table, as `PlaceFinder` does; a row without a valid place is an error."""
    return PlaceFinder(columns.schema, lon, lat, crs).require(columns)
