import numpy as np
import pytest

from geotether.moments import mean_and_scale, principal_axes


def test_mean_and_scale_equal_numpy_for_any_number_of_chunks():
    rng = np.random.default_rng(0)
    rows = rng.normal(5, 3, (1000, 7)).astype(np.float32)
    for chunk_rows in (1000, 128):
        mean, scale = mean_and_scale(rows, chunk_rows=chunk_rows)
        np.testing.assert_allclose(mean, rows.mean(axis=0, dtype=np.float64), rtol=1e-12)
        np.testing.assert_allclose(scale, rows.std(axis=0, dtype=np.float64), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.uint8])
def test_sums_are_those_of_float64_to_the_bit_and_the_values_are_unchanged(dtype):
    rows = (100 * np.random.default_rng(0).random((1000, 7))).astype(dtype)
    before = rows.copy()
    mean, scale = mean_and_scale(rows)
    wide = before.astype(np.float64)
    np.testing.assert_array_equal(mean, wide.sum(axis=0) / 1000)
    np.testing.assert_array_equal(scale, np.sqrt(((wide - mean) ** 2).sum(axis=0) / 1000))
    np.testing.assert_array_equal(rows, before)


def test_columns_of_a_large_mean_keep_their_digits():
    rows = 1e8 + np.arange(1000.0)[:, None]
    assert mean_and_scale(rows)[1][0] == pytest.approx(np.arange(1000.0).std(), rel=1e-9)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e9])
@pytest.mark.parametrize("constant", [1.0, np.inf])
def test_a_column_that_varies_by_rounding_only_is_constant(value, constant):
    assert mean_and_scale(np.full((999, 1), value), constant=constant)[1].tolist() == [constant]


def test_missing_values_are_skipped_along_any_axis():
    rng = np.random.default_rng(0)
    chips = rng.normal(size=(50, 3, 4, 4))
    chips[rng.random(chips.shape) < 0.2] = np.nan
    chips[:, 2] = np.inf
    mean, scale = mean_and_scale(chips, axis=1, skip_missing=True, chunk_rows=8)
    np.testing.assert_allclose(mean[:2], np.nanmean(chips[:, :2], axis=(0, 2, 3)))
    np.testing.assert_allclose(scale[:2], np.nanstd(chips[:, :2], axis=(0, 2, 3)))
    assert (mean[2], scale[2]) == (0.0, 1.0)


def test_missing_values_show_where_they_are_not_skipped():
    assert np.isnan(mean_and_scale(np.array([[1.0, np.nan], [2.0, 1.0]]))[1]).tolist() == [False, True]


def test_no_rows_is_an_error():
    with pytest.raises(ValueError, match=r"\(0, 3\)"):
        mean_and_scale(np.zeros((0, 3)))


def test_principal_axes_equal_the_singular_vectors():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 5)) @ rng.normal(size=(5, 5))
    rows -= rows.mean(axis=0)
    values, axes = principal_axes(rows.T @ rows, 3)
    _, singular, right = np.linalg.svd(rows, full_matrices=False)
    np.testing.assert_allclose(values, singular[:3] ** 2)
    np.testing.assert_allclose(np.abs((axes.T * right[:3]).sum(axis=1)), 1.0)
    assert (axes[np.abs(axes).argmax(axis=0), range(3)] > 0).all()
