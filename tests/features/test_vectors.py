"""Mirrors src/geotether/features/vectors.py, with projection.py behind it."""

import numpy as np
import pytest

from geotether.features.vectors import VectorFeatures

VECTORS = np.random.default_rng(1).normal(2, [1, 5, 0.1, 3, 2], (200, 5)).astype(np.float32)


def test_vectors_are_left_as_they_are():
    features = VectorFeatures().fit(VECTORS)
    np.testing.assert_array_equal(features.transform(VECTORS), VECTORS)
    assert features.names() == ["v0", "v1", "v2", "v3", "v4"]


def test_options_are_those_of_scikit_learn():
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler, normalize

    want = normalize(StandardScaler().fit_transform(VECTORS.astype(np.float64)))
    mine = VectorFeatures(standardise=True, normalise=True).fit(VECTORS).transform(VECTORS)
    np.testing.assert_allclose(mine, want, atol=1e-6)
    want = PCA(3, svd_solver="full").fit_transform(VECTORS.astype(np.float64))
    features = VectorFeatures(dim=3).fit(VECTORS)
    np.testing.assert_allclose(np.abs(features.transform(VECTORS)), np.abs(want), atol=1e-4)
    assert features.names() == ["direction 1", "direction 2", "direction 3"]


def test_a_constant_and_a_zero_vector_stay_finite():
    flat = np.array([[0, 0], [0, 0], [0, 3]], dtype=np.float32)
    assert np.isfinite(VectorFeatures(standardise=True, normalise=True).fit(flat).transform(flat)).all()


def test_misuse_is_named():
    with pytest.raises(ValueError, match=r"have 4 numbers.*5"):
        VectorFeatures().fit(VECTORS).transform(VECTORS[:, :4])
    with pytest.raises(TypeError, match="shape"):
        VectorFeatures().fit(VECTORS[0])
    with pytest.raises(ValueError, match="no vectors to fit to"):
        VectorFeatures().fit(VECTORS[:0])
    with pytest.raises(ValueError, match="dim=9 needs"):
        VectorFeatures(dim=9).fit(VECTORS)
    holed = VECTORS[:3].copy()
    holed[1, 2] = np.nan
    assert VectorFeatures().refuse(holed) == {1: "vector with NaN or infinity"}
