"""Random convolutional features of images, which need no training."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from jaxtyping import Float32

from geotether.features.featurizer import ImageFeatures

if TYPE_CHECKING:
    import torch

_WHITENING_PATCHES = 20_000
_LEAST_CONTRAST = 4 / 255  # the noise of JPEG compression is below
# Responses are computed in strips of image rows of at most this many bytes: larger strips do not fit in the cache, and
# smaller ones need too many calls.
STRIP_BYTES = 2**21


class RandomConvolution(ImageFeatures):
    """Features of small images from random patches of the images themselves (MOSAIKS).

    `fit` draws `num_filters` patches, whitens them (ZCA) by the covariance of many patches and scales each
    to unit length. `transform` slides them over each image and averages how far the response r rises above
    `bias`, max(0, r - bias), and how far it falls below, max(0, -r - bias). The window is whitened as well, so a
    response has a standard deviation of about one and `bias` is in units of it. Patches of one flat colour are not
    used: night images would give the same one many times.

    Images may have any number of bands and any number type. They come as one array (n, height, width, bands) or as
    a list of arrays (height, width, bands), which may then differ in height and width.

    Args:
        num_filters: Number of patches; there are twice as many features.
        patch_size: Side of a patch in pixels.
        seed: Seed of the draw.
        bias: Threshold of the rectifier, in standard deviations of a whitened response.
        ridge: Added to the covariance's eigenvalues as a share of their mean, so that directions without
            signal are not amplified.
        scale: Divisor of all values. None: 255 for uint8, and for other number types each band's standard
            deviation in the images of `fit`.

    Attributes:
        out_dim: Number of features, 2 * `num_filters`.
        filters_: After `fit`: filters on values divided by the scale, shape (num_filters, patch_size, patch_size, c).
        offsets_: After `fit`: subtracted from the raw responses, shape (num_filters,).
        scales_: After `fit`: divisor of each band, shape (c,).

    Source:
        Rolf et al. (2021), A generalizable and accessible approach to machine learning with global
        satellite imagery, Nature Communications 12:4392, Methods. Whitening as in Coates & Ng (2012).

    Example:
        >>> images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
        >>> RandomConvolution(num_filters=4, patch_size=3, seed=0).fit(images).transform(images).shape
        (20, 8)
    """

    # 40 patches per image; more images would need gigabytes if they have many bands.
    fit_rows: ClassVar[int] = 500
    plain_state = ("number",)
    array_state = ("filters", "offsets", "scales")

    def __init__(
        self,
        num_filters: int = 256,
        patch_size: int = 3,
        seed: int = 0,
        bias: float = 0.5,
        ridge: float = 0.01,
        scale: float | None = None,
    ) -> None:
        if num_filters < 1 or patch_size < 1:
            raise ValueError(f"num_filters and patch_size must be 1 or more, got {num_filters} and {patch_size}.")
        if bias < 0 or ridge <= 0:
            raise ValueError(f"bias must be 0 or more and ridge above 0, got {bias} and {ridge}.")
        if scale is not None and not 0 < scale < np.inf:
            raise ValueError(f"scale must be above 0, got {scale}; None takes 255 or each band's standard deviation.")
        self.num_filters, self.patch_size, self.seed = num_filters, patch_size, seed
        self.bias, self.ridge, self.scale = bias, ridge, scale
        self.out_dim = 2 * num_filters

    def fit(self, images: np.ndarray | Sequence[np.ndarray]) -> "RandomConvolution":
        """Draw and whiten the filters from images of shape (n, height, width, bands), or a list of them."""
        self.check_usable(images)
        if len(images) == 0:
            raise ValueError("There are no images to draw patches from.")
        bands = images[0].shape[-1]
        other = [row for row, image in enumerate(images) if image.shape[-1] != bands]
        if other:
            raise ValueError(f"Image {other[0]} has {images[other[0]].shape[-1]} bands, the first has {bands}.")
        self.scales_ = self._scales(images)
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
        side = self.patch_size
        self.filters_ = filters.reshape(self.num_filters, side, side, bands).astype(np.float32)
        self.offsets_ = (filters @ mean).astype(np.float32)
        self.number_ = _number(images[0].dtype)
        return self

    def transform(self, images: np.ndarray | Sequence[np.ndarray]) -> Float32[np.ndarray, "n k"]:
        """Compute the features of images; bands as in `fit`.

        Returns:
            Shape (n, 2 * num_filters): the means above the threshold for all filters, then those below. The features
            of an image do not depend on the other images, bit for bit.
        """
        self.check_fitted()
        self.check_usable(images)
        return rectified_means(list(images), self.filters_ / self.scales_, self.offsets_, self.bias)

    def refuse(self, images: np.ndarray | Sequence[np.ndarray]) -> dict[int, str]:
        """Return why `transform` cannot take some images: too small, missing pixels, other bands or number types."""
        if isinstance(images, np.ndarray) and images.ndim != 4:
            raise ValueError(f"Images need shape (n, height, width, channels), got {images.shape}.")
        return {row: reason for row, image in enumerate(images) if (reason := self._reason(image))}

    def names(self) -> list[str]:
        """Return the names of the features: "patch 0 above", ..., "patch 0 below", ..."""
        return [f"patch {number} {side}" for side in ("above", "below") for number in range(self.num_filters)]

    def _reason(self, image: np.ndarray) -> str:
        if image.dtype.kind not in "uif":
            raise TypeError(f"Images must be of whole or floating-point numbers, got {image.dtype}.")
        if image.ndim != 3 or image.shape[-1] == 0:
            return f"an image needs shape (height, width, bands), this one has {image.shape}"
        if min(image.shape[:2]) < self.patch_size:
            height, width = image.shape[:2]
            return f"a patch of {self.patch_size} pixels is larger than images of {height} x {width}"
        if image.dtype.kind == "f" and not np.isfinite(image).all():
            return "a pixel is missing (NaN) or infinite"
        if not hasattr(self, "filters_"):
            return ""
        bands = self.filters_.shape[-1]
        if image.shape[-1] != bands:
            return f"the filters were drawn from images of {bands} channels, these images have {image.shape[-1]}"
        if _number(image.dtype) != self.number_:
            return f"the filters were drawn from images of {self.number_} numbers, this one has {image.dtype}"
        return ""

    def _scales(self, images: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
        """Return the divisor of each band, shape (c,)."""
        bands = images[0].shape[-1]
        if self.scale is not None or images[0].dtype == np.uint8:
            return np.full(bands, 255 if self.scale is None else self.scale, dtype=np.float32)
        count = sum(image.shape[0] * image.shape[1] for image in images)
        mean = sum(image.sum(axis=(0, 1), dtype=np.float64) for image in images) / count
        squares = sum(np.square(image - mean).sum(axis=(0, 1)) for image in images) / count
        spread = np.sqrt(squares)
        return np.where(spread > 0, spread, 1.0).astype(np.float32)  # a band that never varies, such as an empty B10

    def _draw(self, images: np.ndarray | Sequence[np.ndarray], count: int, rng: np.random.Generator) -> np.ndarray:
        """Draw patches of random images, divided by the scale, shape (count, patch * patch * bands)."""
        side = self.patch_size
        sizes = np.array([image.shape[:2] for image in images]) - side + 1
        image = rng.integers(len(images), size=count)
        alike = (sizes == sizes[0]).all()
        row, column = (rng.integers(size[0] if alike else size[image], size=count) for size in sizes.T)
        places = zip(image.tolist(), row.tolist(), column.tolist(), strict=True)
        patches = np.stack([images[i][y : y + side, x : x + side] for i, y, x in places]).astype(np.float64)
        return (patches / self.scales_.astype(np.float64)).reshape(count, -1)

    def _with_contrast(
        self, images: np.ndarray | Sequence[np.ndarray], first: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Return one patch with contrast per filter."""
        found: list[np.ndarray] = []
        patches = first
        for _ in range(20):  # night images are mostly black
            found.append(patches[np.ptp(patches, axis=1) > _LEAST_CONTRAST])
            if sum(map(len, found)) >= self.num_filters:
                return np.concatenate(found)[: self.num_filters]
            patches = self._draw(images, _WHITENING_PATCHES, rng)
        raise ValueError(
            f"Only {sum(map(len, found))} of {20 * _WHITENING_PATCHES} patches have any contrast, "
            f"but {self.num_filters} filters were asked for."
        )


def _number(kind: np.dtype) -> str:
    """Return the type of numbers that filters are for: any floating-point type, or one type of whole numbers."""
    return "floating-point" if kind.kind == "f" else str(kind)


def rectified_means(
    images: Sequence[np.ndarray],
    filters: Float32[np.ndarray, "k side side c"],
    offsets: Float32[np.ndarray, " k"],
    bias: float,
) -> Float32[np.ndarray, "n two_k"]:
    """Slide filters over images and average how far the responses rise above `bias` and fall below `-bias`.

    Each image is computed alone and by one thread, so its features do not depend on the other images or on the number
    of threads, bit for bit; several threads share the images.

    Returns:
        Per image, mean(max(0, r - bias)) of all filters, then mean(max(0, -r - bias)), shape (n, 2k).
    """
    import torch

    features = np.empty((len(images), 2 * len(filters)), dtype=np.float32)
    # The offset is the weight of an additional input that is always one.
    weights = np.concatenate([filters.transpose(0, 3, 1, 2).reshape(len(filters), -1), -offsets[:, None]], axis=1)
    matrix = torch.from_numpy(np.ascontiguousarray(weights.T))
    threads = min(torch.get_num_threads(), len(images))

    def share(number: int) -> None:
        if threads > 1:
            torch.set_num_threads(1)  # of this thread only
        strips: _Strips | None = None
        for row in range(number, len(images), threads):
            if strips is None or strips.shape != images[row].shape:
                strips = _Strips(images[row].shape, filters.shape[1], matrix)
            features[row] = strips.means(images[row], bias)

    if threads <= 1:
        share(0) if threads else None
        return features
    before = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(share, range(threads)))
    finally:
        torch.set_num_threads(before)
    return features


class _Strips:
    """Work space for images of one shape."""

    def __init__(self, shape: tuple[int, ...], side: int, matrix: "torch.Tensor") -> None:
        import torch

        self.shape = shape
        self.matrix = matrix
        height, width, bands = shape
        self.side, rows, columns = side, height - side + 1, width - side + 1
        widest = max(matrix.shape) * columns * 4
        count = -(-rows // max(1, STRIP_BYTES // widest))
        step = -(-rows // count)  # strips of equal height
        self.places = rows * columns
        self.tops = range(0, rows, step)
        self.sums = torch.empty(2, len(self.tops), matrix.shape[1])
        heights = [min(step, rows - top) for top in self.tops]
        rooms = {high: self._room(high, columns, width, bands) for high in set(heights)}
        self.rooms = [rooms[high] for high in heights]

    def _room(self, rows: int, columns: int, width: int, bands: int) -> tuple["torch.Tensor", ...]:
        """Return pixels of a strip, its windows as a view, a copy of them with a row of ones, and the responses."""
        import torch

        side = self.side
        pixels = torch.empty(bands, rows + side - 1, width)
        seen = pixels.unfold(1, side, 1).unfold(2, side, 1).permute(0, 3, 4, 1, 2)
        inputs = torch.ones(len(self.matrix), rows * columns)
        windows = inputs[:-1].view(bands, side, side, rows, columns)
        return pixels, seen, windows, inputs.T, torch.empty(rows * columns, self.matrix.shape[1])

    def means(self, image: np.ndarray, bias: float) -> np.ndarray:
        import torch

        for number, (top, (pixels, seen, windows, inputs, response)) in enumerate(
            zip(self.tops, self.rooms, strict=True)
        ):
            np.copyto(pixels.numpy(), image[top : top + pixels.shape[1]].transpose(2, 0, 1), casting="unsafe")
            windows.copy_(seen)
            torch.mm(inputs, self.matrix, out=response)
            # y = r - bias above, r + bias below, 0 between: sum(y) is above minus below, sum(max(0, y)) is above. Both
            # sums run in the same order, so a response that never falls below, or never rises above, is exactly zero.
            torch.ops.aten.softshrink.out(response, bias, out=response)
            torch.sum(response, 0, out=self.sums[0, number])
            torch.sum(response.relu_(), 0, out=self.sums[1, number])
        both, above = self.sums.sum(1).numpy() / np.float32(self.places)
        return np.concatenate([above, np.maximum(above - both, 0)])
