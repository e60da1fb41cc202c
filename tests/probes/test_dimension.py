"""Mirrors src/geotether/probes/dimension.py; the oracle is scikit-dimension."""

import warnings

import numpy as np
import pytest

from geotether.probes.dimension import (
    effective_rank,
    local_dimension,
    mle_dimension,
    participation_ratio,
    two_nn,
)


@pytest.fixture(scope="module")
def skdim():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its import warns of its own dependencies
        return pytest.importorskip("skdim")


def sphere(count: int, width: int = 50, seed: int = 0) -> np.ndarray:
    """A 2-sphere, turned into `width` dimensions without bending it."""
    rng = np.random.default_rng(seed)
    xyz = rng.standard_normal((count, 3))
    turn, _ = np.linalg.qr(rng.standard_normal((width, 3)))
    return xyz / np.linalg.norm(xyz, axis=1, keepdims=True) @ turn.T


@pytest.mark.parametrize(("width", "share"), [(5, 0.1), (60, 0.1), (50, 0.02), (50, 0.5)])
def test_two_nn_equals_scikit_dimension(skdim, width, share):
    """By a tree (few columns) and by all pairs."""
    rows = np.random.default_rng(1).standard_normal((400, width))
    want = skdim.id.TwoNN(discard_fraction=share).fit(rows).dimension_
    assert two_nn(rows, discard_share=share).value == pytest.approx(want, rel=1e-9)


@pytest.mark.parametrize("k", [5, 20])
def test_mle_equals_scikit_dimension(skdim, k):
    rows = np.random.default_rng(2).uniform(size=(300, 40))
    want = skdim.id.MLE().fit(rows, n_neighbors=k, comb="mle").dimension_
    assert mle_dimension(rows, k=k).value == pytest.approx(want, rel=1e-9)


def test_local_dimension_equals_scikit_dimension(skdim):
    rows = sphere(200)
    want = skdim.id.MLE().fit(rows, n_neighbors=100).dimension_pw_
    np.testing.assert_allclose(local_dimension(rows, k=100), want, rtol=1e-9)


def test_a_sphere_has_two_dimensions_in_any_embedding():
    rows = sphere(1500)
    assert two_nn(rows).value == pytest.approx(2.0, abs=0.15)
    assert mle_dimension(rows).value == pytest.approx(2.0, abs=0.1)
    assert np.median(local_dimension(rows)) == pytest.approx(2.0, abs=0.1)
    assert effective_rank(rows) == pytest.approx(3.0, abs=0.01)


def test_dimension_does_not_depend_on_place_scale_or_order():
    rows = np.random.default_rng(0).standard_normal((300, 6))
    moved = 1000.0 + 1e-3 * rows[::-1]  # small distances beside large rows keep their digits
    assert two_nn(moved).value == pytest.approx(two_nn(rows).value, rel=1e-6)
    np.testing.assert_allclose(local_dimension(moved, k=9)[::-1], local_dimension(rows, k=9), rtol=1e-6)
    assert effective_rank(moved) == pytest.approx(effective_rank(rows), rel=1e-6)


def test_equal_rows_are_left_out_and_counted():
    rows = sphere(300)
    doubled = np.concatenate([rows, rows[:40], rows[:5]])
    for estimate in (two_nn, mle_dimension):
        got, want = estimate(doubled), estimate(rows)
        assert (got.used, got.duplicates) == (300, 45)
        assert got.value == pytest.approx(want.value)
    local = local_dimension(doubled, k=10)
    np.testing.assert_allclose(local[:300], local_dimension(rows, k=10))
    np.testing.assert_array_equal(local[300:340], local[:40])


def test_a_collapsed_encoder_has_no_dimension_rather_than_an_error():
    rows = np.full((50, 7), 0.1, dtype=np.float32)
    assert np.isnan(two_nn(rows).value)
    assert mle_dimension(rows)[1:] == (1, 49)
    assert np.isnan(local_dimension(rows)).all()
    assert (effective_rank(rows), participation_ratio(rows)) == (0.0, 0.0)


def test_the_local_dimension_is_undefined_if_all_neighbours_are_equally_far():
    assert np.isnan(local_dimension(np.eye(6), k=3)).all()
    assert np.isnan(mle_dimension(np.eye(6), k=3).value)
    assert np.isnan(two_nn(np.eye(6)).value)


@pytest.mark.parametrize("shape", [(40, 6), (6, 40)], ids=["tall", "wide"])
def test_ranks_equal_their_definitions(shape):
    rows = np.random.default_rng(3).standard_normal(shape) * np.arange(1, shape[1] + 1)
    singular = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False)
    share = singular[singular > 1e-9] / singular.sum()
    assert effective_rank(rows) == pytest.approx(np.exp(-sum(p * np.log(p) for p in share)), rel=1e-6)
    assert participation_ratio(rows) == pytest.approx((singular**2).sum() ** 2 / (singular**4).sum(), rel=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: two_nn(np.zeros((2, 3))), "2 rows of features; a dimension needs at least 3"),
        (lambda: effective_rank(np.zeros((0, 3))), "0 rows"),
        (lambda: two_nn(sphere(9), discard_share=0.0), "between 0 and 1, got 0.0"),
        (lambda: mle_dimension(sphere(9), k=1), "2 neighbours or more, got 1"),
    ],
)
def test_misuse_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
