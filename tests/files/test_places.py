"""Mirrors src/geotether/files/places.py."""

import logging

import numpy as np
import pyarrow as pa
import pytest

from geotether.files.places import NO_PLACE, PlaceFinder, degrees_of

ENGINEERING = 'LOCAL_CS["site",LOCAL_DATUM["site",0],UNIT["metre",1],AXIS["x",EAST],AXIS["y",NORTH]]'


def names(*columns, crs=None):
    return PlaceFinder(pa.schema([pa.field(name, pa.float64()) for name in columns]), crs=crs).columns


@pytest.mark.parametrize(
    "columns, want",
    [
        (("x", "y", "decimalLongitude", "decimalLatitude"), ("decimalLongitude", "decimalLatitude")),
        (("X", "Y", "Longitude_WGS84", "Latitude_WGS84"), ("Longitude_WGS84", "Latitude_WGS84")),
        (("lon", "lat", "x"), ("lon", "lat")),
        (("lon", "lat", "lon_error", "lat_std", "long"), ("lon", "lat")),
        (("lon", "lat", "lon_nad27", "lat_nad27"), ("lon", "lat")),
        (("long", "y"), ("long", "y")),
        (("easting", "northing"), ("easting", "northing")),
        (("Längengrad", "Breitengrad"), ("Längengrad", "Breitengrad")),
        (("LA\u0308NGENGRAD", "BREITENGRAD", "x", "y"), ("LA\u0308NGENGRAD", "BREITENGRAD")),
        (("geogr. La\u0308nge", "geogr. Breite", "Höhe"), ("geogr. La\u0308nge", "geogr. Breite")),
        (("Laenge_WGS84", "Breite_WGS84"), ("Laenge_WGS84", "Breite_WGS84")),
        (("long", "lat", "Länge", "Breite"), ("long", "lat")),
        (("x", "y", "Länge"), ("x", "y")),
        (("x", "y", "Länge_mm", "Breite_mm"), ("x", "y")),
        (("longitud", "latitud", "x", "y"), ("longitud", "latitud")),
        (("LONGITUD_X", "LATITUD_Y"), ("LONGITUD_X", "LATITUD_Y")),
        (("x", "y", "longitud"), ("x", "y")),
        (("coord_lat", "gps_long"), ("gps_long", "coord_lat")),
    ],
)
def test_degrees_by_name_come_before_x_and_y(columns, want):
    assert names(*columns) == want


def test_x_and_y_come_first_with_a_crs_of_metres():
    columns = ("lon", "lat", "x", "y")
    assert (names(*columns, crs="EPSG:28992"), names(*columns, crs="EPSG:4258")) == (("x", "y"), ("lon", "lat"))


@pytest.mark.parametrize(
    "columns, both",
    [
        (("lon", "longitude", "lat"), "'lon' and 'longitude'"),
        (("lon", "Lon", "lat"), "'lon' and 'Lon'"),
        (("long", "lng_deg", "lat"), "'long' and 'lng_deg'"),
        (("lon_wgs84", "lon_nad27", "lat"), "'lon_wgs84' and 'lon_nad27'"),
        (("lon", "lat", "decimalLatitude"), "'lat' and 'decimalLatitude'"),
        (("lon", "lat", "Längengrad"), "'lon' and 'Längengrad'"),
        (("Länge", "Breite", "x", "y"), "'Länge' and 'x'"),  # degrees, or lengths at places in metres
        (("Laenge", "Länge", "Breite"), "'Laenge' and 'Länge'"),
    ],
)
def test_two_candidates_are_an_error_with_both_names(columns, both):
    with pytest.raises(ValueError, match=both):
        names(*columns)


def test_named_columns_need_no_known_name():
    table = pa.table({"lon": [1.0], "longitude": [2.0], "lat": [3.0]})
    assert PlaceFinder(table.schema, "longitude", "lat").require(table).tolist() == [[2.0, 3.0]]


@pytest.mark.parametrize(
    "lon, lat, want",
    [
        ("5.66", "51.97", (5.66, 51.97)),
        ("5,66", "51,97", (5.66, 51.97)),
        ("5,660", "51,970", (5.66, 51.97)),
        ("5°39'36\"E", "51°58'12\"N", (5.66, 51.97)),
        ("W 70 40 12", "S 33° 51.5′", (-70.67, -33.858333)),
        ("151.21°E", "33.87S", (151.21, -33.87)),
        ("-9999", "51.97", NO_PLACE),
        ("-9999", "-9999", NO_PLACE),
        ("NA", "51.97", NO_PLACE),
        ("5°39'36\"N", "51°58'12\"N", "lon is not a number"),
        ("5°61'E", "51.97", "lon is not a number"),
        ("-5°39'W", "51.97", "lon is not a number"),
        ("5 39 36", "51.97", "lon is not a number"),
        ("five", "51.97", "lon is not a number"),
        ("51.97", "95.66", "latitude outside [-90, 90], possible as a longitude"),
        ("519.7", "5", "longitude outside [-180, 360]"),
    ],
)
def test_a_position_is_read_or_rejected_with_the_reason(lon, lat, want):
    table = pa.table({"lon": [lon, "1.5"], "lat": [lat, "2.5"]} if "," not in lon else {"lon": [lon], "lat": [lat]})
    lonlat, reasons = PlaceFinder(table.schema).find(table)
    if isinstance(want, str):
        assert reasons == {0: want}
        with pytest.raises(ValueError, match="row 0"):
            PlaceFinder(table.schema).require(table)
    else:
        assert reasons == {}
        np.testing.assert_allclose(lonlat[0], want, atol=1e-6)


def test_degrees_with_two_letters_or_none_are_not_read():
    assert [degrees_of(text, "EW") for text in ("E5W", "5", "", "E", "5.5.5E")] == [None] * 5


@pytest.mark.parametrize("column, crs", [("x", ENGINEERING), ("x", "EPSG:99999999")])
def test_a_crs_without_a_place_on_earth_is_an_error(column, crs):
    with pytest.raises(ValueError, match=r"site|99999999"):
        PlaceFinder(pa.table({"x": [1.0], "y": [2.0]}).schema, "x", "y", crs)


def test_a_call_warns_of_rows_at_zero(caplog):
    table = pa.table({"lon": [0.0, 0.0, 5.0], "lat": [0.0, 0.0, 6.0]})
    with caplog.at_level(logging.WARNING):
        PlaceFinder(table.schema).require(table)
    assert "2 of 3" in caplog.text


def test_the_place_is_described():
    schema = pa.schema({"x": pa.float64(), "y": pa.float64()})
    assert PlaceFinder(schema, crs="EPSG:28992").place == "the columns 'x' and 'y' in EPSG:28992"
