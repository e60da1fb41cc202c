"""Mirrors src/geotether/peers/geoclip.py: weights in its layout against its published formulas, in NumPy."""

import math

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from geotether.encoder import Encoder
from geotether.loading import load
from geotether.peers.checkpoint_layouts import open_checkpoint

LONLAT = np.array(
    [(0, 90), (0, -90), (180, 10), (-180, 10), (179.9, -60), (0, 0), (5.66, 51.97), (-74.01, 40.71), (151.21, -33.87)],
    dtype=np.float64,
)


def published_encoder(state, latlon):
    """GeoCLIP's forward pass on (latitude, longitude), in float64 and with its own form of the Equal Earth map."""
    a1, a2, a3, a4, scale = 1.340264, -0.081106, 0.000893, 0.003796, 66.50336
    lat, lon = np.radians(latlon).T
    theta = np.arcsin(math.sqrt(3) / 2 * np.sin(lat))
    divisor = 3 * (9 * a4 * theta**8 + 7 * a3 * theta**6 + 3 * a2 * theta**2 + a1)
    x = 2 * math.sqrt(3) * lon * np.cos(theta) / divisor
    y = a4 * theta**9 + a3 * theta**7 + a2 * theta**3 + a1 * theta
    place = np.stack([x, y], axis=1) * scale / 180
    state = {name: tensor.double().numpy() for name, tensor in state.items()}
    total = 0.0
    for c in range(sum(name.endswith("capsule.0.b") for name in state)):
        turns = 2 * math.pi * place @ state[f"LocEnc{c}.capsule.0.b"].T
        h = np.concatenate([np.cos(turns), np.sin(turns)], axis=1)
        for number in (1, 3, 5):
            name = f"LocEnc{c}.capsule.{number}"
            h = np.maximum(h @ state[f"{name}.weight"].T + state[f"{name}.bias"], 0)
        total = total + h @ state[f"LocEnc{c}.head.0.weight"].T + state[f"LocEnc{c}.head.0.bias"]
    return total


def test_the_released_size_agrees_with_the_published_formulas(saved, geoclip):
    state = geoclip()
    model = load(saved(state))
    got = model.encode(lon=LONLAT[:, 0], lat=LONLAT[:, 1])
    want = published_encoder(state, LONLAT[:, ::-1])
    assert got.shape == (len(LONLAT), 512)
    assert want.std() > 0.5
    np.testing.assert_allclose(got, want, rtol=0, atol=5e-5)
    assert np.abs(got[2] - got[3]).max() > 0.1  # its map is cut at 180 degrees, and so are we


@pytest.mark.parametrize("prefix", ["", "location_encoder.", "model.location_encoder."])
@pytest.mark.parametrize("sigmas", [(1, 16, 256), (2, 8)])
def test_a_whole_geoclip_and_other_bandwidths_are_read(tmp_path, geoclip, prefix, sigmas):
    state = geoclip(features=8, capsule_dim=6, embed_dim=5, sigmas=sigmas)
    arrays = {f"{prefix}{name}": tensor for name, tensor in state.items()}
    save_file(arrays | {"logit_scale": torch.ones(1), "image_encoder.mlp.0.weight": torch.ones(2)}, tmp_path / "x")
    model = load(tmp_path / "x")
    got = model.encode(lon=LONLAT[:, 0], lat=LONLAT[:, 1])
    np.testing.assert_allclose(got, published_encoder(state, LONLAT[:, ::-1]), rtol=0, atol=1e-5)


def test_the_provenance_says_what_it_is(saved, geoclip):
    location, config, provenance = open_checkpoint(saved(geoclip(capsule_dim=4), "location_encoder_weights.pth"))
    assert (provenance["layout"], provenance["file"]) == ("GeoCLIP", "location_encoder_weights.pth")
    assert provenance["sigmas_measured"] == pytest.approx([1, 16, 256], rel=0.1)
    assert config == {}
    assert not location.training


def test_it_can_be_saved_as_a_model_folder(tmp_path, saved, geoclip):
    model = load(saved(geoclip(features=8, capsule_dim=6, embed_dim=5)))
    model.save(tmp_path / "model")
    again = Encoder.load(tmp_path / "model")
    places = {"lon": LONLAT[:, 0], "lat": LONLAT[:, 1]}
    np.testing.assert_array_equal(again.encode(**places), model.encode(**places))


@pytest.mark.parametrize(
    ("arrays", "without", "message"),
    [
        ({}, "LocEnc1.capsule.3.bias", r"no array 'LocEnc1\.capsule\.3\.bias'"),
        ({}, "LocEnc1.capsule.0.b", r"no array 'LocEnc1\.capsule\.0\.b'"),
        (
            {"LocEnc2.capsule.0.b": torch.ones(9, 2)},
            None,
            r"'LocEnc2\.capsule\.0\.b' has shape \(9, 2\); expected \(8, 2\)",
        ),
        ({"LocEnc0.head.0.weight": torch.ones(5, 7)}, None, r"\(5, 7\); expected \(any, 6\)"),
        (
            {"LocEnc0.capsule.2.weight": torch.ones(5)},
            None,
            r"LocEnc0\.capsule\.2\.weight does not belong to GeoCLIP's",
        ),
        ({"LocEnc4.head.0.bias": torch.ones(5)}, None, r"no array 'LocEnc3\.capsule\.0\.b'"),
    ],
)
def test_inputs_that_do_not_fit_are_named(saved, geoclip, arrays, without, message):
    state = geoclip(features=8, capsule_dim=6, embed_dim=5) | arrays
    state.pop(without, None)
    with pytest.raises(ValueError, match=message):
        open_checkpoint(saved(state))
