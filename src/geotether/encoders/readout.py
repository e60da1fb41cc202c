"""A readout of any length: parts of an encoder projected on the directions that matter most."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float64
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from geotether.moments import principal_axes

RIDGES = (1.0, 10.0, 100.0, 1000.0)
# A rotation of more columns than this is built from two of half its size.
_LEAST_SIZE = 32
# With this many columns their mean variance is 1.
_UNIT_DIM = 256
# Directions with less than this share of the first one's variance are left out: they are rounding errors.
_LEAST_VARIANCE = 1e-9
_ROWS = 4096


class Response(NamedTuple):
    """What a readout should be able to predict linearly, such as components of a modality's features.

    Attributes:
        parts_train: The parts at training places, each of shape (n, width).
        targets_train: Numbers to predict there, shape (n, k).
        parts_validation: The parts at validation places, each of shape (m, width); m may be 0.
        targets_validation: Shape (m, k).
    """

    parts_train: Sequence[Tensor]
    targets_train: Tensor
    parts_validation: Sequence[Tensor]
    targets_validation: Tensor


class Readout(nn.Module):
    """A linear map from parts to any number of columns of about equal variance.

    Each part is centred and brought to a given size. The directions are principal components of all parts, weighted by
    what a linear model of the responses uses: a reduced-rank regression with a share of plain variance. Without
    responses they are plain principal components.

    A vector of k numbers has the first k directions, rotated by the orthogonal matrix `rotation(k)`. Probes standardise
    columns, which would make weak directions as loud as strong ones; after a rotation columns have about equal variance
    and standardising them changes little. `shorten` computes the vector of fewer numbers from a longer one.

    Args:
        dims: Width of each part, in order.
        sizes: Total standard deviation that each part is brought to, more than 0.
        out_dim: Number of directions; not more than the total width.

    Attributes:
        out_dim: Number of directions, the largest length of a vector.
        directions: By falling variance, shape (total, out_dim); zeros until fitted. They are saved as 16-bit whole
            numbers with one unit per row.
        offset: Added to the product, shape (out_dim,); it centres the columns.

    Raises:
        ValueError: If a width or size is out of range.

    Source:
        Izenman (1975), Reduced-rank regression for the multivariate linear model, J. Multivariate Analysis 5:248;
        Kusupati et al. (2022), NeurIPS, arXiv:2205.13147 (vectors that can be shortened).

    Example:
        >>> readout = Readout([3, 40], sizes=[2, 1])
        >>> parts = [torch.randn(100, 3), torch.randn(100, 40)]
        >>> readout.fit(parts)
        >>> readout(parts, 8).shape, readout.out_dim
        (torch.Size([100, 8]), 43)
    """

    directions: Tensor
    rounded: Tensor
    unit: Tensor
    offset: Tensor

    def __init__(self, dims: Sequence[int], sizes: Sequence[float | int], out_dim: int = 768) -> None:
        super().__init__()
        if not dims or min(dims) < 1 or len(sizes) != len(dims) or not min(sizes) > 0:
            raise ValueError(
                f"Every part needs at least one column and a size above 0, got widths {list(dims)} and sizes "
                f"{list(sizes)}."
            )
        if out_dim < 1:
            raise ValueError(f"out_dim must be 1 or more, got {out_dim}.")
        self.dims, self.sizes = tuple(dims), tuple(map(float, sizes))
        self.out_dim = min(out_dim, sum(dims))
        self.register_buffer("rounded", torch.zeros(sum(dims), self.out_dim, dtype=torch.int16))
        self.register_buffer("unit", torch.ones(sum(dims)))
        self.register_buffer("offset", torch.zeros(self.out_dim))
        self.register_buffer("directions", torch.zeros(sum(dims), self.out_dim), persistent=False)
        self._rotated: dict[Any, tuple[Tensor, Tensor]] = {}
        self.register_load_state_dict_post_hook(_restore_directions)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the rotated directions, which are computed again when needed."""
        return {**super().__getstate__(), "_rotated": {}}

    def forward(self, parts: Sequence[Float[Tensor, "n _"]], dim: int) -> Float[Tensor, "n dim"]:
        """Return vectors of `dim` numbers for parts of the widths `dims`, shape (n, dim)."""
        self._check(parts)
        matrix, columns = self.matrix(dim)
        row = 0
        for part in parts:
            width = part.shape[-1]
            columns = columns + part @ matrix[row : row + width]
            row += width
        return columns

    def matrix(self, dim: int) -> tuple[Float[Tensor, "total dim"], Float[Tensor, " dim"]]:
        """Return the rotated directions and the offset of vectors of `dim` numbers; the last two are kept."""
        key = (dim, self.directions.device, self.directions.dtype)
        if key not in self._rotated:
            while len(self._rotated) > 1:
                self._rotated.pop(next(iter(self._rotated)))
            with torch.inference_mode(False), torch.no_grad():  # kept for training and encoding alike
                turn = torch.from_numpy(rotation(dim)).to(self.directions)
                self._rotated[key] = (self.directions[:, :dim] @ turn, self.offset[:dim] @ turn)
        return self._rotated[key]

    def fit(
        self, parts: Sequence[Float[Tensor, "n _"]], responses: Iterable[Response] = (), share: float = 0.5
    ) -> None:
        """Fit the directions.

        Each response is predicted by ridge regression; the penalty has the least error on its validation rows, or on
        a tenth of the training rows if there are none. With coefficients W and skill s (explained variance there, 0 or
        more), M is the sum of sqrt(s) W W^T / trace(W^T C W) over responses, scaled to trace(M C) = 1; C is the
        covariance of the parts. Directions are eigenvectors of R^T C R, times R, where R R^T = share I / trace(C) +
        (1 - share) M.

        Args:
            parts: At representative places, at least two rows. A constant part is only centred.
            responses: See above; each is used and released before the next one is taken.
            share: Share of plain variance, from 0 (excluded) to 1.

        Raises:
            ValueError: If the widths differ from `dims`, there are fewer than two rows, or a response has no rows.
        """
        self._check(parts)
        if len(parts[0]) < 2 or not 0 < share <= 1:
            raise ValueError(f"Needs two rows or more and a share in (0, 1], got {len(parts[0])} rows and {share}.")
        centre, scale = self._standards(parts)
        covariance, _ = _moments([part.double() for part in parts], centre, scale)
        total, metric = covariance.trace(), torch.zeros_like(covariance)
        for response in responses:
            weights, skill = _ridge(response, centre, scale)
            explained = (weights.T @ covariance @ weights).trace()
            if skill > 0 and explained > 0:
                metric += skill**0.5 * weights @ weights.T / explained
        used = (metric * covariance).sum()
        if used > 0:
            identity = torch.eye(len(metric), dtype=metric.dtype, device=metric.device)
            # Any root gives the same directions; this one takes a tenth of the time of the symmetric one.
            root = torch.linalg.cholesky(share * identity / total + (1 - share) * metric / used)
            leading = root @ _leading(root.T @ covariance @ root, self.out_dim)
        else:
            leading = _leading(covariance, self.out_dim)
        variance = ((covariance @ leading) * leading).sum(0)
        leading = leading * (variance > _LEAST_VARIANCE * variance[0])
        level = variance[:_UNIT_DIM].mean().clamp(min=1e-30)
        directions = leading / level.sqrt() * scale[:, None] * (variance[0] > 0)
        self.unit.copy_(directions.abs().amax(1).clamp(min=1e-30) / (2**15 - 1))
        self.rounded.copy_((directions / self.unit[:, None]).round())
        _restore_directions(self)
        self.offset.copy_(-centre @ self.directions.double())

    def _standards(self, parts: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return the mean of every column, and the factor that brings its part to its size, both float64."""
        means = [part.mean(0, dtype=torch.float64) for part in parts]
        spreads = [
            (part.double() - mean).square().sum(1).mean().sqrt() for part, mean in zip(parts, means, strict=True)
        ]
        scales = [
            (size * torch.where(spread > 0, 1 / spread, 1.0)).repeat(dim)
            for size, spread, dim in zip(self.sizes, spreads, self.dims, strict=True)
        ]
        return torch.cat(means), torch.cat(scales)

    def _check(self, parts: Sequence[Tensor]) -> None:
        widths = tuple(part.shape[-1] for part in parts)
        if widths != self.dims:
            raise ValueError(f"Parts of {list(self.dims)} columns are needed, got {list(widths)}.")


def _restore_directions(readout: Any, keys: Any = None) -> None:
    """Compute the directions from their saved form, after loading."""
    readout.directions = readout.rounded * readout.unit[:, None]
    readout._rotated.clear()


def _rows(parts: Sequence[Tensor], centre: Tensor, scale: Tensor, rows: slice) -> Float[Tensor, "n k"]:
    """Return rows of the parts, joined, centred and scaled."""
    joined = torch.cat([part[rows] for part in parts], dim=1)
    return (joined - centre.to(joined.dtype)) * scale.to(joined.dtype)


def _moments(
    parts: Sequence[Tensor], centre: Tensor, scale: Tensor, targets: Tensor | None = None
) -> tuple[Float64[Tensor, "k k"], Float64[Tensor, "k t"]]:
    """Return X^T X / n of the joined parts, and X^T Y / n with the targets.

    Products are computed in the type of the parts and summed in float64.
    """
    count = len(parts[0])
    square = torch.zeros(len(centre), len(centre), dtype=torch.float64, device=centre.device)
    product = square[:, :0] if targets is None else square.new_zeros(len(centre), targets.shape[1])
    for start in range(0, count, _ROWS):
        rows = slice(start, start + _ROWS)
        x = _rows(parts, centre, scale, rows)
        square += x.T @ x
        if targets is not None:
            product += x.T @ targets[rows].to(x.dtype)
    return square / count, product / count


def _ridge(response: Response, centre: Tensor, scale: Tensor) -> tuple[Float64[Tensor, "k t"], float]:
    """Return the coefficients of the best ridge regression of a response, and its explained variance, 0 or more."""
    train, held_out = list(response.parts_train), list(response.parts_validation)
    targets, wanted = response.targets_train.double(), response.targets_validation.double()
    if len(targets) < 2:
        raise ValueError(f"A response needs two training rows or more, got {len(targets)}.")
    if not len(wanted):
        order = torch.from_numpy(np.random.default_rng(0).permutation(len(targets))).to(targets.device)
        tenth, rest = order[: max(len(order) // 10, 1)], order[max(len(order) // 10, 1) :]
        held_out, wanted = [part[tenth] for part in train], targets[tenth]
        train, targets = [part[rest] for part in train], targets[rest]
    mean = targets.mean(0)
    targets, wanted = targets - mean, wanted - mean
    # Centred by the training rows, so that the intercept is not penalised.
    own = torch.cat([part.mean(0, dtype=torch.float64) for part in train])
    square, product = _moments(train, own, scale, targets)
    variance = wanted.square().sum()
    best, least = torch.zeros_like(product), float(variance)
    for ridge in RIDGES:
        penalty = ridge / len(targets) * torch.eye(len(square), dtype=square.dtype, device=square.device)
        weights = torch.cholesky_solve(product, torch.linalg.cholesky(square + penalty))
        error = 0.0
        for start in range(0, len(wanted), _ROWS):
            rows = slice(start, start + _ROWS)
            x = _rows(held_out, own, scale, rows)
            error += float((wanted[rows] - x @ weights.to(x.dtype)).square().sum())
        if error < least:
            best, least = weights, error
    return best, 1 - least / max(float(variance), 1e-30)


def _leading(matrix: Float64[Tensor, "k k"], count: int) -> Float64[Tensor, "k count"]:
    """Return the first eigenvectors of a symmetric matrix by falling eigenvalue; see `principal_axes`."""
    return torch.from_numpy(principal_axes(matrix.cpu().numpy(), count)[1]).to(matrix.device)


@cache
def rotation(size: int) -> Float64[np.ndarray, "size size"]:
    """Return the orthogonal matrix that turns the first `size` directions into a vector; always the same.

    It is random, but the first half of its columns turns the first half of its rows by an orthogonal matrix (times
    the square root of a half), and so on down to 32. So the first half of the numbers of a vector show the first half
    of the directions undistorted, with the weaker half as noise.

    Example:
        >>> turn = rotation(64)
        >>> np.allclose(turn @ turn.T, np.eye(64)), np.allclose(2 * turn[:32, :32] @ turn[:32, :32].T, np.eye(32))
        (True, True)
    """
    generator = np.random.default_rng(size)

    def orthogonal(n: int) -> np.ndarray:
        return np.linalg.qr(generator.normal(size=(n, n)))[0]

    def built(n: int) -> np.ndarray:
        if n <= _LEAST_SIZE or n % 2:
            return orthogonal(n)
        first, second, turn = built(n // 2), orthogonal(n // 2), orthogonal(n // 2)
        return np.block([[first, first @ turn], [second, -second @ turn]]) / 2**0.5

    # Threads of small factorisations wait for each other: on a busy machine that took a second instead of 4 ms.
    with threadpool_limits(limits=1, user_api="blas"):
        return built(size)


def shorten(vectors: Float[np.ndarray, "n d"], dim: int) -> Float[np.ndarray, "n dim"]:
    """Compute vectors of fewer numbers from those of a projected readout, as if encoded with `dim`; no model is needed.

    Args:
        vectors: From `Encoder.encode` of a model with the readout `projected`, shape (n, d).
        dim: From 1 to d.

    Raises:
        ValueError: If `dim` is out of range.

    Example:
        >>> shorten(np.ones((2, 256), dtype=np.float32), 64).shape
        (2, 64)
    """
    vectors = np.asarray(vectors)
    if vectors.ndim != 2 or not 1 <= dim <= vectors.shape[1]:
        raise ValueError(f"Vectors of shape {vectors.shape} cannot be shortened to {dim} numbers.")
    return (vectors @ (rotation(vectors.shape[1])[:dim].T @ rotation(dim))).astype(vectors.dtype)
