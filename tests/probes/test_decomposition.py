"""Mirrors src/geotether/probes/decomposition.py."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.preprocessing import StandardScaler

from geotether.probes import decomposition
from geotether.probes.decomposition import RidgeDecomposition

ALPHAS = np.array([1e-2, 1.0, 300.0])


def problem(num_rows: int, num_columns: int, dtype: str = "float64"):
    rng = np.random.default_rng(num_rows)
    features = rng.standard_normal((num_rows, num_columns)) * rng.uniform(0.1, 30, num_columns) + 5
    features[:, 1] = features[:, 0]  # collinear
    features[:, 2] = 7.0  # constant
    columns = features[:, :2] @ rng.standard_normal((2, 3)) + rng.standard_normal((num_rows, 3))
    return features.astype(dtype), columns


def held_out_of(basis, columns, folds):
    out = np.full((len(ALPHAS), *columns.shape), np.nan)
    for rows, predicted in basis.held_out(columns, ALPHAS, folds):
        out[:, rows] = predicted
    return out


@pytest.mark.parametrize(("num_rows", "num_columns"), [(80, 12), (30, 60), (41, 40), (40, 40)])
@pytest.mark.parametrize("num_folds", [2, 7, None], ids=["halves", "seven", "each_row"])
def test_held_out_predictions_equal_scikit_learn_refits(num_rows, num_columns, num_folds):
    features, columns = problem(num_rows, num_columns)
    folds = np.arange(num_rows) if num_folds is None else np.random.default_rng(0).integers(0, num_folds, num_rows)
    got = held_out_of(RidgeDecomposition(features), columns, folds)
    standard = StandardScaler().fit_transform(features)
    for alpha, predicted in zip(ALPHAS, got, strict=True):
        want = cross_val_predict(Ridge(alpha=alpha), standard, columns, cv=PredefinedSplit(folds))
        np.testing.assert_allclose(predicted, want, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("shape", [(80, 12), (30, 60)])
def test_weights_and_predictions_equal_scikit_learn(shape):
    features, columns = problem(*shape)
    basis = RidgeDecomposition(features)
    scaler = StandardScaler().fit(features)
    new = problem(9, shape[1])[0]
    for alpha in ALPHAS:
        want = Ridge(alpha=alpha).fit(scaler.transform(features), columns)
        weights, intercept = basis.solve(columns, alpha)
        np.testing.assert_allclose(weights.T, want.coef_, rtol=1e-6, atol=1e-8)
        # A constant training column may vary in new rows; it has no weight there, while sklearn leaves it unscaled.
        new[:, 2] = 7.0
        np.testing.assert_allclose(
            basis.predict(new, weights, intercept), want.predict(scaler.transform(new)), rtol=1e-6, atol=1e-8
        )


@pytest.mark.parametrize("shape", [(80, 12), (30, 60)])
def test_large_float32_features_stay_float32_and_agree(shape, monkeypatch):
    features, columns = problem(*shape, dtype="float32")
    want = held_out_of(RidgeDecomposition(features), columns, np.arange(shape[0]) % 5)
    monkeypatch.setattr(decomposition, "DOUBLE_ELEMENTS", 0)
    basis = RidgeDecomposition(features)
    assert basis.features.dtype == np.float32
    got = held_out_of(basis, columns, np.arange(shape[0]) % 5)
    np.testing.assert_allclose(got[1:], want[1:], rtol=1e-3, atol=1e-3 * np.abs(want).max())


def test_a_constant_column_of_an_unrepresentable_number_makes_no_noise():
    features, columns = problem(40, 5)
    features[:, 2] = 0.1
    weights, _ = RidgeDecomposition(features.astype(np.float32)).solve(columns, 1e-3)
    assert np.abs(weights[2]).max() < 1e-9


def test_features_with_nan_name_the_column():
    features, _ = problem(20, 5)
    features[3, 4] = np.nan
    with pytest.raises(ValueError, match="first in column 4"):
        RidgeDecomposition(features)


@pytest.mark.parametrize("shape", [(1, 3), (5, 0)])
def test_too_few_rows_or_columns_are_refused(shape):
    with pytest.raises(ValueError, match="n of 2 or more"):
        RidgeDecomposition(np.ones(shape))
