"""The kind of a column: numbers, classes, booleans or dates, inferred from its type, values and name."""

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from geotether.files.numbers import numbers_of, odd_among_numbers
from geotether.files.places import degrees_axis
from geotether.files.values import is_list, is_number, is_text, usual
from geotether.geodesy.dates import is_time, times_of

KINDS = ("numeric", "categorical", "boolean", "date")
_BOOLEANS = {"true", "false", "yes", "no", "t", "f", "y", "n"}
_ISO_DATE = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:?\d{2}.*)?$"
_OTHER_DATE = r"^\s*\d{1,2}[./-]\d{1,2}[./-](\d{4}|\d{2})(\s.*)?$"
_LONG_TEXT = 60  # characters, on average
_MOSTLY_DATES = 0.99
# Words in the name of a column that locate a row rather than describe it.
PLACE_WORDS = frozenset((
    "lon", "long", "lng", "longitude", "lat", "latitude", "x", "y", "easting", "northing", "utm", "mgrs",
    "geohash", "h3", "s2", "geometry", "geom", "wkt", "wkb", "coordinates", "coordinate", "location",
    "split", "fold", "block", "country", "countries", "nation", "admin", "adm", "state", "province",
    "region", "subregion", "district", "county", "municipality", "city", "town", "village", "place",
    "locality", "settlement", "address", "street", "postcode", "postal", "zip", "zipcode", "continent",
    "island", "archipelago", "ocean", "sea", "tz", "timezone", "iso", "iso2", "iso3", "nuts", "fips",
    "territory",
))  # fmt: skip
ID_WORDS = frozenset((
    "id", "ids", "uuid", "guid", "key", "no", "nr", "number", "num", "code", "fid", "gid", "objectid",
    "index", "idx", "url", "uri",
))  # fmt: skip
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


class UnsuitedError(ValueError):
    """A column that cannot become features, and whether the source 'texts' could read it."""

    def __init__(self, why: str, is_text: bool = False) -> None:
        super().__init__(why)
        self.is_text = is_text


def as_plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the column without dictionary or extension types."""
    while pa.types.is_dictionary(column.type) or isinstance(column.type, pa.BaseExtensionType):
        inner = column.type.value_type if pa.types.is_dictionary(column.type) else column.type.storage_type
        column = column.cast(inner)
    return usual(column)


def infer_kind(name: str, column: pa.ChunkedArray, min_count: int) -> str:
    """Infer the kind of a column of plain type (see `as_plain`).

    Numbers are numeric, except ids, and 0/1, which is boolean. Texts are categorical if some value occurs `min_count`
    times, boolean if they are yes and no, dates if 99 % are ISO 8601 dates. Whole numbers that are codes look like any
    other numbers; declare them categorical. UnsuitedError gives the reason why a column cannot become features.
    """
    kind = column.type
    if names_a_place(name):
        raise UnsuitedError("its name says that it is a place")
    if is_list(kind):
        if not is_text(kind.value_type):
            raise UnsuitedError(f"a list of {kind.value_type}; the source 'vectors' reads lists of numbers")
        column = pc.list_flatten(column)
    elif not (is_number(kind) or is_text(kind) or is_time(kind) or pa.types.is_boolean(kind)):
        raise UnsuitedError("it has no values" if pa.types.is_null(kind) else f"it has the type {kind}")
    given = _given(column)
    if len(given) == 0:
        raise UnsuitedError("it has no values")
    distinct = len(pc.unique(given))
    if distinct == 1 and len(given) == len(column):
        raise UnsuitedError("constant")
    if is_time(kind):
        return "date"
    if pa.types.is_boolean(kind):
        return "boolean"
    if is_number(kind):
        return _kind_of_numbers(name, given, distinct)
    return _kind_of_texts(name, given, distinct, min_count, listed=is_list(kind))


def _given(column: pa.ChunkedArray) -> pa.ChunkedArray:
    given = column.drop_null()
    if pa.types.is_floating(column.type):
        return given.filter(pc.is_finite(given))
    if is_text(column.type):
        return given.filter(pc.not_equal(pc.utf8_trim_whitespace(given), ""))
    return given


def _kind_of_numbers(name: str, given: pa.ChunkedArray, distinct: int) -> str:
    values = np.asarray(given.cast(pa.float64(), safe=False).to_numpy())
    if distinct <= 2 and set(np.unique(values).tolist()) <= {0.0, 1.0}:
        return "boolean"
    whole = bool((values == np.round(values)).all())
    if whole and words_of(name) & ID_WORDS:
        raise UnsuitedError("its name says that it is an id or a code; declare it if it is a count")
    if whole and distinct == len(values) >= 20:
        climbs = bool((np.diff(values) > 0).all())
        if climbs or np.ptp(values) < 2 * len(values):
            raise UnsuitedError("whole numbers that are all different, like ids")
    return "numeric"


def _kind_of_texts(name: str, given: pa.ChunkedArray, distinct: int, min_count: int, listed: bool) -> str:
    if not listed:
        lowered = {str(value).strip().lower() for value in pc.unique(given).to_pylist()} if distinct <= 4 else {""}
        if lowered <= _BOOLEANS:
            return "boolean"
        dated = pc.mean(pc.match_substring_regex(given, _ISO_DATE).cast(pa.float64())).as_py()
        if dated >= _MOSTLY_DATES and times_of(given)[1].mean() <= 1 - _MOSTLY_DATES:
            return "date"
        if pc.mean(pc.match_substring_regex(given, _OTHER_DATE).cast(pa.float64())).as_py() >= _MOSTLY_DATES:
            raise UnsuitedError(
                f"dates written as {given[0].as_py()}, which is ambiguous; write them as 2003-06-21 (ISO 8601)"
            )
        if odd := odd_among_numbers(given):
            few = ", ".join(map(repr, list(dict.fromkeys(map(str, odd.values())))[:3]))
            raise UnsuitedError(
                f"numbers, except {few} in {len(odd)} rows; correct these, or declare it, which rejects these rows: "
                f"--set features.numeric={name}"
            )
        if words_of(name) & ID_WORDS:
            raise UnsuitedError("its name says that it is an id or a code; declare it if it is a class")
        if 2 * distinct > len(given) and not numbers_of(given)[1]:
            raise UnsuitedError("texts that are all numbers; declare it numeric")
        if distinct == len(given):
            raise UnsuitedError("texts that are all different: ids, or texts for the source 'texts'", is_text=True)
        length = pc.mean(pc.utf8_length(given)).as_py()
        if length > _LONG_TEXT:
            raise UnsuitedError(
                f"texts of {length:.0f} characters on average; the source 'texts' reads them", is_text=True
            )
        if 2 * distinct > len(given) > min_count:
            raise UnsuitedError("texts that are mostly different: names or ids")
    most = max(pc.value_counts(given).field("counts").to_pylist())
    if most < min_count:
        raise UnsuitedError(f"no value occurs {min_count} times (min_count); the most frequent occurs {most} times")
    return "categorical"


def words_of(name: str) -> set[str]:
    """Split a column's name into words, in lower case.

    Example:
        >>> sorted(words_of("minLatitude_tz2")), sorted(words_of("ISO3")), sorted(words_of("stateProvince"))
        (['2', 'latitude', 'min', 'tz', 'tz2'], ['3', 'iso', 'iso3'], ['province', 'state'])
    """
    words = set()
    for part in re.split(r"[\W_]+", name):
        words |= {word.lower() for word in _WORD.findall(part)}
        if re.fullmatch(r"[A-Za-z]+\d+", part):  # iso3 is a word too
            words.add(part.lower())
    return words


def names_a_place(name: str) -> bool:
    """Return whether the name says that a column is a place.

    Example:
        >>> [names_a_place(name) for name in ("Min_Latitude", "ADM0_A3", "tz_offset", "Breitengrad", "relation")]
        [True, True, True, True, False]
    """
    return bool(words_of(name) & PLACE_WORDS) or degrees_axis(name) is not None
