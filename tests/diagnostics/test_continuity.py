"""Mirrors src/geotether/diagnostics/continuity.py."""

import numpy as np
import pytest
import torch

from geotether.diagnostics.continuity import continuity
from geotether.encoders.build import build_location_encoder
from geotether.geodesy.coordinates import unit_vectors


def degrees(lonlat):
    """Longitude and latitude as they are: torn at the antimeridian and at both poles."""
    return lonlat / 90.0


def wrapped(lonlat):
    """Sine and cosine of each: no seam, but longitude still matters at the poles."""
    angle = np.radians(lonlat)
    return np.concatenate([np.sin(angle), np.cos(angle)], axis=1)


def test_a_smooth_encoder_has_no_jump():
    found = continuity(unit_vectors)
    np.testing.assert_allclose(found.seam, 1.0, atol=1e-6)
    assert found.pole_spread == pytest.approx((0.0, 0.0), abs=1e-12)
    assert found.pole_step == pytest.approx((1.0, 1.0), abs=1e-6)
    assert found.seamless
    assert found.verdict == "No seam at the antimeridian; both poles are one place."


def test_plain_degrees_have_a_seam_at_every_latitude():
    found = continuity(degrees)
    # The jump is 360 degrees, a step of 1 km at the equator 1 / 111.19 degree.
    assert found.seam[found.lats == 0.0] == pytest.approx(360 * 111.195, rel=1e-3)
    assert min(found.pole_spread) > 1.0
    assert not found.seamless
    for part in ("17 of 17 latitudes", "the south pole", "the north pole"):
        assert part in found.verdict


def test_wrapped_degrees_have_a_seam_at_the_poles_only():
    found = continuity(wrapped)
    np.testing.assert_allclose(found.seam, 1.0, atol=1e-3)
    assert not found.seamless
    assert min(found.pole_spread) > 0.5


def test_a_jump_across_one_pole_is_found():
    """A small cap around the north pole is coloured by hemisphere, except at the pole itself."""

    def encoder(lonlat):
        cap = (lonlat[:, 1] > 89.9) & (lonlat[:, 1] < 90.0)
        return np.concatenate(
            [unit_vectors(lonlat), np.where(cap & (lonlat[:, :1].T[0] < 0), 1.0, 0.0)[:, None]], axis=1
        )

    found = continuity(encoder)
    assert found.pole_step[0] == pytest.approx(1.0, abs=1e-6)
    assert found.pole_step[1] > 1000
    assert "north pole" in found.verdict
    assert "south" not in found.verdict


@pytest.mark.parametrize(
    ("positional", "whole"),
    [({"name": "spherical_harmonics", "l_max": 6}, True), ({"name": "cartesian"}, True), ({"name": "direct"}, False)],
)
def test_the_encoders_of_the_package(positional, whole):
    parts = {"positional": positional, "network": {"name": "siren", "hidden_dim": 16}, "embed_dim": 8}
    location = build_location_encoder(parts, seed=0).eval()

    def encoder(lonlat):
        with torch.no_grad():
            return location.handout(torch.tensor(lonlat)).numpy()

    assert continuity(encoder, step_km=5.0).seamless is whole


def test_a_collapsed_encoder_has_no_seam():
    found = continuity(lambda p: np.ones((len(p), 2)))
    assert found.seamless
    np.testing.assert_array_equal(found.seam, 0.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"step_km": 0}, r"step_km must be in \(0, 100\]"),
        ({"longitudes": 2}, "3 or more, got 1.0 and 2"),
        ({"lats": (0.0, 90.0)}, "between -89 and 89"),
        ({"lats": ()}, "between -89 and 89"),
    ],
)
def test_misuse_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        continuity(unit_vectors, **options)
