"""Embeddings, masks and places that the tests of this room share."""

from collections.abc import Callable

import pytest
import torch


@pytest.fixture
def random_pair() -> Callable[..., tuple[torch.Tensor, torch.Tensor]]:
    """Make two float64 embeddings of n rows that ask for a gradient."""

    def make(n: int, d: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
        generator = torch.Generator().manual_seed(seed)
        left, right = (torch.randn(n, d, generator=generator, dtype=torch.float64) for _ in range(2))
        return left.requires_grad_(), right.requires_grad_()

    return make


@pytest.fixture
def random_mask() -> Callable[..., torch.Tensor]:
    """Make an n x n mask, not symmetric, with the diagonal sometimes set."""

    def make(n: int, share: float, seed: int = 1) -> torch.Tensor:
        return torch.rand(n, n, generator=torch.Generator().manual_seed(seed)) < share

    return make


@pytest.fixture
def random_places() -> Callable[..., torch.Tensor]:
    """Make n >= 8 places: all over the sphere, and some at its difficult spots."""

    def make(n: int, seed: int = 2) -> torch.Tensor:
        unit = torch.rand(n, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        lonlat = torch.stack([360 * unit[:, 0] - 180, torch.rad2deg(torch.asin(2 * unit[:, 1] - 1))], dim=1)
        lonlat[1] = lonlat[0]  # the same place twice
        across_the_seam_and_at_the_pole = [[179.9, 10.0], [-179.9, 10.0], [77.0, 90.0], [-3.0, 89.9]]
        lonlat[2:6] = torch.tensor(across_the_seam_and_at_the_pole, dtype=torch.float64)
        return lonlat

    return make
