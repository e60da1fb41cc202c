"""Mirrors src/geotether/encoders/positional/separable.py and the method `grid_factors` of the encodings."""

import pytest
import torch

from geotether.encoders import POSITIONAL
from geotether.encoders.positional.separable import Factors, grid_factors

# Poles, the antimeridian from both sides and beyond, and the equator.
LON = torch.tensor([-180.0, -179.99, -74.01, 0.0, 5.66, 179.99, 180.0, 285.99, 360.0], dtype=torch.float64)
LAT = torch.tensor([90.0, 89.99, 51.97, 0.0, -33.87, -90.0], dtype=torch.float64)
ARGUMENTS = {"spherical_harmonics": {"l_max": 39}, "satclip_harmonics": {"legendre_polys": 12}}
NOT_PRODUCTS = {"sphere_fourier", "equal_earth_fourier", "theory"}


def whole(count):
    return slice(0, count)


@pytest.mark.parametrize("name", POSITIONAL)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 3e-6)])
def test_products_of_the_factors_are_the_features(name, dtype, tolerance):
    positional = POSITIONAL[name](**ARGUMENTS.get(name, {}))
    factors = grid_factors(positional, LON, LAT, dtype)
    if name in NOT_PRODUCTS:
        assert factors is None
        return
    lats, lons = torch.meshgrid(LAT, LON, indexing="ij")
    want = positional(torch.stack((lons, lats), dim=-1).flatten(0, 1), dtype=dtype)
    got = factors.features(whole(6), whole(9))
    assert got.dtype == dtype
    torch.testing.assert_close(got, want, rtol=0, atol=tolerance)
    part = factors.features(slice(2, 4), slice(3, 8))
    assert torch.equal(part, got.view(6, 9, -1)[2:4, 3:8].flatten(0, 1))


@pytest.mark.parametrize("name", sorted(set(POSITIONAL) - NOT_PRODUCTS))
def test_linear_maps_are_those_of_the_features(name):
    positional = POSITIONAL[name](**ARGUMENTS.get(name, {}))
    factors = grid_factors(positional, LON, LAT, torch.float64)
    weight = torch.randn(positional.out_dim, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    product = factors.mapped(weight)
    for rows, columns in ((whole(6), whole(9)), (slice(2, 3), slice(3, 8)), (slice(0, 0), whole(9))):
        torch.testing.assert_close(product(rows, columns), factors.features(rows, columns) @ weight)


def test_a_function_of_longitude_without_features_is_left_out():
    factors = Factors(torch.ones(2, 3), torch.ones(4, 5), torch.tensor([4, 0, 4]))
    assert torch.equal(factors.mapped(torch.eye(3))(whole(2), whole(4)), torch.ones(8, 3))
    assert factors.first(2).features(whole(2), whole(4)).shape == (8, 2)
