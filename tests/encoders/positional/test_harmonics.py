"""Mirrors src/geotether/encoders/positional/harmonics.py."""

import math

import numpy as np
import pytest
import torch
from scipy.special import sph_harm_y

from geotether.encoders.positional import fused_harmonics
from geotether.encoders.positional.harmonics import ROWS, SphericalHarmonics, by_one_product

# The places where map code breaks: poles and their surroundings, antimeridian, Null Island, then two cities.
CORNERS = [(0, 90), (0, -90), (33, 89.9999), (-33, -89.99), (12, 85), (180, 0), (-180, 0), (0, 0)]
CORNERS += [(5.66, 51.97), (-74.01, 40.71)]


@pytest.fixture(autouse=True)
def one_thread():
    """Products of a few rows gain nothing from threads and wait for them on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def corners() -> torch.Tensor:
    return torch.tensor(CORNERS, dtype=torch.float64)


def degrees_and_orders(l_max: int) -> tuple[np.ndarray, np.ndarray]:
    degree = np.concatenate([np.full(2 * l + 1, l) for l in range(l_max + 1)])
    order = np.concatenate([np.arange(-l, l + 1) for l in range(l_max + 1)])
    return degree, order


def scipy_real_harmonics(lonlat: torch.Tensor, l_max: int) -> np.ndarray:
    """The same functions from an independent implementation (complex, with phase)."""
    degree, order = degrees_and_orders(l_max)
    lon, lat = np.radians(lonlat.numpy()).T[..., None]
    value = sph_harm_y(degree, np.abs(order), math.pi / 2 - lat, lon) * (-1.0) ** order
    part = np.where(order > 0, value.real, value.imag)
    return np.where(order == 0, value.real, math.sqrt(2) * part)


@pytest.mark.parametrize(
    ("l_max", "atol", "coarse"),
    [(0, 1e-15, 1e-7), (1, 1e-15, 1e-7), (12, 1e-13, 5e-7), (40, 5e-13, 1e-6), (199, 5e-11, 3e-6)],
)
def test_agrees_with_scipy(corners, l_max, atol, coarse):
    want = scipy_real_harmonics(corners, l_max)
    np.testing.assert_allclose(SphericalHarmonics(l_max)(corners).numpy(), want, rtol=0, atol=atol)
    got = SphericalHarmonics(l_max)(corners, torch.float32)
    assert got.dtype == torch.float32
    np.testing.assert_allclose(got.numpy(), want, rtol=0, atol=coarse)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_addition_theorem_holds_everywhere(dtype):
    """Squares of one degree sum to (2l + 1) / 4 pi at any point: nothing over- or underflows."""
    lat = torch.cat((torch.linspace(-90, 90, 61), 90 - 10.0 ** -torch.arange(0, 12))).double()
    squares = SphericalHarmonics(199)(torch.stack((7 * lat - 13, lat), -1) % 180 - 90, dtype).square()
    parts = squares.split([2 * l + 1 for l in range(200)], dim=-1)
    per_degree = torch.stack([part.sum(-1) for part in parts], dim=-1).double()
    want = (2 * torch.arange(200, dtype=torch.float64) + 1) / (4 * math.pi)
    torch.testing.assert_close(
        per_degree, want.expand_as(per_degree), rtol=1e-5 if dtype == torch.float32 else 1e-11, atol=0
    )


def test_functions_are_orthonormal():
    """Gauss-Legendre in latitude and even steps in longitude integrate products exactly."""
    nodes, weights = np.polynomial.legendre.leggauss(20)
    lon, lat = np.meshgrid(np.linspace(-180, 180, 24, endpoint=False), np.degrees(np.arcsin(nodes)))
    area = np.repeat(weights * 2 * np.pi / 24, 24)
    values = SphericalHarmonics(9)(torch.from_numpy(np.stack([lon.ravel(), lat.ravel()], 1))).numpy()
    np.testing.assert_allclose(values.T * area @ values, np.eye(100), atol=1e-12)


@pytest.mark.parametrize("places", [[(-180, 35), (180, 35)], [(0, 90), (137, 90)], [(0, -90), (137, -90)]])
def test_the_encoding_has_no_seam_at_the_antimeridian_and_the_poles(places):
    first, second = SphericalHarmonics(199)(torch.tensor(places, dtype=torch.float64))
    torch.testing.assert_close(first, second, rtol=0, atol=1e-11)


def test_gradient_is_exact(corners):
    # Finite differences need room on both sides, so neither edge of the map is among these.
    places = corners[[2, 3, 4, 7, 8, 9]].requires_grad_()
    assert torch.autograd.gradcheck(SphericalHarmonics(6), places)


def test_gradient_works_after_inference_mode_made_the_tables():
    place = torch.tensor([[5.66, 51.97]], dtype=torch.float64)
    with torch.inference_mode():
        want = SphericalHarmonics(13)(place)
    got = SphericalHarmonics(13)(place.requires_grad_())
    got.sum().backward()
    torch.testing.assert_close(got, want)
    assert place.grad.isfinite().all()


def test_gradient_does_not_vanish_in_float32(corners):
    places = corners.requires_grad_()
    got = SphericalHarmonics(9)(places, torch.float32)
    assert got.dtype == torch.float32
    assert got.requires_grad


def test_taper_and_scale_weigh_the_degrees(corners):
    plain = SphericalHarmonics(20)(corners)
    tapered = SphericalHarmonics(l_max=20, taper_degree=5, taper_power=3.0, scale=2.0)(corners)
    degree, _ = degrees_and_orders(20)
    weight = torch.from_numpy(2 / (1 + (degree / 5) ** 3))
    torch.testing.assert_close(tapered, plain * weight, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("l_max", [0, 1, 6, 39])
def test_one_product_for_all_degrees_gives_the_same(corners, l_max):
    """The way of a GPU, here on a CPU."""
    encoding = SphericalHarmonics(l_max, taper_degree=5.0, scale=3.0)
    for work, error in ((torch.float64, 1e-12), (torch.float32, 2e-5)):
        got = torch.full((len(corners), encoding.out_dim), torch.nan, dtype=work)
        by_one_product(corners, tuple(encoding.weights().tolist()), work, got)
        torch.testing.assert_close(got, encoding(corners).to(work), rtol=0, atol=error)


@pytest.mark.parametrize("l_max", [0, 1, 6, 39])
def test_products_by_parity_give_the_same(corners, l_max, monkeypatch):
    def multiplied(north, east, parities, out):
        out.copy_(north.index_select(1, parities.north) * east.index_select(1, parities.east))

    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda")  # with the kernel itself
        assert fused_harmonics.is_available(device)
    else:
        monkeypatch.setattr(fused_harmonics, "_multiplied", multiplied)
    encoding = SphericalHarmonics(l_max, taper_degree=5.0, scale=3.0)
    for dtype, error in ((torch.float32, 2e-5), (torch.bfloat16, 0.02)):
        whole = torch.full((len(corners), encoding.out_dim + 3), 7.0, dtype=dtype, device=device)
        got = whole[:, 1:-2]
        fused_harmonics.write_harmonics(corners.to(device), tuple(encoding.weights().tolist()), got)
        torch.testing.assert_close(got.float().cpu(), encoding(corners).float(), rtol=0, atol=error)
        assert (whole[:, [0, -2, -1]] == 7).all()


def test_rows_do_not_depend_on_their_neighbours():
    generator = torch.Generator().manual_seed(0)
    places = torch.rand(ROWS + 5, 2, generator=generator, dtype=torch.float64) * 160 - 80
    whole = SphericalHarmonics(9)(places)
    torch.testing.assert_close(whole[-7:], SphericalHarmonics(9)(places[-7:]), rtol=0, atol=1e-14)


def test_no_place_one_place_and_float32_places(corners):
    assert SphericalHarmonics(l_max=5)(corners[:0]).shape == (0, 36)
    assert SphericalHarmonics(l_max=5)(corners[:1], dtype=torch.float32).shape == (1, 36)
    coarse = corners.float()
    torch.testing.assert_close(SphericalHarmonics(40)(coarse), SphericalHarmonics(40)(coarse.double()), rtol=0, atol=0)


def test_casting_the_module_does_not_change_the_features(corners):
    encoding = SphericalHarmonics(l_max=12)
    want = encoding(corners)
    torch.testing.assert_close(encoding.to(torch.bfloat16)(corners), want, rtol=0, atol=0)
    assert encoding.state_dict() == {}


def test_swapped_coordinates_are_named():
    latlon = torch.tensor([[40.71, -74.01], [-33.87, 151.21]])  # New York, Sydney
    with pytest.raises(ValueError, match=r"row 1 is \(-33\.87, 151\.21\).*other way round"):
        SphericalHarmonics(3)(latlon)
