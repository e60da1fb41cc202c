"""Outlines of countries, territories and continents by name or ISO code, from Natural Earth."""

import re
import unicodedata
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from jaxtyping import Float

from geotether.geodesy.coordinates import wrap_longitude
from geotether.regions.outline import continued


class Named(NamedTuple):
    """A name that has an outline.

    Attributes:
        name: As it is shown, such as "Ivory Coast".
        rows: Rows of the parts that make it up.
    """

    name: str
    rows: tuple[int, ...]


def outline_of_name(given: str) -> tuple[str, Any] | None:
    """Return the shown name and the outline of a country, territory or continent; None if there is none.

    Args:
        given: A name in English (case, accents and punctuation do not matter) or an ISO 3166-1 code of two or three
            letters. A country comes with all its parts overseas; see docs/regions.md for the parts that have names.

    Returns:
        The name, and a polygon or multi-polygon in degrees that continues beyond 180 degrees east.

    Example:
        >>> outline_of_name("cote d'ivoire")[0], outline_of_name("FJ")[1].bounds[2] > 180
        ("Côte d'Ivoire", True)
    """
    found = index().get(key_of(given))
    if found is None:
        return None
    geometry = _parts()["geometry"].take(pa.array(found.rows))
    shapes = shapely.from_wkb(geometry.to_numpy(zero_copy_only=False))
    return found.name, shapes[0] if len(shapes) == 1 else continued(shapely.union_all(shapes))


def known_names() -> list[str]:
    """List all names and codes of `outline_of_name`, as they are written usually."""
    parts = _parts()
    texts = [*parts["country"].to_pylist(), *parts["continent"].to_pylist()]
    texts += [name for column in ("names", "own_names") for names in parts[column].to_pylist() for name in names]
    return sorted(set(texts))


def key_of(name: str) -> str:
    """Reduce a name to what is compared: letters and digits without accents, "saint" and "and" in full.

    Example:
        >>> key_of("St. Kitts & Nevis"), key_of("The Gambia"), key_of("Türkiye")
        ('saintkittsandnevis', 'gambia', 'turkiye')
    """
    plain = unicodedata.normalize("NFKD", name).casefold().replace("&", " and ")
    words = re.findall(r"[a-z0-9]+", re.sub(r"[\u0300-\u036f\u2019']", "", plain))
    words = ["saint" if word == "st" else "islands" if word == "is" else word for word in words]
    return "".join(words[1:] if len(words) > 1 and words[0] == "the" else words)


def country_of(lonlat: Float[np.ndarray, "n 2"]) -> list[str]:
    """Return the English name of the country or territory that each place lies in; "" at sea.

    Args:
        lonlat: Degrees, WGS 84, shape (n, 2).

    Example:
        >>> country_of(np.array([[5.66, 51.97], [-179.99, 68.5], [-30.0, 40.0]]))
        ['Netherlands', 'Russia', '']
    """
    names = _parts()["country"].to_pylist()
    lon, lat = wrap_longitude(lonlat[:, 0].astype(np.float64)), lonlat[:, 1].astype(np.float64)
    found = [""] * len(lonlat)
    for turn in (0.0, 360.0):
        inside = _tree().query(shapely.points(lon + turn, lat), predicate="intersects")
        for point, part in zip(*inside.tolist(), strict=True):
            found[point] = found[point] or names[part]
    return found


@cache
def _tree() -> Any:
    """Return a search tree over the outlines of the parts, some of which continue beyond 180 degrees."""
    shapes = shapely.from_wkb(_parts()["geometry"].to_numpy(zero_copy_only=False))
    return shapely.STRtree(shapes)


@cache
def _parts() -> pa.Table:
    """Read one row per part of a country: country, continent, names of the country and of the part, geometry."""
    with files("geotether.regions").joinpath("natural_earth/parts.parquet").open("rb") as file:
        return pq.read_table(file)


@cache
def index() -> dict[str, Named]:
    """Return what each key names; a country goes before a continent of the same name, a territory before both."""
    parts = _parts()
    country, continent = (np.array(parts[name].to_pylist(), dtype=object) for name in ("country", "continent"))
    index: dict[str, Named] = {}
    for row, own in enumerate(parts["own_names"].to_pylist()):
        for name in own:  # Alaska has a row on each side of 180 degrees
            index[key_of(name)] = Named(own[0], (*index.get(key_of(name), Named("", ())).rows, row))
    for row, names in enumerate(parts["names"].to_pylist()):
        rows = Named(country[row], tuple(np.flatnonzero(country == country[row]).tolist()))
        for name in [country[row], *names]:
            index.setdefault(key_of(name), rows)
    for name in dict.fromkeys(continent.tolist()):
        index.setdefault(key_of(name), Named(name, tuple(np.flatnonzero(continent == name).tolist())))
    return index


@cache
def land_outlines() -> np.ndarray:
    """Return the outlines of all parts of all countries, as an array of shapely polygons in degrees."""
    return shapely.from_wkb(_parts()["geometry"].to_numpy(zero_copy_only=False))


def land_countries() -> list[str]:
    """Return the country or territory of each of `land_outlines`, in their order; Alaska has a row of its own."""
    return _parts()["country"].to_pylist()
