"""Mirrors src/geotether/features/convolution.py."""

import numpy as np
import pytest
from scipy.signal import correlate

from geotether.features import convolution
from geotether.features.convolution import RandomConvolution, rectified_means


@pytest.fixture
def images() -> np.ndarray:
    """Blobs rather than noise, so that neighbouring pixels are alike as in a photograph."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (40, 4, 4, 3))
    fine = np.kron(coarse, np.ones((1, 3, 3, 1))) + rng.normal(0, 5, (40, 12, 12, 3))
    return fine.clip(0, 255).astype(np.uint8)


def test_whitened_responses_spread_alike(images):
    """Whitening makes every direction's variance one, so that one bias suits all filters."""
    features = RandomConvolution(num_filters=64, patch_size=3, seed=0, ridge=1e-6).fit(images)
    windows = np.lib.stride_tricks.sliding_window_view(images, (3, 3), axis=(1, 2))
    flat = np.moveaxis(windows, 3, -1).reshape(-1, 27) / 255
    responses = flat @ features.filters_.reshape(64, -1).T - features.offsets_
    np.testing.assert_allclose(responses.std(axis=0), 1, atol=0.05)
    np.testing.assert_allclose(responses.mean(axis=0), 0, atol=0.05)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_batches_order_and_threads_do_not_matter(images, threads):
    import torch

    features = RandomConvolution(num_filters=8, patch_size=3, seed=0).fit(images)
    rows = [features.transform(images[row : row + 1]) for row in range(len(images))]
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        whole = features.transform(images)
        np.testing.assert_array_equal(whole, np.concatenate(rows))
        np.testing.assert_array_equal(features.transform(images[::-1])[::-1], whole)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_the_result_depends_on_the_seed(images):
    def run(seed):
        return RandomConvolution(num_filters=8, patch_size=3, seed=seed).fit(images).transform(images)

    np.testing.assert_array_equal(run(1), run(1))
    assert not np.allclose(run(1), run(2))


def test_mostly_black_images_still_give_different_filters():
    night = np.zeros((200, 8, 8, 1), np.uint8)
    night[::50, 2:5, 3] = np.array([40, 200, 90])[None, :, None]
    features = RandomConvolution(num_filters=6, patch_size=3, seed=0).fit(night)
    assert np.isfinite(features.transform(night)).all()
    assert features.transform(night).std(axis=0).max() > 0


@pytest.mark.parametrize(
    "images, message",
    [
        (np.zeros((3, 8, 8, 3), np.uint8), "flat colour"),
        (np.zeros((0, 8, 8, 3), np.uint8), "no images"),
        (np.zeros((3, 8, 8), np.uint8), r"shape \(n, height, width, channels\), got \(3, 8, 8\)"),
        (np.zeros((3, 2, 8, 1), np.uint8), "larger than images"),
        (np.arange(4, dtype=np.uint8).repeat(64).reshape(4, 8, 8, 1), "patches have any contrast"),
    ],
)
def test_invalid_images_are_errors(images, message):
    with pytest.raises(ValueError, match=message):
        RandomConvolution(num_filters=2, patch_size=3).fit(images)


@pytest.mark.parametrize("kind, factor", [("uint16", 200), ("float32", 0.01), ("float64", 1e4), ("int16", 100)])
def test_any_number_type_and_any_bands(images, kind, factor):
    """Each band is divided by its own spread, so the unit of the values does not matter."""
    bands = np.concatenate([images, images[..., ::-1] // 2, np.zeros_like(images[..., :1])], axis=-1)
    plain = RandomConvolution(num_filters=6, seed=1).fit(bands.astype(np.float64)).transform(bands.astype(np.float64))
    scaled = (bands * float(factor)).astype(kind)
    features = RandomConvolution(num_filters=6, seed=1).fit(list(scaled))
    assert features.filters_.shape == (6, 3, 3, 7)
    np.testing.assert_allclose(features.transform(scaled), plain, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(features.scales_[:6], scaled[..., :6].std(axis=(0, 1, 2), dtype=float), rtol=1e-5)
    assert features.scales_[6] == 1  # a band that never varies, such as the empty B10


def test_a_scale_divides_all_values(images):
    whole = images.astype(np.uint16) * np.uint16(257)
    features = RandomConvolution(num_filters=4, scale=65535).fit(whole)
    want = RandomConvolution(num_filters=4).fit(images).transform(images)
    np.testing.assert_allclose(features.transform(whole), want, rtol=1e-4, atol=1e-5)


def test_images_it_cannot_read_are_named(images):
    features = RandomConvolution(num_filters=2).fit(images)
    odd = [images[0], images[1][:2], images[2][..., :1], images[3].astype(np.uint16), images[4][..., 0]]
    reasons = features.refuse(odd)
    assert list(reasons) == [1, 2, 3, 4]
    assert reasons[1] == "a patch of 3 pixels is larger than images of 2 x 12"
    assert reasons[2] == "the filters were drawn from images of 3 channels, these images have 1"
    assert reasons[3] == "the filters were drawn from images of uint8 numbers, this one has uint16"
    assert reasons[4] == "an image needs shape (height, width, bands), this one has (12, 12)"
    holed = images.astype(np.float32)
    features = RandomConvolution(num_filters=2).fit(holed)
    holed[3, 0, 0, 1] = np.nan
    assert features.refuse(holed) == {3: "a pixel is missing (NaN) or infinite"}
    with pytest.raises(ValueError, match="Image 3: a pixel is missing"):
        features.transform(holed)
    with pytest.raises(ValueError, match="Image 1 has 1 bands, the first has 3"):
        RandomConvolution().fit([images[0], images[0][..., :1]])
    with pytest.raises(TypeError, match="whole or floating-point numbers, got bool"):
        features.transform(images > 9)
    assert features.transform([]).shape == (0, 4)


def test_features_are_those_of_the_filters_on_scaled_images(images):
    features = RandomConvolution(num_filters=5, patch_size=3, seed=3).fit(images)
    sizes = [images[0], images[1][:7, :12], images[2][:12, :3], images[3][:3, :3]]
    want = [by_scipy(image / 255, features.filters_, features.offsets_, 0.5) for image in sizes]
    np.testing.assert_allclose(features.transform(sizes), want, rtol=1e-4, atol=1e-5)
    assert features.names()[::5] == ["patch 0 above", "patch 0 below"]


def by_scipy(image, filters, offsets, bias):
    """Valid correlation in double precision, one filter at a time."""
    means = []
    for sign in (1, -1):
        for kernel, offset in zip(filters.astype(np.float64), offsets, strict=True):
            response = sign * (correlate(image.astype(np.float64), kernel, "valid") - offset)
            means.append(np.maximum(response - bias, 0).mean())
    return means


@pytest.mark.parametrize("strip", [2**21, 4 * 28 * 12 * 3])  # also a few rows at a time
@pytest.mark.parametrize("kind", ["uint8", "uint16", "int32", "float32", "float64", ">u2"])
@pytest.mark.parametrize("bias", [0.0, 0.3])
def test_equals_scipy(kind, bias, strip, monkeypatch):
    monkeypatch.setattr(convolution, "STRIP_BYTES", strip)
    rng = np.random.default_rng(0)
    filters = rng.normal(size=(7, 4, 4, 5)).astype(np.float32) / 50
    offsets = rng.normal(size=7).astype(np.float32)
    images = [(rng.random((*shape, 5)) * 9).astype(kind) for shape in ((9, 30), (9, 30), (4, 4), (300, 5))]
    got = rectified_means(images, filters, offsets, bias)
    want = [by_scipy(image, filters, offsets, bias) for image in images]
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=2e-6)


def test_responses_below_the_bias_are_exactly_zero():
    """So that an image of the night has zeros, not rounding errors, whatever the bias."""
    filters = np.full((2, 3, 3, 1), 1e-3, np.float32)
    dark = np.random.default_rng(0).integers(0, 40, (3, 50, 50, 1), dtype=np.uint8)
    assert (rectified_means(list(dark), filters, np.zeros(2, np.float32), 0.37) == 0).all()
    bright = rectified_means([np.full((9, 9, 1), 200, np.uint8)], filters, np.zeros(2, np.float32), 0.37)
    assert (bright[:, :2] > 1).all()
    assert (bright[:, 2:] == 0).all()
