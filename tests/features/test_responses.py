"""Mirrors src/geotether/features/responses.py."""

import numpy as np
import pytest
from scipy.signal import correlate

from geotether.features.responses import rectified_means


def by_scipy(image, filters, offsets, bias):
    """Valid correlation in double precision, one filter at a time."""
    means = []
    for sign in (1, -1):
        for kernel, offset in zip(filters.astype(np.float64), offsets, strict=True):
            response = sign * (correlate(image.astype(np.float64), kernel, "valid") - offset)
            means.append(np.maximum(response - bias, 0).mean())
    return means


@pytest.mark.parametrize("kind", ["uint8", "uint16", "int32", "float32", "float64", ">u2"])
@pytest.mark.parametrize("bias", [0.0, 0.3])
def test_equals_scipy(kind, bias):
    rng = np.random.default_rng(0)
    filters = rng.normal(size=(7, 4, 4, 5)).astype(np.float32) / 50
    offsets = rng.normal(size=7).astype(np.float32)
    images = [(rng.random((*shape, 5)) * 9).astype(kind) for shape in ((9, 30), (9, 30), (4, 4), (300, 5))]
    got = rectified_means(images, filters, offsets, bias)
    want = [by_scipy(image, filters, offsets, bias) for image in images]
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=2e-6)


def test_what_never_rises_is_exactly_zero():
    """So that an image of the night has zeros, not rounding errors, whatever the bias."""
    filters = np.full((2, 3, 3, 1), 1e-3, np.float32)
    dark = np.random.default_rng(0).integers(0, 40, (3, 50, 50, 1), dtype=np.uint8)
    assert (rectified_means(list(dark), filters, np.zeros(2, np.float32), 0.37) == 0).all()
    bright = rectified_means([np.full((9, 9, 1), 200, np.uint8)], filters, np.zeros(2, np.float32), 0.37)
    assert (bright[:, :2] > 1).all()
    assert (bright[:, 2:] == 0).all()


def test_a_strided_image_is_as_good_as_its_copy():
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 6), dtype=np.uint8)
    filters = np.random.default_rng(1).normal(size=(3, 3, 3, 3)).astype(np.float32)
    view = image[::-2, ::3, ::2]
    args = (filters, np.zeros(3, np.float32), 0.1)
    np.testing.assert_array_equal(rectified_means([view], *args), rectified_means([view.copy()], *args))
