"""Every published encoding against its formula, written out here with loops over numbers."""

import math

import numpy as np
import pytest
import torch

from geotether.encoders.positional import POSITIONAL

PLACES = [(0, 90), (0, -90), (-180, 10), (180, 10), (0, 0), (5.66, 51.97), (-74.01, 40.71), (200, -12), (123.4, -33)]
CIRCUMFERENCE_KM = 2 * math.pi * 6371.0088


def in_range(lon: float) -> float:
    return lon - 360 if lon >= 180 else lon


def scale_factors(count: int, shortest: float, longest: float) -> list[float]:
    """lambda_min * g ** (s / (S - 1)), Mai et al. (2020), with wavelengths in circumferences."""
    low, high = shortest / CIRCUMFERENCE_KM, longest / CIRCUMFERENCE_KM
    return [low * (high / low) ** (s / (count - 1)) for s in range(count)]


def direct(lon, lat, _):
    return [math.degrees(lon) / 180, math.degrees(lat) / 90]


def cartesian(lon, lat, _):
    return [math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)]


def wrap(lon, lat, _):
    x, y = lon / math.pi, lat / (math.pi / 2)
    return [math.sin(math.pi * x), math.sin(math.pi * y), math.cos(math.pi * x), math.cos(math.pi * y)]


def grid(lon, lat, factors):
    return [f(v / r) for r in factors for v in (lon, lat) for f in (math.cos, math.sin)]


def theory(lon, lat, factors):
    code = []
    for r in factors:
        for a in ((1, 0), (-1 / 2, math.sqrt(3) / 2), (-1 / 2, -math.sqrt(3) / 2)):
            along = (lon * a[0] + lat * a[1]) / r
            code += [math.cos(along), math.sin(along)]
    return code


def sphere_c(lon, lat, factors):
    code = []
    for r in factors:
        x, y = lon / r, lat / r
        code += [math.sin(y), math.cos(y) * math.cos(x), math.cos(y) * math.sin(x)]
    return code


def sphere_c_plus(lon, lat, factors):
    code = []
    for r in factors:
        x, y = lon / r, lat / r
        code += [math.sin(y), math.cos(y), math.sin(x), math.cos(x)]
        code += [math.cos(y) * math.cos(x), math.cos(y) * math.sin(x)]
    return code


def mixed(lon, lat, x, y):
    return [
        math.cos(y) * math.cos(lon),
        math.cos(lat) * math.cos(x),
        math.cos(y) * math.sin(lon),
        math.cos(lat) * math.sin(x),
    ]


def sphere_m(lon, lat, factors):
    return [v for r in factors for v in [math.sin(lat / r), *mixed(lon, lat, lon / r, lat / r)]]


def sphere_m_plus(lon, lat, factors):
    code = []
    for r in factors:
        x, y = lon / r, lat / r
        code += [math.sin(y), math.cos(y), math.sin(x), math.cos(x), *mixed(lon, lat, x, y)]
    return code


PLAIN = [direct, cartesian, wrap]
SCALED = [grid, theory, sphere_c, sphere_c_plus, sphere_m, sphere_m_plus]
ARGUMENTS = {
    "spherical_harmonics": {"l_max": 7, "taper_degree": 3.0},
    "satclip_harmonics": {"legendre_polys": 8, "harmonics_calculation": "closed-form"},
    "sphere_fourier": {"num_features": 16, "sigma": 1.5, "seed": 3},
    "equal_earth_fourier": {"sigmas": (1, 4), "num_features": 8, "seed": 3},
    **{formula.__name__: {"num_scales": 5, "min_wavelength_km": 900.0} for formula in SCALED},
}


def build(name: str) -> torch.nn.Module:
    return POSITIONAL[name](**ARGUMENTS.get(name, {}))


@pytest.fixture
def places() -> torch.Tensor:
    return torch.tensor(PLACES, dtype=torch.float64)


def by_formula(formula, factors) -> np.ndarray:
    return np.array([formula(math.radians(in_range(lon)), math.radians(lat), factors) for lon, lat in PLACES])


@pytest.mark.parametrize("formula", PLAIN, ids=lambda f: f.__name__)
def test_equals_the_formula(places, formula):
    np.testing.assert_allclose(build(formula.__name__)(places).numpy(), by_formula(formula, None), atol=1e-14)


@pytest.mark.parametrize("longest", [None, 10_000.0])
@pytest.mark.parametrize("formula", SCALED, ids=lambda f: f.__name__)
def test_equals_the_formula_at_every_scale(places, formula, longest):
    encoding = POSITIONAL[formula.__name__](num_scales=5, min_wavelength_km=900.0, max_wavelength_km=longest)
    want = by_formula(formula, scale_factors(5, 900.0, longest or CIRCUMFERENCE_KM))
    np.testing.assert_allclose(encoding(places).numpy(), want, atol=1e-12)


@pytest.mark.parametrize("name", POSITIONAL)
def test_shapes_dtypes_and_attributes(places, name):
    encoding = build(name)
    assert encoding(places).shape == (len(PLACES), encoding.out_dim)
    assert encoding(places).dtype == torch.float64
    assert encoding(places, dtype=torch.float32).dtype == torch.float32
    assert encoding(places[:0]).shape == (0, encoding.out_dim)
    assert encoding(places[:1]).shape == (1, encoding.out_dim)
    for key, value in ARGUMENTS.get(name, {}).items():
        assert getattr(encoding, key) == value


@pytest.mark.parametrize("name", POSITIONAL)
def test_gradient_is_exact(name):
    places = torch.tensor([(5.66, 51.97), (-74.01, 40.71), (170, -12)], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(build(name), places, atol=1e-4)


@pytest.mark.parametrize("name", POSITIONAL)
def test_a_whole_turn_is_the_same_place(name):
    here = torch.tensor([[-75.0, 40.0], [-180.0, 3.0]], dtype=torch.float64)
    torch.testing.assert_close(build(name)(here), build(name)(here + torch.tensor([360.0, 0.0])), atol=1e-9, rtol=0)


@pytest.mark.parametrize("name", POSITIONAL)
def test_bad_coordinates_are_an_error_before_encoding(name):
    with pytest.raises(ValueError, match=r"row 0 is \(nan, 0\)"):
        build(name)(torch.tensor([[float("nan"), 0.0]], dtype=torch.float64))


def step_across(name: str, lon: float) -> float:
    """How far the code moves over two metres of ground at a meridian, in units of its usual spread."""
    sides = torch.tensor([[lon - 1e-5, 20.0], [lon + 1e-5, 20.0]], dtype=torch.float64)
    sides[:, 0] = (sides[:, 0] + 180) % 360 - 180
    west, east = build(name)(sides)
    return ((west - east).norm() / (west.norm() + east.norm())).item()


SEAMLESS = ["spherical_harmonics", "satclip_harmonics", "cartesian", "wrap", "sphere_fourier"]


@pytest.mark.parametrize("name", SEAMLESS)
def test_no_seam(name):
    assert step_across(name, 180.0) < 1e-4


@pytest.mark.parametrize("name", sorted(set(POSITIONAL) - set(SEAMLESS)))
def test_published_seams_are_where_the_documentation_says(name):
    """GeoCLIP's Equal Earth features and every planar encoding tear at the antimeridian, and only there."""
    assert step_across(name, 180.0) > 0.1
    assert step_across(name, 60.0) < 1e-4


def test_an_edge_that_is_kept_has_two_codes_for_one_meridian():
    """As GeoCLIP's own code: x is the longitude times a factor, so 180 and -180 are mirror images."""
    encoding = POSITIONAL["equal_earth_fourier"](sigmas=(1,), num_features=4, keep_edge=True)
    west, east, beyond, before = encoding(torch.tensor([[-180, 0], [180, 0], [270, 0], [-90, 0]], dtype=torch.float64))
    torch.testing.assert_close(east, west * torch.tensor([1, 1, 1, 1, -1, -1, -1, -1]))
    assert (east - west).abs().max() > 0.1
    torch.testing.assert_close(beyond, before)


@pytest.mark.parametrize("name", [f.__name__ for f in SCALED])
def test_the_planar_terms_of_longitude_are_periodic_only_at_factor_one(name):
    encoding = POSITIONAL[name](num_scales=1)
    west, east = encoding(torch.tensor([[-180.0, 0.0], [180 - 1e-9, 0.0]], dtype=torch.float64))
    seam = (west - east).abs().max().item()
    # Theory's slanted waves see longitude at half its rate, so they stay open.
    assert seam > 1 if name == "theory" else seam < 1e-9
