"""Mirrors src/geotether/encoders/sensors/resnet.py."""

import numpy as np
import pytest
import torch
from torch import nn

from geotether.encoders.sensors.resnet import ResidualBlock, ResNet


@pytest.mark.parametrize(("side", "patch"), [(5, 1), (7, 1), (16, 2), (32, 4), (64, 8), (120, 8), (224, 8)])
def test_patches_grow_with_the_chip(side, patch):
    assert ResNet((3, side, side), 8).patch == patch


def test_stages_halve_the_map_and_double_its_channels():
    network = ResNet((2, 16, 16), 8, width=16, patch=1, num_stages=3, num_blocks=2)
    x = torch.zeros(1, 16, 16, 16)
    shapes = []
    for block in network.blocks:
        x = block(x)
        shapes.append(tuple(x.shape[1:]))
    assert shapes == [(16, 16, 16)] * 2 + [(32, 8, 8)] * 2 + [(64, 4, 4)] * 2


def test_a_block_is_two_convolutions_beside_a_short_cut():
    block = ResidualBlock(8, 16, stride=2)
    x = torch.randn(2, 8, 6, 6, generator=torch.Generator().manual_seed(0))
    inner = nn.functional.relu(block.first_norm(block.first(x)))
    torch.testing.assert_close(block(x), nn.functional.relu(block.second_norm(block.second(inner)) + block.skip(x)))
    nn.init.zeros_(block.second.weight)
    torch.testing.assert_close(block(x), nn.functional.relu(block.skip(x)))


@pytest.mark.parametrize("size", [(7, 7), (8, 9), (17, 16), (64, 40)])
def test_no_pixel_is_left_out(size):
    """Any pixel can change the output, also those beyond the last whole patch."""
    network = ResNet((1, 16, 16), 8).eval()
    x = torch.randn(1, 1, *size, generator=torch.Generator().manual_seed(0), requires_grad=True)
    network(x).square().sum().backward()
    assert x.grad.ne(0).all()


def test_a_mirrored_chip_is_another_chip():
    network = ResNet((2, 16, 16), 8).eval()
    x = torch.randn(2, 2, 16, 16, generator=torch.Generator().manual_seed(0))
    assert (network(x) - network(x.flip(3))).abs().max() > 1e-4


def test_brightness_is_forgotten_by_groups_and_kept_by_batches_or_statistics():
    x = torch.randn(4, 2, 16, 16, generator=torch.Generator().manual_seed(0))
    forgets = ResNet((2, 16, 16), 8).eval()
    torch.testing.assert_close(forgets(10 * x), forgets(x), atol=1e-3, rtol=0)
    for options in ({"norm": "batch"}, {"statistics": True}):
        keeps = ResNet((2, 16, 16), 8, **options).eval()
        assert (keeps(10 * x) - keeps(x)).abs().min(dim=1).values.max() > 1e-2


def test_statistics_are_mean_and_spread_of_each_band():
    network = ResNet((2, 16, 16), 4, statistics=True).eval()
    nn.init.zeros_(network.output.weight)
    nn.init.zeros_(network.output.bias)
    with torch.no_grad():
        network.output.weight[:, -4:] = torch.eye(4)
    x = torch.randn(3, 2, 16, 16, generator=torch.Generator().manual_seed(0))
    flat = x.flatten(2).numpy()
    expected = torch.from_numpy(np.concatenate([flat.mean(2), flat.std(2)], axis=1))
    torch.testing.assert_close(network(x), expected, atol=1e-4, rtol=1e-4)
    dark = torch.zeros(1, 2, 16, 16, requires_grad=True)
    network(dark).sum().backward()
    assert dark.grad.isfinite().all()


def test_a_norm_that_is_not_there():
    with pytest.raises(ValueError, match="norm must be one of group, batch, got 'layer'"):
        ResNet((2, 16, 16), 8, norm="layer")
