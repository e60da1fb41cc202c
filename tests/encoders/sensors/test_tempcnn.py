"""Mirrors src/geotether/encoders/sensors/tempcnn.py."""

import torch
from torch import nn

from geotether.encoders.sensors.tempcnn import TempCNN


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


def test_the_order_of_steps_matters():
    network = TempCNN(shape=(12, 2), out_dim=8).eval()
    x = torch.randn(3, 12, 2, generator=torch.Generator().manual_seed(0))
    assert (network(x) - network(x.flip(1))).abs().max() > 1e-3
