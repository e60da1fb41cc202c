"""Mirrors src/geotether/encoders/sensors/networks.py."""

import numpy as np
import pytest
import torch
from torch import nn

from geotether.encoders.sensors.networks import Perceptron, ResidualBlock, ResNet, TempCNN


def test_equals_its_formula():
    network = Perceptron(shape=(7,), out_dim=3, hidden_dim=5, num_layers=2).eval()
    x = torch.randn(4, 7, generator=torch.Generator().manual_seed(0))
    first, second = network.layers[0], network.layers[4]
    shrunk = (1 + 1e-5) ** 0.5  # running variance 1, and the epsilon
    want = (second(first(x).div(shrunk).relu())).div(shrunk).relu()
    torch.testing.assert_close(network(x), network.output(want))


def test_without_hidden_layers_it_is_a_linear_map():
    network = Perceptron(shape=(7,), out_dim=3, num_layers=0)
    x = torch.randn(4, 7, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(network(x), x @ network.output.weight.T + network.output.bias)


def test_is_the_network_of_the_released_code():
    """Layer by layer from the description: two convolutions of 128, kernel 5, dense 4 x 128, linear."""
    network = TempCNN(shape=(12, 9), out_dim=128).eval()
    kinds = [type(layer).__name__ for layer in [*network.convolutions, *network.dense, network.output]]
    block = ["BatchNorm", "ReLU", "ByteDropout"]
    assert kinds == ["Conv1d", *block, "Conv1d", *block, "Linear", *block, "Linear"]
    sizes = [tuple(p.shape) for p in network.parameters() if p.ndim > 1]
    assert sizes == [(128, 9, 5), (128, 128, 5), (512, 128 * 12), (128, 512)]


def test_equals_a_convolution_by_hand():
    network = TempCNN(shape=(6, 2), out_dim=3, channels=4, num_layers=1, kernel=3).eval()
    x = torch.randn(2, 6, 2, generator=torch.Generator().manual_seed(0))
    first = network.convolutions[0]
    padded = nn.functional.pad(x, (0, 0, 1, 1))
    steps = [torch.einsum("nkb,cbk->nc", padded[:, t : t + 3], first.weight) + first.bias for t in range(6)]
    hidden = network.dense(torch.stack(steps, dim=2).div((1 + 1e-5) ** 0.5).relu().flatten(1))
    torch.testing.assert_close(network(x), network.output(hidden))


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


def test_a_block_is_two_convolutions_with_a_shortcut():
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


def test_group_norm_removes_brightness_but_batch_norm_and_statistics_keep_it():
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
