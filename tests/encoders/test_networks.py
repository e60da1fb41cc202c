"""Mirrors src/geotether/encoders/networks/: each network against its definition by hand."""

import math

import numpy as np
import pytest
import torch
from scipy.special import erf

from geotether.encoders.networks import MLP, NETWORKS, Capsules, Linear, ResidualMLP, Siren


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(6, 10, generator=torch.Generator().manual_seed(0))


def affine(layer: torch.nn.Linear, x: np.ndarray) -> np.ndarray:
    return x @ layer.weight.detach().double().numpy().T + layer.bias.detach().double().numpy()


def gelu(x: np.ndarray) -> np.ndarray:
    return x * (1 + erf(x / math.sqrt(2))) / 2


def normed(x: np.ndarray) -> np.ndarray:
    return (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)


def check(net, x: torch.Tensor, hidden: np.ndarray, out: np.ndarray) -> None:
    for got, want in zip(net.forward_with_hidden(x), (hidden, out), strict=True):
        np.testing.assert_allclose(got.detach(), want, atol=1e-5)


def test_siren_equals_the_definition(x):
    net = Siren(10, 4, hidden_dim=8, num_layers=3, omega_0=30.0, omega_0_hidden=1.5)
    h = np.sin(30 * affine(net.layers[0], x.double().numpy()))
    h = np.sin(1.5 * affine(net.layers[1], h))
    h = np.sin(1.5 * affine(net.layers[2], h))
    check(net, x, h, affine(net.output, h))


def test_mlp_equals_the_definition(x):
    net = MLP(10, 4, hidden_dim=8, num_layers=2)
    h = gelu(affine(net.layers[1], gelu(affine(net.layers[0], x.double().numpy()))))
    check(net, x, h, affine(net.output, h))


def test_residual_mlp_equals_the_definition(x):
    net = ResidualMLP(10, 4, hidden_dim=8, num_layers=2)
    h = affine(net.input, x.double().numpy())
    for block in range(2):
        h = h + affine(net.outer[block], gelu(affine(net.inner[block], normed(h))))
    check(net, x, normed(h), affine(net.output, normed(h)))


def test_the_linear_encoder_returns_its_input(x):
    net = Linear(10, 4)
    check(net, x, x.numpy(), affine(net.output, x.double().numpy()))


def test_capsules_equal_the_definition(x):
    net = Capsules(10, 4, num_capsules=2, capsule_dim=8, num_layers=3)
    hidden, out = 2 * [0.0], 0.0
    for number, part in enumerate((x.double().numpy()[:, :5], x.double().numpy()[:, 5:])):
        for layer in net.layers[number]:
            part = np.maximum(affine(layer, part), 0)
        hidden[number] = part
        out = out + affine(net.outputs[number], part)
    check(net, x, np.concatenate(hidden, axis=1), out)


def test_geoclip_has_as_many_parameters():
    """9.45 M by its model card, which counts the 1536 frequencies as well."""
    assert sum(p.numel() for p in Capsules(1536, 512, num_capsules=3).parameters()) == 9_447_936


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_keeps_the_contract(x, name):
    net = NETWORKS[name](10, 4)
    hidden, out = net.forward_with_hidden(x)
    assert (net.in_dim, net.out_dim) == (10, 4)
    assert hidden.shape == (6, net.hidden_dim)
    assert torch.equal(net(x), out)
    assert net(x[:0]).shape == (0, 4)
    out.sum().backward()
    assert all(p.grad is not None for p in net.parameters())


def test_siren_starts_as_sitzmann_says():
    torch.manual_seed(0)
    net = Siren(100, 256, hidden_dim=512, num_layers=2)
    inner = math.sqrt(6 / 512)
    for layer, bound in [(net.layers[0], 1 / 100), (net.layers[1], inner), (net.output, inner)]:
        largest = layer.weight.abs().max().item()
        assert 0.99 * bound < largest <= bound
        assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.02)


def test_siren_activations_keep_their_spread():
    """Section 3.2 of the paper: pre-activations of deep layers stay near unit normal at omega 30."""
    torch.manual_seed(0)
    net = Siren(2, 4, hidden_dim=512, num_layers=6, omega_0=30.0, omega_0_hidden=30.0)
    hidden, _ = net.forward_with_hidden(torch.rand(2000, 2) * 2 - 1)
    assert hidden.std().item() == pytest.approx(math.sqrt(1 / 2), abs=0.08)


@pytest.mark.parametrize("name", ["siren", "mlp", "residual_mlp"])
def test_dropout_acts_only_in_training(x, name):
    net = NETWORKS[name](10, 4, dropout=0.5)
    assert not torch.equal(net(x), net(x))
    net.eval()
    assert torch.equal(net(x), net(x))
