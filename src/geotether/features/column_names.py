"""What the name of a column gives away: that it tells where a row is, or that it is an id."""

import re

# Words that say where a row is rather than what it is like.
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


def words_of(name: str) -> set[str]:
    """Split a column's name into words, in lower case.

    Example:
        >>> sorted(words_of("minLatitude_tz2")), sorted(words_of("ISO3")), sorted(words_of("stateProvince"))
        (['2', 'latitude', 'min', 'tz', 'tz2'], ['3', 'iso', 'iso3'], ['province', 'state'])
    """
    words = set()
    for part in re.split(r"[\W_]+", name):
        words |= {word.lower() for word in _WORD.findall(part)}
        if re.fullmatch(r"[A-Za-z]+\d+", part):  # iso3 is a word of its own
            words.add(part.lower())
    return words


def names_a_place(name: str) -> bool:
    """Does the name say that the column tells where something is?

    Example:
        >>> [names_a_place(name) for name in ("Min_Latitude", "ADM0_A3", "tz_offset", "relation", "statement")]
        [True, True, True, False, False]
    """
    return bool(words_of(name) & PLACE_WORDS)
