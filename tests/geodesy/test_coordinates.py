"""Mirrors src/geotether/geodesy/coordinates.py."""

import numpy as np
import pandas as pd
import pytest
import torch

from geotether.geodesy.coordinates import (
    as_lonlat,
    check_lonlat,
    lonlat_of_unit_vectors,
    swap_suspicion,
    unit_vectors,
    wrap_longitude,
)

CORNERS = np.array([(0, 90), (0, -90), (180, 0), (-180, 0), (360, 1), (0, 0), (5.66, 51.97), (-74.01, 40.71)])


@pytest.mark.parametrize("kind", [np.asarray, torch.tensor])
@pytest.mark.parametrize("shape", [(8, 2), (1, 8, 2), (0, 2)])
def test_valid_places_pass(kind, shape):
    check_lonlat(kind(CORNERS[: shape[-2]].reshape(shape)))


@pytest.mark.parametrize("kind", [np.asarray, torch.tensor])
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ((-33.87, 151.21), r"row 2 is \(-33\.87, 151\.21\).*pass lon= and lat= the other way round"),
        ((np.nan, 1.0), r"row 2 is \(nan, 1\).*without coordinates"),
        ((1.0, np.inf), r"row 2 is \(1, inf\)"),
        ((361.0, 1.0), r"row 2 is \(361, 1\)"),
        ((-180.5, 1.0), r"row 2 is \(-180\.5, 1\)"),
        ((500_000.0, 4_649_776.0), "EPSG:4326"),
    ],
)
def test_a_bad_row_is_reported(kind, bad, message):
    with pytest.raises(ValueError, match=message):
        check_lonlat(kind(np.array([(5.66, 51.97), (0, 0), bad])))


def test_a_swap_is_suggested_only_if_swapping_fixes_the_rows():
    def said(lonlat):
        with pytest.raises(ValueError, match="rows are not") as error:
            check_lonlat(lonlat)
        return str(error.value)

    east = np.stack([np.linspace(-40, 60, 400), np.linspace(70, 170, 400)], axis=1)  # latitude first
    east[399, 0] = np.nan
    assert "other way round" in said(east)
    east[200] = (150, 95)  # valid neither way
    assert "other way round" not in said(east)
    near = np.stack([np.linspace(-10, 30, 400), np.linspace(36, 70, 400)], axis=1)
    near[[3, 9]] = (20, 95), (np.nan, 50)
    assert "2 of 400 rows" in said(near)
    assert "other way round" not in said(near)
    mixed = np.array([(150.0, -33.0), (20.0, 95.0)])  # the first would become invalid
    assert "other way round" not in said(mixed)


def test_wrong_shapes_and_types_say_what_to_type():
    with pytest.raises(ValueError, match=r"last axis of size 2.*\(4, 3\).*as_lonlat"):
        check_lonlat(np.zeros((4, 3)))
    with pytest.raises(TypeError, match=r"got list; build one with as_lonlat"):
        check_lonlat([[1.0, 2.0]])
    with pytest.raises(TypeError, match="ndarray of <U1"):
        check_lonlat(np.array([["a", "b"]]))


@pytest.mark.parametrize("kind", [list, np.asarray, pd.Series, torch.tensor])
def test_as_lonlat_takes_any_column(kind):
    got = as_lonlat(lon=kind([5.66, -74.01]), lat=kind([51.97, 40.71]))
    np.testing.assert_allclose(got, [[5.66, 51.97], [-74.01, 40.71]], rtol=1e-6)
    assert got.dtype == np.float64


def test_as_lonlat_accepts_numbers_and_empty_input():
    np.testing.assert_array_equal(as_lonlat(lon=5, lat=51), [[5.0, 51.0]])
    assert as_lonlat(lon=[], lat=[]).shape == (0, 2)


def test_as_lonlat_gives_a_reason_for_an_error():
    with pytest.raises(ValueError, match="lon has 2 values and lat has 1"):
        as_lonlat(lon=[1, 2], lat=[1])
    with pytest.raises(TypeError, match="lat must be numbers in degrees, got 'north'"):
        as_lonlat(lon=1, lat="north")
    with pytest.raises(ValueError, match=r"shape \(1, 2\)"):
        as_lonlat(lon=[[1, 2]], lat=[1, 2])
    with pytest.raises(ValueError, match="other way round"):
        as_lonlat(lon=-33.87, lat=151.21)


def test_swapped_coordinates_are_suspected():
    world = np.stack([np.linspace(-170, 170, 50), np.linspace(-50, 70, 50)], axis=1)
    assert swap_suspicion(world) is None
    assert "other way round" in swap_suspicion(world[:, ::-1])
    brazil = np.stack([np.linspace(-74, -35, 50), np.linspace(-33, 5, 50)], axis=1)
    assert swap_suspicion(brazil) is None
    assert "south of 60" in swap_suspicion(np.stack([brazil[:, 1], brazil[:, 0] - 15], axis=1))
    assert swap_suspicion(np.full((3, 2), np.nan)) is None
    slip = np.concatenate([brazil, [[20, 95]]])
    assert swap_suspicion(slip) is None


@pytest.mark.parametrize("kind", [np.asarray, torch.tensor])
def test_wrapping_keeps_what_is_in_range_bit_for_bit(kind):
    inside = kind(np.array([-180.0, 5.66, np.nextafter(180.0, 0), 1e-300]))
    assert (wrap_longitude(inside) == inside).all()
    outside = kind(np.array([180.0, 190.0, 360.0, -540.0, 725.0, np.nextafter(-180.0, -200)]))
    got = wrap_longitude(outside)
    assert ((got >= -180) & (got < 180)).all()
    np.testing.assert_allclose(np.asarray(got), [-180, -170, 0, -180, 5, 180], atol=1e-12)
    assert wrap_longitude(190.0) == -170


def test_wrapping_passes_the_gradient_on():
    lon = torch.tensor([10.0, 200.0], dtype=torch.float64, requires_grad=True)
    wrap_longitude(lon).sum().backward()
    assert lon.grad.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("kind", [np.asarray, torch.tensor])
def test_unit_vectors_point_where_they_should(kind):
    got = unit_vectors(kind(np.array([(0.0, 0.0), (90.0, 0.0), (12.0, 90.0), (180.0, 0.0)])))
    np.testing.assert_allclose(np.asarray(got), [(1, 0, 0), (0, 1, 0), (0, 0, 1), (-1, 0, 0)], atol=1e-15)


def test_unit_vectors_and_back():
    rng = np.random.default_rng(0)
    lonlat = np.stack([rng.uniform(-180, 180, 500), rng.uniform(-90, 90, 500)], axis=1)
    np.testing.assert_allclose(lonlat_of_unit_vectors(3 * unit_vectors(lonlat)), lonlat, atol=1e-12)
    # Ten centimetres from the pole, where an arcsine would return the pole itself.
    close = np.array([[77.0, 90 - 1e-6]])
    np.testing.assert_allclose(lonlat_of_unit_vectors(unit_vectors(close)), close, atol=1e-7)


@pytest.mark.parametrize(
    "lon", [np.array(["2020-01-01"], "datetime64[D]"), np.array([True]), np.array([5], "timedelta64[h]")]
)
def test_dates_and_booleans_are_not_degrees(lon):
    with pytest.raises(TypeError, match=str(lon.dtype).split("[")[0]):
        as_lonlat(lon, [1.0])


def test_a_masked_value_is_refused_with_its_row():
    lon = np.ma.array([1.0, 2.0, 3.0], mask=[False, True, False])
    with pytest.raises(ValueError, match="row 1"):
        as_lonlat(lon, [1.0, 2.0, 3.0])
    assert as_lonlat(lon[[0, 2]], [1.0, 3.0]).tolist() == [[1.0, 1.0], [3.0, 3.0]]
