"""Embeddings, masks and places that the tests of this room share."""

import math
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


@pytest.fixture
def haversine_km() -> Callable[..., float]:
    """Return the distance of two places by the haversine formula."""

    def distance(a, b):
        (lon_a, lat_a), (lon_b, lat_b) = (map(math.radians, place) for place in (a, b))
        h = math.sin((lat_b - lat_a) / 2) ** 2 + math.cos(lat_a) * math.cos(lat_b) * math.sin((lon_b - lon_a) / 2) ** 2
        return 2 * 6371.0088 * math.asin(math.sqrt(min(h, 1)))

    return distance


@pytest.fixture
def nt_xent_by_hand() -> Callable[..., float]:
    """Return NT-Xent by its definition with loops: each of 2n views against the 2n - 1 others."""

    def loss(a, b, temperature):
        views = [row / row.norm() for row in [*a.detach(), *b.detach()]]
        n, total = len(a), 0.0
        for i, anchor in enumerate(views):
            s = [float(anchor @ other) / temperature for other in views]
            total -= s[(i + n) % (2 * n)] - math.log(sum(math.exp(s[j]) for j in range(2 * n) if j != i))
        return total / (2 * n)

    return loss
