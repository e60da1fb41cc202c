"""Mirrors src/geotether/encoders/mixing.py."""

import numpy as np
import pytest
import torch
from scipy.fft import dct
from scipy.linalg import hadamard

from geotether.encoders.mixing import BlockMixing


@pytest.fixture
def blocks():
    generator = torch.Generator().manual_seed(0)
    loud = 100 * torch.randn(200, 3, generator=generator) + 7
    quiet = torch.randn(200, 50, generator=generator) * torch.linspace(1, 0.01, 50)
    return [loud, quiet]


def scaled(blocks):
    """Each block centred and of a total variance of one."""
    centred = [block - block.mean(0) for block in blocks]
    return [block / block.square().sum(1).mean().sqrt() for block in centred]


def test_equals_the_matrix_product_of_signs_hadamard_and_cosines(blocks):
    mixing = BlockMixing([3, 90])
    mixed_of = [blocks[0], blocks[1].repeat(1, 2)[:, :90]]
    mixing.fit(mixed_of)
    padded = np.pad(torch.cat(scaled(mixed_of), 1).numpy(), ((0, 0), (0, 96 - 93))) * mixing.signs.numpy()
    rotation = np.kron(hadamard(32) / 32**0.5, dct(np.eye(3), norm="ortho"))
    np.testing.assert_allclose(mixing(mixed_of).numpy(), padded @ rotation, atol=1e-5)


@pytest.mark.parametrize(("total", "wanted"), [(1, 32), (32, 32), (33, 64), (1361, 1376), (2048, 2048)])
def test_the_width_is_the_next_multiple_of_32(total, wanted):
    assert BlockMixing([total]).out_dim == wanted


def test_keeps_distances_and_gives_every_block_the_same_variance(blocks):
    mixing = BlockMixing([3, 50])
    mixing.fit(blocks)
    mixed = mixing(blocks)
    assert mixed.var(0, unbiased=False).sum().item() == pytest.approx(2.0, rel=1e-4)
    joined = torch.cat(scaled(blocks), 1).double()
    torch.testing.assert_close(torch.cdist(mixed, mixed).double(), torch.cdist(joined, joined), atol=5e-3, rtol=1e-3)


def test_a_constant_block_is_centred_and_not_blown_up():
    mixing = BlockMixing([2, 40])
    constant, other = torch.full((5, 2), 3.0), torch.randn(5, 40, generator=torch.Generator().manual_seed(2))
    mixing.fit([constant, other])
    assert mixing([constant, other]).isfinite().all()
    assert mixing.scale[:2].tolist() == [1.0, 1.0]


def test_blocks_take_the_sizes_asked_for(blocks):
    mixing = BlockMixing([3, 50], sizes=[2, 0.5])
    mixing.fit(blocks)
    assert mixing(blocks).var(0, unbiased=False).sum().item() == pytest.approx(4.25, rel=1e-4)
    with pytest.raises(ValueError, match=r"size above 0, got \[1.0, 0.0\] for 2 blocks"):
        BlockMixing([3, 50], sizes=[1, 0])
