"""Mirrors src/geotether/encoders/sensors/whitening.py."""

import numpy as np

from geotether.encoders.sensors.whitening import whitening_axes


def test_components_are_those_of_scikit_learn_but_for_their_sign():
    from sklearn.decomposition import PCA

    rng = np.random.default_rng(0)
    rows = rng.standard_normal((200, 7)) @ rng.standard_normal((7, 7))
    axes = whitening_axes(np.cov(rows.T, bias=True), 4)
    got = (rows - rows.mean(0)) @ axes
    # Theirs divides by n - 1.
    want = PCA(4, whiten=True).fit_transform(rows) * np.sqrt(200 / 199)
    np.testing.assert_allclose(np.abs(got), np.abs(want), atol=1e-9)


def test_components_are_uncorrelated_and_of_variance_one():
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((50, 5)) * [100.0, 10.0, 1.0, 0.1, 0.01]
    got = (rows - rows.mean(0)) @ whitening_axes(np.cov(rows.T, bias=True), 5)
    np.testing.assert_allclose(got.T @ got / 50, np.eye(5), atol=1e-6)


def test_what_does_not_vary_becomes_nothing():
    # Three columns that are one: a single component has variance, and noise is not blown up to variance 1.
    rows = np.random.default_rng(2).standard_normal((30, 1)) @ np.ones((1, 3))
    axes = whitening_axes(np.cov(rows.T, bias=True), 3)
    np.testing.assert_allclose(axes[:, 1:], 0.0)
    np.testing.assert_allclose(axes[:, 0], axes[0, 0])
    assert axes[0, 0] > 0
