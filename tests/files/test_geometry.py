"""Mirrors src/geotether/files/geometry.py."""

import struct

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from geotether.files.geometry import with_geometry
from geotether.files.places import PlaceFinder, lonlat_of_columns
from geotether.files.points import read_points
from geotether.geodesy.coordinates import unit_vectors

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


ACROSS = {
    "POLYGON ((179 -17.5, -179 -17.5, -179 -16.5, 179 -16.5, 179 -17.5))": (180, -17),
    "POLYGON ((176 70, -177 70, -177 72, 176 72, 176 70))": (179.5, 71),
    "POLYGON ((178 0, -178 0, -178 2, 178 2, 178 0), (179 .2, -179.5 .2, -179.5 1.8, 179 1.8, 179 .2))": (-178.75, 1),
    "LINESTRING (178.5 -15, 179.5 -15.2, -179.5 -15.4, -178.5 -15.6)": (-179.5, -15.4),
    "MULTIPOLYGON (((179 0, 180 0, 180 1, 179 1, 179 0)), ((-180 0, -179 0, -179 1, -180 1, -180 0)))": (179.5, 0.5),
    "POLYGON ((179 -17.5, 181 -17.5, 181 -16.5, 179 -16.5, 179 -17.5))": (180, -17),
    "POLYGON ((-180 -90, 180 -90, 180 90, -180 90, -180 -90))": (0, 0),
    "POLYGON ((0 85, 90 85, 180 85, -90 85, 0 85))": (0, 90),
    "POLYGON ((-100 10, 60 10, 60 20, -100 20, -100 10))": (-20, 15),
}


@pytest.mark.parametrize("name", ["p.gpkg", "p.shp", "p.geojson", "p.parquet", "p.csv"])
def test_shapes_across_180_degrees_have_their_point_inside(tmp_path, name):
    gpd = pytest.importorskip("geopandas")
    # A Shapefile has one kind of geometry, and GDAL finds its holes by their place in uncut rings.
    chosen = {
        text: at for text, at in ACROSS.items() if name != "p.shp" or ("LINE" not in text and "), (1" not in text)
    }
    shapes = [shapely.from_wkt(text) for text in chosen]
    if name == "p.csv":
        pa.csv.write_csv(pa.table({"wkt": [shape.wkt for shape in shapes]}), tmp_path / name)
    else:
        frame = gpd.GeoDataFrame({"v": range(len(shapes))}, geometry=shapes, crs=4326)
        frame.to_parquet(tmp_path / name) if name == "p.parquet" else frame.to_file(tmp_path / name)
    lonlat = read_points(tmp_path / name, crs="EPSG:4326" if name == "p.csv" else None).lonlat
    np.testing.assert_allclose(unit_vectors(lonlat), unit_vectors(np.array([*chosen.values()], dtype=float)), atol=1e-9)


def test_far_points_of_a_multipoint_are_reported(caplog):
    table = geo_table([shapely.to_wkb(shapely.MultiPoint(points)) for points in ([(5, 52)], [(5, 52), (9, 52)])])
    assert lonlat_of_columns(table).tolist() == [[5, 52], [5, 52]]
    assert "1 MultiPoints" in caplog.text
