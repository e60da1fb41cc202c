"""Mean rectified responses of images to filters: the arithmetic of random convolutional features."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32

if TYPE_CHECKING:
    import torch

# Responses are made in strips of image rows of at most so many bytes: larger ones fall out of the cache, smaller ones
# cost more in calls than they save.
STRIP_BYTES = 2**21


def rectified_means(
    images: Sequence[np.ndarray],
    filters: Float32[np.ndarray, "k side side c"],
    offsets: Float32[np.ndarray, " k"],
    bias: float,
) -> Float32[np.ndarray, "n two_k"]:
    """Slide filters over images and average how far the responses rise above `bias` and fall below `-bias`.

    Every image is computed alone and by one thread, so its numbers do not depend, not in one bit, on the images that
    come with it nor on the number of threads; several threads share out the images.

    Args:
        images: Arrays (height, width, c) of any number type and any sizes, none smaller than a filter.
        filters: On the numbers of the images as they are, shape (k, side, side, c).
        offsets: Subtracted from each response, shape (k,).
        bias: Threshold of the rectifier, 0 or more.

    Returns:
        For each image mean(max(0, r - bias)) of all filters, then mean(max(0, -r - bias)), shape (n, 2k).
    """
    import torch

    features = np.empty((len(images), 2 * len(filters)), dtype=np.float32)
    # The offset is the weight of one more input that is always one.
    weights = np.concatenate([filters.transpose(0, 3, 1, 2).reshape(len(filters), -1), -offsets[:, None]], axis=1)
    matrix = torch.from_numpy(np.ascontiguousarray(weights.T))
    threads = min(torch.get_num_threads(), len(images))

    def share(number: int) -> None:
        if threads > 1:
            torch.set_num_threads(1)  # of this thread alone; see below for the default of later threads
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
    """The room to work in for images of one shape."""

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
        """Pixels of a strip, every window of them as a view, a copy of those with a row of ones, and the responses."""
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
            # y = r - bias above, r + bias below, 0 between: sum(y) is above less below, sum(max(0, y)) is above. Both
            # sums run in the same order, so what never falls below is exactly zero, and so is what never rises above.
            torch.ops.aten.softshrink.out(response, bias, out=response)
            torch.sum(response, 0, out=self.sums[0, number])
            torch.sum(response.relu_(), 0, out=self.sums[1, number])
        both, above = self.sums.sum(1).numpy() / np.float32(self.places)
        return np.concatenate([above, np.maximum(above - both, 0)])
