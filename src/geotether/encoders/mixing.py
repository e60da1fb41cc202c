"""Blocks of features joined so that standardising every column keeps their proportions."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

# Rows of the left factor of the rotation: small, so that both factors are cheap matrix products and rounding the
# width up to a multiple adds little.
_LEFT = 32


class BlockMixing(nn.Module):
    """A layer that centres blocks of columns, scales each block and rotates them together.

    Probes standardise every column, so a column that was scaled down on purpose, such as a harmonic of high degree,
    gets the weight of any other, and the smoothness that the taper asks for is lost. A rotation by random signs, a
    Hadamard matrix and a cosine transform spreads every direction over all columns: distances and inner products are
    unchanged, all columns have about the same variance, and standardising them has little effect.

    Args:
        dims: Width of each block, in order.
        sizes: Total standard deviation of each block after scaling; by default 1.
        seed: Seed of the signs.

    Attributes:
        out_dim: The total width, rounded up to a multiple of 32.
        centre: Subtracted from the joined blocks, shape (total,); zeros until fitted.
        scale: Multiplies them afterwards, shape (total,), one value per block; ones until fitted.

    Raises:
        ValueError: If there are no blocks or one has no columns.

    Source:
        Ailon & Chazelle (2009), The fast Johnson-Lindenstrauss transform, SIAM J. Comput. 39:302, section 3
        (random signs, then a Fourier transform; ours is the Hadamard matrix of 32 times a cosine transform, which
        exists for every width, and all columns are kept).

    Example:
        >>> mixing = BlockMixing([3, 40])
        >>> mixed = mixing([torch.ones(2, 3), torch.zeros(2, 40)])
        >>> mixed.shape, round(mixed[0].square().sum().item(), 4)  # lengths are kept
        (torch.Size([2, 64]), 3.0)
    """

    centre: Tensor
    scale: Tensor
    signs: Tensor
    left: Tensor
    right: Tensor

    def __init__(self, dims: Sequence[int], sizes: Sequence[float | int] | None = None, seed: int = 0) -> None:
        super().__init__()
        if not dims or min(dims) < 1:
            raise ValueError(f"Every block needs at least one column, got widths {list(dims)}.")
        self.dims = tuple(dims)
        self.sizes = tuple(map(float, sizes or [1.0] * len(dims)))
        if len(self.sizes) != len(self.dims) or min(self.sizes) <= 0:
            raise ValueError(f"Every block needs a size above 0, got {list(self.sizes)} for {len(dims)} blocks.")
        total = sum(dims)
        self.out_dim = -(-total // _LEFT) * _LEFT
        signs = np.random.default_rng(seed).choice(np.array([-1.0, 1.0], dtype=np.float32), self.out_dim)
        self.register_buffer("centre", torch.zeros(total))
        self.register_buffer("scale", torch.ones(total))
        self.register_buffer("signs", torch.from_numpy(signs))
        # The rotation is the Kronecker product of the two, applied without building the full matrix.
        self.register_buffer("left", _hadamard(_LEFT), persistent=False)
        self.register_buffer("right", _cosines(self.out_dim // _LEFT), persistent=False)

    def fit(self, blocks: Sequence[Float[Tensor, "n _"]]) -> None:
        """Fit the centre of every column and the total variance of every block; both are saved with the weights.

        Args:
            blocks: Of representative places, at least two rows. A constant block is only centred.

        Raises:
            ValueError: If the widths differ from `dims` or there are fewer than two rows.
        """
        self._check(blocks)
        if len(blocks[0]) < 2:
            raise ValueError(f"Centre and variance need two rows or more, got {len(blocks[0])}.")
        centres = [block.double().mean(0) for block in blocks]
        spreads = [
            (block.double() - centre).square().sum(1).mean().sqrt()
            for block, centre in zip(blocks, centres, strict=True)
        ]
        scales = [
            (size * torch.where(spread > 0, 1 / spread, 1.0)).repeat(dim)
            for size, spread, dim in zip(self.sizes, spreads, self.dims, strict=True)
        ]
        self.centre.copy_(torch.cat(centres))
        self.scale.copy_(torch.cat(scales))

    def forward(self, blocks: Sequence[Float[Tensor, "n _"]]) -> Float[Tensor, "n out_dim"]:
        """Join, scale and rotate blocks of the widths `dims` to shape (n, out_dim)."""
        self._check(blocks)
        joined = (torch.cat(list(blocks), dim=-1) - self.centre) * self.scale
        padded = nn.functional.pad(joined, (0, self.out_dim - joined.shape[-1])) * self.signs
        grid = padded.reshape(-1, _LEFT, self.out_dim // _LEFT)
        return (self.left @ (grid @ self.right)).reshape(-1, self.out_dim)

    def _check(self, blocks: Sequence[Tensor]) -> None:
        widths = tuple(block.shape[-1] for block in blocks)
        if widths != self.dims:
            raise ValueError(f"Blocks of {list(self.dims)} columns are needed, got {list(widths)}.")


def _hadamard(size: int) -> Float[Tensor, "k k"]:
    """The orthonormal Hadamard matrix of a power of two (Sylvester's construction)."""
    matrix = torch.ones(1, 1)
    while len(matrix) < size:
        matrix = torch.cat([torch.cat([matrix, matrix], 1), torch.cat([matrix, -matrix], 1)])
    return matrix / size**0.5


def _cosines(size: int) -> Float[Tensor, "k k"]:
    """The orthonormal cosine transform (DCT-II), one frequency per column."""
    position, frequency = torch.arange(size).double() + 0.5, torch.arange(size).double()
    matrix = torch.cos(torch.outer(position, frequency) * torch.pi / size) * (2 / size) ** 0.5
    matrix[:, 0] = size**-0.5
    return matrix.float()
