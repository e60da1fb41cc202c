"""Mirrors src/geotether/files/geometry.py."""

import struct

import numpy as np
import pyarrow as pa
import pytest

from geotether.files.geometry import with_geometry
from geotether.files.places import PlaceFinder, lonlat_of_columns

shapely = pytest.importorskip("shapely")

PLACES = np.array([[0, 90], [180, 0], [-180, -90], [5.66, 51.97], [-74.01, 40.71]])


def geo_table(values, **about):
    note = pa.table({"geometry": pa.array(values, pa.binary())})
    geo = '{"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": {"encoding": "WKB"%s}}}'
    extra = "".join(f', "{key}": {value}' for key, value in about.items())
    return note.replace_schema_metadata({"geo": geo % extra})


def test_points_are_those_of_shapely():
    want = [shapely.to_wkb(shapely.Point(*place), byte_order=1) for place in PLACES]
    assert with_geometry(pa.table({"a": range(5)}), PLACES)["geometry"].to_pylist() == want


def test_reading_is_the_inverse_of_writing():
    table = with_geometry(pa.table({"a": range(5)}), PLACES)
    np.testing.assert_array_equal(lonlat_of_columns(table), PLACES)
    np.testing.assert_array_equal(lonlat_of_columns(table.slice(2, 2)), PLACES[2:4])
    np.testing.assert_array_equal(lonlat_of_columns(pa.concat_tables([table, table])), np.tile(PLACES, (2, 1)))


def test_all_dialects_of_binary_points_are_read():
    high = shapely.Point(5.66, 51.97, 12.0)
    values = [
        shapely.to_wkb(shapely.Point(5.66, 51.97), byte_order=0),
        shapely.to_wkb(high, flavor="iso"),
        shapely.to_wkb(high, flavor="extended"),
        shapely.to_wkb(shapely.set_srid(shapely.Point(5.66, 51.97), 4326), include_srid=True),
    ]
    np.testing.assert_array_equal(lonlat_of_columns(geo_table(values)), [[5.66, 51.97]] * 4)


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (None, "no geometry"),
        (b"\x01\x01", "not well-known binary"),
        (b"", "not well-known binary"),
        (struct.pack("<BI", 1, 99), "not well-known binary"),
        (shapely.to_wkb(shapely.Polygon()), "empty geometry"),
        (shapely.to_wkb(shapely.Point()), "empty geometry"),
    ],
)
def test_a_row_without_a_point_is_rejected_or_reported(second, reason):
    table = geo_table([shapely.to_wkb(shapely.Point(0, 0)), second])
    lonlat, reasons = PlaceFinder(table.schema).find(table)
    assert np.isnan(lonlat[1]).all()
    assert list(reasons) == [1]
    assert reason in reasons[1]
    with pytest.raises(ValueError, match=f"row 1.*{reason}"):
        lonlat_of_columns(table)
