"""Mirrors src/geotether/features/convolution.py."""

import numpy as np
import pytest

from geotether.features.convolution import RandomConvolution


@pytest.fixture
def images() -> np.ndarray:
    """Blobs rather than noise, so that neighbouring pixels are alike as in a photograph."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (40, 4, 4, 3))
    fine = np.kron(coarse, np.ones((1, 3, 3, 1))) + rng.normal(0, 5, (40, 12, 12, 3))
    return fine.clip(0, 255).astype(np.uint8)


def by_hand(features: RandomConvolution, image: np.ndarray) -> np.ndarray:
    """The definition with loops: filter, rectify around the bias, average."""
    side, count = features.patch_size, features.num_filters
    places = [(y, x) for y in range(image.shape[0] - side + 1) for x in range(image.shape[1] - side + 1)]
    above, below = np.zeros(count), np.zeros(count)
    for k in range(count):
        for y, x in places:
            response = -float(features.offsets_[k])
            for i in range(side):
                for j in range(side):
                    for c in range(image.shape[2]):
                        response += float(features.filters_[k, i, j, c]) * int(image[y + i, x + j, c]) / 255
            above[k] += max(0.0, response - features.bias)
            below[k] += max(0.0, -response - features.bias)
    return np.concatenate([above, below]) / len(places)


@pytest.mark.parametrize("patch_size", [1, 3, 12])
def test_equals_the_definition(images, patch_size):
    features = RandomConvolution(num_filters=5, patch_size=patch_size, seed=3).fit(images)
    got = features.transform(images[:2])
    want = np.stack([by_hand(features, image) for image in images[:2]])
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def test_whitened_responses_spread_alike(images):
    """Whitening makes every direction's variance one, so that one bias suits all filters."""
    features = RandomConvolution(num_filters=64, patch_size=3, seed=0, ridge=1e-6).fit(images)
    windows = np.lib.stride_tricks.sliding_window_view(images, (3, 3), axis=(1, 2))
    flat = np.moveaxis(windows, 3, -1).reshape(-1, 27) / 255
    responses = flat @ features.filters_.reshape(64, -1).T - features.offsets_
    np.testing.assert_allclose(responses.std(axis=0), 1, atol=0.05)
    np.testing.assert_allclose(responses.mean(axis=0), 0, atol=0.05)


def test_batches_and_order_do_not_matter(images):
    features = RandomConvolution(num_filters=8, patch_size=3, seed=0).fit(images)
    whole = features.transform(images)
    np.testing.assert_allclose(features.transform(images[::-1])[::-1], whole, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(features.transform(images[7:8]), whole[7:8], rtol=1e-5, atol=1e-6)


def test_the_seed_decides(images):
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
def test_unfit_images_are_refused(images, message):
    with pytest.raises(ValueError, match=message):
        RandomConvolution(num_filters=2, patch_size=3).fit(images)


def test_other_misuse_is_named(images):
    with pytest.raises(ValueError, match="call fit"):
        RandomConvolution().transform(images)
    features = RandomConvolution(num_filters=2).fit(images)
    with pytest.raises(ValueError, match="drawn from images of 3 channels, these images have 1"):
        features.transform(images[..., :1])
    with pytest.raises(ValueError, match="1 or more, got 0"):
        RandomConvolution(num_filters=0)
    with pytest.raises(ValueError, match="ridge above 0"):
        RandomConvolution(ridge=0.0)
