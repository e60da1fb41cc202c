"""Mirrors src/geotether/diagnostics/resolution.py."""

import numpy as np
import pytest
import torch

from geotether.diagnostics.places import even_places
from geotether.diagnostics.resolution import RINGS_KM, effective_resolution, resolutions
from geotether.encoders.positional.harmonics import SphericalHarmonics
from geotether.geodesy.coordinates import unit_vectors
from geotether.geodesy.distance import EARTH_RADIUS_KM, great_circle_km

SIXTY_DEGREES = EARTH_RADIUS_KM * np.pi / 3
CORNERS = np.array([[0.0, 0.0], [179.9, 10.0], [30.0, 89.9], [0.0, 90.0], [120.0, -90.0]])


def test_the_cosine_of_a_place_itself_is_known():
    """Unit vectors: cosine similarity is the cosine of the angle, one half at 60 degrees, everywhere."""
    rings = np.linspace(1000, 10_000, 46)
    got = effective_resolution(unit_vectors, CORNERS, rings.tolist())
    np.testing.assert_allclose(got.km, SIXTY_DEGREES, rtol=1e-3)  # interpolation of a curve by lines
    np.testing.assert_allclose(got.similarity, np.cos(rings / EARTH_RADIUS_KM), atol=1e-12)
    assert got.share_beyond == 0.0


def test_finer_encoders_have_a_finer_resolution():
    """A Gaussian kernel of width s falls to one half at s * sqrt(2 ln 2); its random features nearly so."""
    rng = np.random.default_rng(0)
    for width_km in (300.0, 900.0):
        frequency = rng.standard_normal((3, 4000)) * EARTH_RADIUS_KM / width_km
        phase = rng.uniform(0, 2 * np.pi, 4000)

        def encoder(lonlat, frequency=frequency, phase=phase):
            return np.cos(unit_vectors(lonlat) @ frequency + phase)

        got = effective_resolution(encoder, even_places(5), bearings=4)
        assert got.median_km == pytest.approx(width_km * np.sqrt(2 * np.log(2)), rel=0.1)


def test_centring_reveals_what_a_common_part_hides():
    def encoder(lonlat):
        return np.concatenate([unit_vectors(lonlat), np.full((len(lonlat), 1), 3.0)], axis=1)

    places = even_places(400)
    raw, centered = resolutions(encoder, places, RINGS_KM, 6, 0.5, (False, True))
    assert np.isinf(raw.km).all()
    assert (raw.share_beyond, raw.median_km) == (1.0, np.inf)
    assert centered.median_km == pytest.approx(SIXTY_DEGREES, rel=0.05)
    assert (raw.centered, centered.centered) == (False, True)


def test_the_first_crossing_counts_and_chunks_do_not_matter(monkeypatch):
    """Along the equator the similarity falls to 0 at 90 degrees and rises again."""

    def twice(lonlat):
        return np.stack([np.cos(2 * np.radians(lonlat[:, 0])), np.sin(2 * np.radians(lonlat[:, 0]))], axis=1)

    rings = np.linspace(500, 19_500, 39)
    want = effective_resolution(twice, np.array([[20.0, 0.0]]), rings.tolist(), bearings=4, level=0.75)
    monkeypatch.setattr("geotether.diagnostics.resolution.NUMBERS_AT_ONCE", 1)
    got = effective_resolution(twice, np.array([[20.0, 0.0]]), rings.tolist(), bearings=4, level=0.75)
    # North and south stay alike, so the mean falls to 0.75 where the cosine of twice the angle is one half.
    assert got.median_km == want.median_km == pytest.approx(EARTH_RADIUS_KM * np.pi / 6, rel=0.01)


def test_the_similarity_of_a_collapsed_encoder_never_falls():
    got = effective_resolution(lambda p: np.ones((len(p), 3)), CORNERS)
    assert np.isinf(got.km).all()
    assert np.isinf(effective_resolution(lambda p: np.ones((len(p), 3)), CORNERS, centered=True).km).all()


def test_one_ring_compares_with_all_bearings():
    """An encoder of longitude alone: north and south look the same, east and west do not."""

    def encoder(lonlat):
        turn = np.radians(lonlat[:, 0])
        return np.stack([np.cos(turn), np.sin(turn)], axis=1)

    got = effective_resolution(encoder, np.array([[20.0, 0.0]]), (EARTH_RADIUS_KM * np.pi / 2.5,), bearings=4)
    assert got.similarity[0] == pytest.approx((2 + 2 * np.cos(np.pi / 2.5)) / 4)


def test_quantiles_count_places_beyond():
    got = effective_resolution(lambda p: np.where(p[:, :1] > 0, unit_vectors(p), 1.0), np.array([[90.0, 0], [-90, 0]]))
    assert great_circle_km(*got.lonlat) == pytest.approx(EARTH_RADIUS_KM * np.pi)
    assert got.share_beyond == 0.5
    assert np.isfinite(got.quantile_km(0.0))
    assert np.isinf(got.quantile_km(1.0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rings_km": ()}, "must increase"),
        ({"rings_km": (0.0, 10.0)}, "must increase from above 0"),
        ({"rings_km": (50.0, 10.0)}, "must increase"),
        ({"rings_km": (30_000.0,)}, "at most 20000 km"),
        ({"bearings": 0}, "bearings must be 1"),
        ({"level": 1.0}, "level below 1"),
    ],
)
def test_misuse_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        effective_resolution(unit_vectors, CORNERS, **options)


@pytest.mark.parametrize("l_max", [9, 25])
def test_harmonics_have_the_resolution_of_the_addition_theorem(l_max):
    """All harmonics up to a degree: the cosine at angle g is the sum of (2 l + 1) P_l(cos g) over (l_max + 1)^2."""
    from scipy.optimize import brentq
    from scipy.special import eval_legendre

    degrees = np.arange(l_max + 1)

    def cosine(angle: float) -> float:
        return float(((2 * degrees + 1) * eval_legendre(degrees, np.cos(angle))).sum() / (l_max + 1) ** 2)

    want = brentq(lambda angle: cosine(angle) - 0.5, 1e-6, 2.4 / l_max) * EARTH_RADIUS_KM

    def encoder(lonlat):
        return SphericalHarmonics(l_max)(torch.tensor(lonlat)).numpy()

    got = effective_resolution(encoder, CORNERS, np.arange(50.0, 2000.0, 50.0).tolist())
    np.testing.assert_allclose(got.km, want, rtol=0.005)
