"""Mirrors src/geotether/encoders/sensors/perceptron.py."""

import torch

from geotether.encoders.sensors.perceptron import Perceptron


def test_equals_its_formula():
    network = Perceptron(shape=(7,), out_dim=3, hidden_dim=5, num_layers=2).eval()
    x = torch.randn(4, 7, generator=torch.Generator().manual_seed(0))
    first, second = network.layers[0], network.layers[4]
    shrunk = (1 + 1e-5) ** 0.5  # running variance 1, and the epsilon
    want = (second(first(x).div(shrunk).relu())).div(shrunk).relu()
    torch.testing.assert_close(network(x), network.output(want))


def test_a_chip_is_laid_out_as_a_vector():
    network = Perceptron(shape=(2, 3, 3), out_dim=4).eval()
    x = torch.randn(5, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(network(x), network(x.flatten(1)))


def test_without_hidden_layers_it_is_a_linear_map():
    network = Perceptron(shape=(7,), out_dim=3, num_layers=0)
    x = torch.randn(4, 7, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(network(x), x @ network.output.weight.T + network.output.bias)
