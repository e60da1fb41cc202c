"""Mirrors src/geotether/sources/geometry.py."""

import struct

import numpy as np
import pyarrow as pa
import pytest

from geotether.sources.geometry import lonlat_of_geometry, with_geometry, wkb_of_lonlat

shapely = pytest.importorskip("shapely")

PLACES = np.array([[0, 90], [180, 0], [-180, -90], [5.66, 51.97], [-74.01, 40.71]])


def geo_table(values, **about):
    note = pa.table({"geometry": pa.array(values, pa.binary())})
    geo = '{"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": {"encoding": "WKB"%s}}}'
    extra = "".join(f', "{key}": {value}' for key, value in about.items())
    return note.replace_schema_metadata({"geo": geo % extra})


def test_points_are_those_of_shapely():
    want = [shapely.to_wkb(shapely.Point(*place), byte_order=1) for place in PLACES]
    assert wkb_of_lonlat(PLACES).to_pylist() == want


def test_reading_is_the_inverse_of_writing():
    table = with_geometry(pa.table({"a": range(5)}), PLACES)
    np.testing.assert_array_equal(lonlat_of_geometry(table), PLACES)
    np.testing.assert_array_equal(lonlat_of_geometry(table.slice(2, 2)), PLACES[2:4])
    np.testing.assert_array_equal(lonlat_of_geometry(pa.concat_tables([table, table])), np.tile(PLACES, (2, 1)))


def test_all_dialects_of_binary_points_are_read():
    high = shapely.Point(5.66, 51.97, 12.0)
    values = [
        shapely.to_wkb(shapely.Point(5.66, 51.97), byte_order=0),
        shapely.to_wkb(high, flavor="iso"),
        shapely.to_wkb(high, flavor="extended"),
        shapely.to_wkb(shapely.set_srid(shapely.Point(5.66, 51.97), 4326), include_srid=True),
    ]
    np.testing.assert_array_equal(lonlat_of_geometry(geo_table(values)), [[5.66, 51.97]] * 4)


@pytest.mark.parametrize(
    "second, message",
    [
        (shapely.to_wkb(shapely.LineString([(0, 0), (1, 1)])), "Row 1 is a LineString, not a Point"),
        (None, "Row 1 has no geometry"),
        (b"\x01\x01", "Row 1 holds 2 bytes that are no well-known binary"),
        (b"", "Row 1 holds 0 bytes"),
        (struct.pack("<BI", 1, 99), "Row 1 is a geometry of type 99"),
    ],
)
def test_the_row_of_another_geometry_is_named(second, message):
    point = shapely.to_wkb(shapely.Point(0, 0))
    with pytest.raises(ValueError, match=message):
        lonlat_of_geometry(geo_table([point, second]))


def test_another_crs_is_converted_and_a_missing_one_refused():
    pyproj = pytest.importorskip("pyproj")
    metres = pyproj.Transformer.from_crs("OGC:CRS84", "EPSG:3857", always_xy=True).transform(5.66, 51.97)
    value = [shapely.to_wkb(shapely.Point(*metres))]
    mercator = geo_table(value, crs=pyproj.CRS("EPSG:3857").to_json())
    np.testing.assert_allclose(lonlat_of_geometry(mercator), [[5.66, 51.97]], atol=1e-9)
    geographic = geo_table(value, crs=pyproj.CRS("EPSG:4326").to_json())
    np.testing.assert_array_equal(lonlat_of_geometry(geographic), [metres])
    with pytest.raises(ValueError, match="no CRS"):
        lonlat_of_geometry(geo_table(value, crs="null"))
