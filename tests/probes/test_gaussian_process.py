"""Mirrors src/geotether/probes/gaussian_process.py."""

import numpy as np

from geotether.geodesy.coordinates import unit_vectors
from geotether.probes.gaussian_process import GaussianProcessProbe


def places(rng, count):
    return np.stack([rng.uniform(-180, 180, count), np.degrees(np.arcsin(rng.uniform(-1, 1, count)))], axis=1)


def test_is_the_kriging_of_the_fitted_covariance():
    """The predictor written out: mean + k (K + s I)^-1 (y - mean)."""
    rng = np.random.default_rng(0)
    lonlat, new = places(rng, 80), places(rng, 7)
    y = 5 + unit_vectors(lonlat)[:, 2] + 0.1 * rng.normal(size=80)
    probe = GaussianProcessProbe().fit(lonlat, y)
    order = np.random.default_rng(0).permutation(80)
    a, b, centred = unit_vectors(lonlat[order]), unit_vectors(new), y[order] - y.mean()
    own, across = probe.kernel_(a), probe.kernel_(b, a)
    want = y.mean() + across @ np.linalg.solve(own, centred)
    np.testing.assert_allclose(probe.predict(new), want, rtol=1e-5)


def test_has_no_seam_at_the_antimeridian():
    lonlat = np.array([[170.0 + i, 0.0] for i in range(10)])
    y = np.arange(10.0)
    probe = GaussianProcessProbe().fit(lonlat, y)
    np.testing.assert_allclose(probe.predict(np.array([[180.0, 1.0]])), probe.predict(np.array([[-180.0, 1.0]])))


def test_classes_are_predicted_by_indicators():
    rng = np.random.default_rng(1)
    lonlat = places(rng, 200)
    probe = GaussianProcessProbe("classification").fit(lonlat, np.where(lonlat[:, 1] > 0, "north", "south"))
    assert probe.predict(np.array([[0.0, 60.0], [0.0, -60.0]])).tolist() == ["north", "south"]
    assert probe.columns(lonlat[:0]).shape == (0, 2)
