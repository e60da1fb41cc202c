"""Mirrors src/geotether/encoders/positional/fourier.py and equal_earth.py."""

import math

import numpy as np
import pytest
import torch

from geotether.encoders.positional import EqualEarthFourierFeatures, SphereFourierFeatures


def world(n: int) -> torch.Tensor:
    rng = np.random.default_rng(0)
    return torch.from_numpy(np.stack([rng.uniform(-180, 180, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))], 1))


def test_inner_products_approximate_the_gaussian_kernel():
    sigma, places = 0.3, world(60)
    codes = SphereFourierFeatures(num_features=20_000, sigma=sigma, seed=0)(places)
    lon, lat = np.radians(places.numpy()).T
    xyz = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], 1)
    chord = np.linalg.norm(xyz[:, None] - xyz[None], axis=-1)
    want = np.exp(-2 * (math.pi * sigma * chord) ** 2)
    np.testing.assert_allclose((codes @ codes.T).numpy() / 20_000, want, atol=0.03)


@pytest.mark.parametrize("kind", [SphereFourierFeatures, EqualEarthFourierFeatures])
def test_frequencies_come_from_the_seed_and_are_saved(kind):
    places = world(5)
    state = torch.random.get_rng_state()
    first, again, other = kind(seed=1), kind(seed=1), kind(seed=2)
    assert torch.equal(state, torch.random.get_rng_state())
    assert torch.equal(first(places), again(places))
    assert not torch.equal(first(places), other(places))
    other.load_state_dict(first.state_dict())
    assert torch.equal(first(places), other(places))


def test_equal_earth_features_equal_geoclips_formula():
    """Written from the definition: B drawn with spread sigma, cos and sin of 2 pi v B."""
    encoding = EqualEarthFourierFeatures(sigmas=(1, 16), num_features=4, seed=0)
    lon, lat = math.radians(5.66), math.radians(51.97)
    t = math.asin(math.sqrt(3) / 2 * math.sin(lat))
    a1, a2, a3, a4 = 1.340264, -0.081106, 0.000893, 0.003796
    x = 2 * math.sqrt(3) * lon * math.cos(t) / (3 * (9 * a4 * t**8 + 7 * a3 * t**6 + 3 * a2 * t**2 + a1))
    y = a4 * t**9 + a3 * t**7 + a2 * t**3 + a1 * t
    want = []
    for band in encoding.frequencies.tolist():
        turns = [2 * math.pi * 66.50336 / 180 * (x * u + y * v) for u, v in band]
        want += [math.cos(turn) for turn in turns] + [math.sin(turn) for turn in turns]
    got = encoding(torch.tensor([[5.66, 51.97]], dtype=torch.float64))[0]
    np.testing.assert_allclose(got, want, atol=1e-11)


def test_spread_of_frequencies_is_sigma():
    assert SphereFourierFeatures(20_000, sigma=3.0).frequencies.std().item() == pytest.approx(3.0, rel=0.02)
    bands = EqualEarthFourierFeatures((1, 16, 256), 20_000).frequencies
    np.testing.assert_allclose(bands.std(dim=(1, 2)), [1, 16, 256], rtol=0.02)
