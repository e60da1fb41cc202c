"""Random convolutional features: what an image looks like, without any training."""

import numpy as np
from jaxtyping import Float32, UInt8

_WHITENING_PATCHES = 20_000
_IMAGES_AT_ONCE = 8  # the responses then stay in the cache, which is what takes the time
_LEAST_CONTRAST = 4 / 255  # below it lies the noise of JPEG compression


class RandomConvolution:
    """Features of small images from random patches of the images themselves (MOSAIKS).

    `fit` draws `num_filters` patches, whitens them (ZCA) by the covariance of many patches and brings each
    to unit length. `transform` slides them over every image and averages how far the response r rises above
    `bias`, max(0, r - bias), and how far it falls below, max(0, -r - bias). What lies under the window is
    whitened as well, so a response has a spread of about one and `bias` is in units of that spread. Patches
    of one flat colour make no filter: images of the night would give the same one over and over.

    Args:
        num_filters: Number of patches; the features are twice as many.
        patch_size: Side of a patch in pixels.
        seed: Decides which patches are drawn.
        bias: Threshold of the rectifier, in standard deviations of a whitened response.
        ridge: Added to the covariance's eigenvalues as a share of their mean, so that directions without
            signal are not blown up.

    Attributes:
        out_dim: Number of features, 2 * `num_filters`.
        filters_: After `fit`: filters on raw pixels in 0..1, shape (num_filters, patch_size, patch_size, c).
        offsets_: After `fit`: what is subtracted from each raw response, shape (num_filters,).

    Source:
        Rolf et al. (2021), A generalizable and accessible approach to machine learning with global
        satellite imagery, Nature Communications 12:4392, Methods. Whitening as in Coates & Ng (2012).

    Example:
        >>> images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
        >>> RandomConvolution(num_filters=4, patch_size=3, seed=0).fit(images).transform(images).shape
        (20, 8)
    """

    def __init__(
        self, num_filters: int = 256, patch_size: int = 3, seed: int = 0, bias: float = 0.5, ridge: float = 0.01
    ) -> None:
        if num_filters < 1 or patch_size < 1:
            raise ValueError(f"num_filters and patch_size must be 1 or more, got {num_filters} and {patch_size}.")
        if bias < 0 or ridge <= 0:
            raise ValueError(f"bias must be 0 or more and ridge above 0, got {bias} and {ridge}.")
        self.num_filters = num_filters
        self.patch_size = patch_size
        self.seed = seed
        self.bias = bias
        self.ridge = ridge
        self.out_dim = 2 * num_filters

    def fit(self, images: UInt8[np.ndarray, "..."]) -> "RandomConvolution":
        """Draw and whiten the filters.

        Args:
            images: Shape (n, height, width, channels), 0 to 255.

        Returns:
            Itself.

        Raises:
            TypeError: If the pixels are not uint8.
            ValueError: If the shape is wrong, a patch is larger than the images, or no patch has contrast.
        """
        self._check(images)
        rng = np.random.default_rng(self.seed)
        patches = self._draw(images, _WHITENING_PATCHES, rng)
        mean = patches.mean(axis=0)
        values, vectors = np.linalg.eigh(np.cov(patches, rowvar=False).reshape(patches.shape[1], -1))
        if values[-1] <= 0:
            raise ValueError("All images are one flat colour, so there are no patches to learn from.")
        whitening = (vectors / np.sqrt(values.clip(0) + self.ridge * values.mean())) @ vectors.T

        chosen = (self._with_contrast(images, patches, rng) - mean) @ whitening
        chosen /= np.linalg.norm(chosen, axis=1, keepdims=True).clip(1e-12)
        filters = chosen @ whitening  # whitening the window and then taking the product is one product
        side, channels = self.patch_size, images.shape[-1]
        self.filters_ = filters.reshape(self.num_filters, side, side, channels).astype(np.float32)
        self.offsets_ = (filters @ mean).astype(np.float32)
        return self

    def transform(self, images: UInt8[np.ndarray, "..."]) -> Float32[np.ndarray, "n k"]:
        """Compute the features of images.

        Args:
            images: Shape (n, height, width, channels), 0 to 255; channels as in `fit`.

        Returns:
            Shape (n, 2 * num_filters): the means above the threshold for all filters, then those below.

        Raises:
            TypeError: If the pixels are not uint8.
            ValueError: If nothing was fitted yet or the images have another number of channels.
        """
        if not hasattr(self, "filters_"):
            raise ValueError("These features have no filters yet; call fit(images) first.")
        self._check(images)
        if images.shape[-1] != self.filters_.shape[-1]:
            raise ValueError(
                f"The filters were drawn from images of {self.filters_.shape[-1]} channels, "
                f"these images have {images.shape[-1]}."
            )
        matrix = self.filters_.reshape(self.num_filters, -1).T / np.float32(255)
        features = np.empty((len(images), self.out_dim), dtype=np.float32)
        for start in range(0, len(images), _IMAGES_AT_ONCE):
            windows = self._windows(images[start : start + _IMAGES_AT_ONCE])
            count, rows, columns = windows.shape[:3]
            flat = windows.reshape(count * rows * columns, -1).astype(np.float32)
            response = (flat @ matrix - self.offsets_).reshape(count, rows * columns, -1)
            part = features[start : start + count]
            part[:, : self.num_filters] = np.maximum(response - np.float32(self.bias), 0).mean(axis=1)
            part[:, self.num_filters :] = np.maximum(-response - np.float32(self.bias), 0).mean(axis=1)
        return features

    def _check(self, images: np.ndarray) -> None:
        if images.dtype != np.uint8:
            raise TypeError(f"Images must be uint8 (0 to 255), got {images.dtype}; scale them and use astype('uint8').")
        if images.ndim != 4:
            raise ValueError(f"Images need shape (n, height, width, channels), got {images.shape}.")
        if len(images) == 0 or images.shape[-1] == 0:
            raise ValueError(f"There are no images or no channels in an array of shape {images.shape}.")
        if min(images.shape[1:3]) < self.patch_size:
            raise ValueError(f"A patch of {self.patch_size} pixels is larger than images of shape {images.shape[1:3]}.")

    def _windows(self, images: np.ndarray) -> np.ndarray:
        """Every patch of every image as a view, shape (n, rows, columns, patch, patch, channels)."""
        side = (self.patch_size, self.patch_size)
        return np.moveaxis(np.lib.stride_tricks.sliding_window_view(images, side, axis=(1, 2)), 3, -1)

    def _draw(self, images: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
        """Patches at random places of random images in 0..1, shape (count, patch * patch * channels)."""
        windows = self._windows(images)
        image, row, column = (rng.integers(size, size=count) for size in windows.shape[:3])
        return windows[image, row, column].reshape(count, -1).astype(np.float64) / 255

    def _with_contrast(self, images: np.ndarray, first: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """As many patches as filters, each with some contrast."""
        found: list[np.ndarray] = []
        patches = first
        for _ in range(20):  # an image of the night is mostly black: look on, but not for ever
            found.append(patches[np.ptp(patches, axis=1) > _LEAST_CONTRAST])
            if sum(map(len, found)) >= self.num_filters:
                return np.concatenate(found)[: self.num_filters]
            patches = self._draw(images, _WHITENING_PATCHES, rng)
        raise ValueError(
            f"Only {sum(map(len, found))} of {20 * _WHITENING_PATCHES} patches have any contrast, "
            f"but {self.num_filters} filters were asked for."
        )
