"""Mirrors src/geotether/encoders/positional/satclip_harmonics.py: against SatCLIP's formulas, by SciPy."""

import math

import numpy as np
import pytest
import torch
from scipy.special import sph_harm_y

from geotether.encoders.positional.satclip_harmonics import SatCLIPHarmonics

PLACES = [(0, 90), (120, -90), (33, 89.9999), (180, 0), (-180, 10), (0, 0), (5.66, 51.97), (-74.01, 40.71), (286, 12)]


def published(lon: float, lat: float, l: int, m: int, calculation: str) -> float:
    """SatCLIP's formulas as they are printed: phi = lon + 180, theta = lat + 90, both in radians."""
    phi, theta = math.radians(lon + 180), math.radians(lat + 90)
    complex_value = sph_harm_y(l, abs(m), theta, 0.0).real  # with the Condon-Shortley phase
    if calculation == "analytic":  # their (-1)**m takes the phase away; order 0 has the factor sqrt((2l + 1) / 4 * pi)
        if m == 0:
            return math.sqrt((2 * l + 1) / 4 * math.pi) / math.sqrt((2 * l + 1) / (4 * math.pi)) * complex_value
        complex_value *= (-1) ** m
    wave = 1.0 if m == 0 else math.sqrt(2) * (math.cos(m * phi) if m > 0 else math.sin(-m * phi))
    return complex_value * wave


@pytest.mark.parametrize("calculation", ["analytic", "closed-form"])
@pytest.mark.parametrize("legendre_polys", [1, 10, 40])
def test_equals_the_published_formulas(legendre_polys, calculation):
    want = [
        [published(lon, lat, l, m, calculation) for l in range(legendre_polys) for m in range(-l, l + 1)]
        for lon, lat in PLACES
    ]
    got = SatCLIPHarmonics(legendre_polys, calculation)(torch.tensor(PLACES, dtype=torch.float64))
    np.testing.assert_allclose(got.numpy(), want, rtol=0, atol=1e-11)
