"""Mirrors src/geotether/peers/satclip.py: whole checkpoints against the published formulas, in NumPy and SciPy."""

import math

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy.special import sph_harm_y

from geotether.loading import load
from geotether.peers.checkpoint_layouts import open_checkpoint

PLACES = [(0, 90), (77, 90), (0, -90), (33, 89.9999), (12, -85), (180, 0), (-180, 0), (180, -17), (-179.99, 66.5)]
PLACES += [(0, 0), (5.66, 51.97), (-74.01, 40.71), (151.21, -33.87), (286, 12)]
LONLAT = np.array(PLACES, dtype=np.float64)


def published_harmonics(lonlat, legendre_polys, calculation):
    """SatCLIP's features: degrees below L, orders -l to l, angles turned by 180 and 90 degrees."""
    phi, theta = np.radians(lonlat[:, 0] + 180), np.radians(lonlat[:, 1] + 90)
    columns = []
    for l in range(legendre_polys):
        for m in range(-l, l + 1):
            value = sph_harm_y(l, abs(m), theta, np.zeros_like(theta)).real
            if calculation == "analytic":
                value = value * (-1) ** m * (math.pi if m == 0 else 1)  # sqrt((2l + 1) / 4 * pi), as it is written
            wave = 1 if m == 0 else math.sqrt(2) * (np.cos(m * phi) if m > 0 else np.sin(-m * phi))
            columns.append(value * wave)
    return np.stack(columns, axis=1)


def published_encoder(content, lonlat, calculation="analytic"):
    """Its forward pass in float64: sin(30 (W x + b)), then sin(W x + b), then W x + b; no dropout when it is used."""
    state = {name: tensor.numpy() for name, tensor in content["state_dict"].items()}
    x = published_harmonics(lonlat, content["hyper_parameters"]["legendre_polys"], calculation)
    for number in range(content["hyper_parameters"]["num_hidden_layers"]):
        name = f"model.location.nnet.layers.{number}"
        x = np.sin((30 if number == 0 else 1) * (x @ state[f"{name}.weight"].T + state[f"{name}.bias"]))
    return x @ state["model.location.nnet.last_layer.weight"].T + state["model.location.nnet.last_layer.bias"]


@pytest.mark.parametrize("legendre_polys", [10, 40])
def test_the_released_sizes_agree_with_the_published_formulas(saved, satclip, legendre_polys):
    content = satclip(legendre_polys)
    model = load(saved(content))
    got = model.encode(lon=LONLAT[:, 0], lat=LONLAT[:, 1])
    want = published_encoder(content, LONLAT)
    assert got.dtype == np.float32
    assert got.shape == (len(LONLAT), 256)
    assert np.abs(want).max() > 1
    assert want.std() > 0.1
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5)
    count = {10: 445_696, 40: 1_213_696}[legendre_polys]
    assert sum(parameter.numel() for parameter in model.module.parameters()) == count


def test_closed_form_harmonics_have_their_own_scale(saved, satclip):
    content = satclip(6, capacity=16, embed_dim=8)
    content["hyper_parameters"]["harmonics_calculation"] = "closed-form"
    got = load(saved(content)).encode(lon=LONLAT[:, 0], lat=LONLAT[:, 1])
    np.testing.assert_allclose(got, published_encoder(content, LONLAT, "closed-form"), rtol=0, atol=1e-5)
    assert np.abs(got - published_encoder(content, LONLAT)).max() > 0.1


def test_the_provenance_says_what_it_is(saved, satclip):
    path = saved(satclip(10, capacity=16, embed_dim=8), "satclip.ckpt")
    location, config, provenance = open_checkpoint(path)
    assert provenance.pop("sha256")
    assert provenance == {
        "layout": "SatCLIP",
        "file": "satclip.ckpt",
        "legendre_polys": 10,
        "capacity": 16,
        "num_hidden_layers": 2,
        "embed_dim": 8,
        "harmonics_calculation": "analytic",
    }
    assert config["hyper_parameters"]["vision_layers"] == "moco_vit16"
    assert not location.training
    assert location.config["positional"] == {
        "name": "satclip_harmonics",
        "legendre_polys": 10,
        "harmonics_calculation": "analytic",
    }


@pytest.mark.parametrize("prefix", ["nnet.", "model.nnet.", "location.nnet."])
def test_the_location_encoder_alone_is_enough(tmp_path, satclip, prefix):
    content = satclip(10, capacity=16, embed_dim=8)
    start = "model.location.nnet."
    arrays = {f"{prefix}{k.removeprefix(start)}": v for k, v in content["state_dict"].items() if k.startswith(start)}
    save_file(arrays, tmp_path / "model.safetensors")
    model = load(tmp_path / "model.safetensors")
    got = model.encode(lon=LONLAT[:, 0], lat=LONLAT[:, 1])
    np.testing.assert_allclose(got, published_encoder(content, LONLAT), rtol=0, atol=1e-5)
    assert model.provenance["assumed"] == "harmonics as released"


def changed(content, settings=None, arrays=None, without=()):
    content["hyper_parameters"].update(settings or {})
    content["state_dict"].update(arrays or {})
    for name in without:
        del content["state_dict"][name]
    return content


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"settings": {"legendre_polys": 40}}, "hyper-parameters say legendre_polys=40, its arrays 10"),
        ({"settings": {"capacity": 512}}, "hyper-parameters say capacity=512, its arrays 16"),
        ({"settings": {"le_type": "grid"}}, "le_type='grid'; only 'sphericalharmonics'"),
        ({"settings": {"pe_type": "fcnet"}}, "pe_type='fcnet'; only 'siren'"),
        ({"settings": {"harmonics_calculation": "discretized"}}, "'discretized'; only analytic and closed-form"),
        ({"without": ["model.location.nnet.layers.1.bias"]}, r"no array 'model\.location\.nnet\.layers\.1\.bias'"),
        ({"arrays": {"model.location.nnet.layers.1.weight": torch.ones(16, 15)}}, r"\(16, 15\); expected \(16, 16\)"),
        ({"arrays": {"model.location.nnet.norm.weight": torch.ones(16)}}, r"norm\.weight does not belong to SatCLIP's"),
        ({"arrays": {"model.location.nnet.layers.3.weight": torch.ones(16)}}, r"layers\.3\.weight does not belong"),
        ({"arrays": {"model.location.nnet.layers.0.weight": torch.ones(16, 99)}}, "99 features, which is not a square"),
        ({"arrays": {"model.location.nnet.last_layer.bias": torch.full((8,), torch.nan)}}, "not finite"),
    ],
)
def test_inputs_that_do_not_fit_are_named(saved, satclip, change, message):
    path = saved(changed(satclip(10, capacity=16, embed_dim=8), **change))
    with pytest.raises(ValueError, match=message):
        open_checkpoint(path)


def test_without_settings_other_encodings_are_not_taken_for_harmonics(saved, satclip):
    """SatCLIP's `wrap` has four features, as two degrees of harmonics would have."""
    content = satclip(2, capacity=16, embed_dim=8)
    del content["hyper_parameters"]
    with pytest.raises(ValueError, match=r"takes 4 features but does not say which.*100 or 1600"):
        open_checkpoint(saved(content))
