"""Mirrors src/geotether/encoders/widening.py."""

import numpy as np
import pytest
import torch

from geotether.encoders.build import build_location_encoder
from geotether.encoders.context import LocalContext
from geotether.encoders.widening import widened

CORNERS = [(0, 90), (0, -90), (180, 0), (-180, 0), (0, 0), (30, 10), (31.5, 9), (-74, 40.7)]


def regional(seed=0, source="rasters", step=1.0):
    """Two groups of values on a grid around (30, 10)."""
    level = {"source": source, "scale_km": 60.0, "west": 25.0, "north": 15.0, "step": step, "rows": 11, "columns": 11}
    context = LocalContext([{**level, "groups": {"a": 2, "b": 1}}])
    context.fill(
        0, np.random.default_rng(seed).standard_normal((11, 11, 3)).astype(np.float32), np.ones((11, 11), bool)
    )
    return context


def planetary():
    level = {"source": "rasters", "scale_km": 900.0, "west": -180.0, "north": 90.0, "step": 10.0, "rows": 19}
    context = LocalContext([{**level, "columns": 36, "groups": {"land": 4}}])
    context.fill(0, np.random.default_rng(9).standard_normal((19, 36, 4)).astype(np.float32), np.ones((19, 36), bool))
    return context


@pytest.fixture
def places():
    rng = np.random.default_rng(1)
    near = np.stack([rng.uniform(24, 36, 60), rng.uniform(4, 16, 60)], axis=1)
    return torch.from_numpy(np.concatenate([np.array(CORNERS, dtype=np.float64), near]))


@pytest.mark.parametrize("network", ["mlp", "siren", "residual_mlp"])
@pytest.mark.parametrize("readout", ["projected", "positional_hidden_and_output"])
@pytest.mark.parametrize("context", [None, planetary()], ids=["bare", "context"])
def test_a_widened_encoder_returns_the_same_until_it_is_trained(network, readout, context, places):
    settings = {
        "positional": {"name": "spherical_harmonics", "l_max": 5},
        "network": {"name": network, "hidden_dim": 24},
    }
    old = build_location_encoder({**settings, "embed_dim": 8, "readout": readout}, 0, context).eval()
    new = widened(old, regional())
    assert new.network.in_dim == old.network.in_dim + 3
    assert new.handout_dim == old.handout_dim
    for one, other in ((old.handout(places), new.handout(places)), (old(places), new(places))):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)
    built = build_location_encoder(new.config, 0)
    assert [part.shape for part in built.state_dict().values()] == [part.shape for part in new.state_dict().values()]


def test_new_inputs_get_a_gradient_and_the_old_encoder_is_unchanged(places):
    settings = {"positional": {"name": "spherical_harmonics", "l_max": 3}, "network": {"name": "mlp", "hidden_dim": 8}}
    old = build_location_encoder({**settings, "embed_dim": 4, "readout": "projected"}, 0)
    before = {name: tensor.clone() for name, tensor in old.state_dict().items()}
    new = widened(old, regional())
    new(places).square().sum().backward()
    gradient = new.network.layers[0].weight.grad[:, -3:]
    assert bool((gradient.abs().amax(0) > 0).all())
    with torch.no_grad():
        new.network.layers[0].weight += 1
    assert all(torch.equal(tensor, before[name]) for name, tensor in old.state_dict().items())


def test_networks_that_cut_up_their_input_and_observations_are_refused():
    capsules = {"positional": {"name": "spherical_harmonics", "l_max": 3}, "network": {"name": "linear"}}
    old = build_location_encoder({**capsules, "embed_dim": 4}, 0)
    with pytest.raises(ValueError, match="cannot take further inputs"):
        widened(old, regional())
    with pytest.raises(ValueError, match="not observations"):
        widened(old, regional(source="observations"))
    assert widened(old, None).network.in_dim == old.network.in_dim
