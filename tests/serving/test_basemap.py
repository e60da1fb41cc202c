"""Mirrors src/geotether/serving/basemap.py."""

import gzip
import json

import numpy as np
import shapely

from geotether.regions.named import land_outlines, outline_of_name
from geotether.serving.basemap import borders, borders_geojson, labels_geojson, land_geojson


def features(body):
    return json.loads(body)["features"]


def test_all_of_it_is_small():
    assert sum(len(gzip.compress(body)) for body in (land_geojson(), borders_geojson(), labels_geojson())) < 250_000


def test_land_has_the_area_of_the_countries():
    land = shapely.from_geojson(json.dumps(features(land_geojson())[0]["geometry"]))
    want = shapely.area(land_outlines()).sum()
    assert abs(land.area - want) < 0.002 * want
    assert 180 < land.bounds[2] < 220  # goes on beyond 180 degrees


def test_borders_are_between_countries_and_not_on_coasts():
    france, spain = (outline_of_name(name)[1] for name in ("France", "Spain"))
    line = shapely.intersection(france.boundary.buffer(0.05), spain.boundary)
    found = shapely.union_all(borders())
    assert found.buffer(0.1).intersection(line).length > 0.95 * line.length
    brittany, antimeridian = shapely.box(-5.2, 47.5, -3, 49), shapely.box(179.5, -89, 180.5, 89)
    assert found.intersection(brittany).is_empty
    assert found.intersection(antimeridian).is_empty


def test_names_are_inside_their_countries_and_the_largest_have_the_first_rank():
    labels = features(labels_geojson())
    named = {one["properties"]["name"]: one for one in labels}
    assert len(named) == len(labels) > 200
    for name in ("France", "Fiji", "Chile", "Vatican"):
        point = shapely.Point(named[name]["geometry"]["coordinates"])
        assert shapely.distance(point, outline_of_name(name)[1]) < 0.02
    assert {name for name, one in named.items() if one["properties"]["rank"] == 1} >= {"Russia", "Brazil", "Australia"}
    assert named["Vatican"]["properties"]["rank"] == 5
    areas = [one["properties"]["area"] for one in labels]
    assert areas == sorted(areas, reverse=True)
    assert np.isclose(named["France"]["properties"]["area"], 640_000, rtol=0.05)
