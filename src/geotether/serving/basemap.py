"""The base map: land, borders and names of countries as GeoJSON, from the outlines of Natural Earth."""

import json
from functools import cache
from typing import Any

import numpy as np
import shapely

from geotether.regions.named import land_countries, land_outlines
from geotether.regions.outline import area_km2
from geotether.searching.candidates import SOUTH

DETAIL_DEGREES = 0.03
_DECIMALS = 3
# Countries above these areas have the ranks 1, 2, 3 and 4, the others 5.
_RANKS_KM2 = (2e6, 5e5, 1e5, 1e4)
_LABEL_DEGREES = 0.2  # accuracy of the most interior place of a country, where its name is


@cache
def land_polygons() -> np.ndarray:
    """Return land without borders and without Antarctica, as an array of shapely polygons in degrees.

    Polygons across 180 degrees continue beyond it.
    """
    return _polygons()[shapely.bounds(_polygons())[:, 3] > SOUTH]


@cache
def _polygons() -> np.ndarray:
    parts = shapely.get_parts(shapely.coverage_union_all(land_outlines()))
    return shapely.simplify(parts, DETAIL_DEGREES)


@cache
def land_geojson() -> bytes:
    """Return land as one GeoJSON feature, a multi-polygon in degrees."""
    return _collection([(shapely.multipolygons(_polygons()), {})])


@cache
def borders_geojson() -> bytes:
    """Return the borders between countries, without coasts, as one GeoJSON feature."""
    return _collection([(shapely.multilinestrings(borders()), {})])


@cache
def labels_geojson() -> bytes:
    """Return a point per country with its `name`, `rank` from 1 (large) to 5, and `area` in km2."""
    countries = np.array(land_countries(), dtype=object)
    features = []
    for name in sorted(set(countries.tolist())):
        shapes = shapely.get_parts(land_outlines()[countries == name])
        largest = shapes[shapely.area(shapes).argmax()]
        circle = shapely.maximum_inscribed_circle(largest, _LABEL_DEGREES)
        area = area_km2(shapely.multipolygons(shapes))
        rank = 1 + int(np.searchsorted(-np.array(_RANKS_KM2), -area))
        features.append((shapely.get_point(circle, 0), {"name": name, "rank": rank, "area": round(area)}))
    return _collection(sorted(features, key=lambda one: -one[1]["area"]))


@cache
def borders() -> np.ndarray:
    """Return the lines between neighbouring countries, as an array of shapely lines in degrees.

    An edge that two outlines share is a border; edges of a single one are coasts.
    """
    rings = shapely.get_rings(shapely.get_parts(land_outlines()))
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    edges = np.stack([xy[:-1], xy[1:]], axis=1)[ring[:-1] == ring[1:]]
    # An edge has the same key in both directions.
    order = np.lexsort((edges[..., 1], edges[..., 0]), axis=-1)
    keys = np.round(np.take_along_axis(edges, order[..., None], axis=1) * 1e6).astype(np.int64)
    _, first, count = np.unique(keys.reshape(-1, 4), axis=0, return_index=True, return_counts=True)
    merged = shapely.line_merge(shapely.multilinestrings(shapely.linestrings(edges[first[count > 1]])))
    return shapely.simplify(shapely.get_parts(merged), DETAIL_DEGREES)


def _collection(features: list[tuple[Any, dict[str, Any]]]) -> bytes:
    rounded = shapely.transform([one for one, _ in features], lambda xy: np.round(xy, _DECIMALS))
    texts = [
        f'{{"type":"Feature","properties":{json.dumps(about, ensure_ascii=False)},"geometry":{text}}}'
        for text, (_, about) in zip(shapely.to_geojson(rounded).tolist(), features, strict=True)
    ]
    return f'{{"type":"FeatureCollection","features":[{",".join(texts)}]}}'.encode()


BASEMAP = {"land": land_geojson, "borders": borders_geojson, "labels": labels_geojson}
"""The parts of the base map by name; each is made once."""
