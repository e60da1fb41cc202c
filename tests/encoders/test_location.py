"""Mirrors src/geotether/encoders/location.py and build.py."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from geotether.encoders import NETWORKS, POSITIONAL, LocationEncoder, build_location_encoder
from geotether.encoders.networks import Siren
from geotether.encoders.positional import SphericalHarmonics
from geotether.encoders.readout import Response, shorten

CONFIG = {
    "positional": {"name": "spherical_harmonics", "l_max": 4},
    "network": {"name": "siren", "hidden_dim": 16},
    "embed_dim": 8,
    "readout": "hidden_and_output",
}


@pytest.fixture
def places() -> torch.Tensor:
    return torch.tensor([(5.66, 51.97), (-74.01, 40.71), (180, 0), (0, 90)], dtype=torch.float64)


@pytest.mark.parametrize(
    ("readout", "width"),
    [("output", 8), ("hidden", 16), ("hidden_and_output", 24), ("positional_hidden_and_output", 25 + 24)],
)
def test_readouts(places, readout, width):
    encoder = build_location_encoder({**CONFIG, "readout": readout}, seed=0)
    positional = encoder.positional(places).float()
    hidden, output = encoder.network.forward_with_hidden(positional)
    parts = {"positional": positional, "hidden": hidden, "output": output}
    want = torch.cat([parts[name] for name in readout.replace("_and_", "_").split("_")], -1)
    got = encoder.handout(places)
    assert encoder.handout_dim == got.shape[1] == width
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, want, atol=2e-5, rtol=0)
    torch.testing.assert_close(encoder(places), output, atol=2e-5, rtol=0)
    assert encoder.embed_dim == 8


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("positional", POSITIONAL)
def test_every_pair_builds_and_rebuilds(places, positional, network):
    config = {"positional": {"name": positional}, "network": {"name": network}, "embed_dim": 8}
    if positional == "spherical_harmonics":
        config["positional"]["l_max"] = 3
    if positional == "satclip_harmonics":
        config["positional"]["legendre_polys"] = 4
    if network != "linear":
        config["network"]["capsule_dim" if network == "capsules" else "hidden_dim"] = 16
    encoder = build_location_encoder(config, seed=0).eval()
    again = build_location_encoder(json.loads(json.dumps(encoder.config)), seed=1).eval()
    again.load_state_dict(encoder.state_dict())
    assert torch.equal(encoder(places), again(places))
    assert again.config == encoder.config
    assert encoder(places).shape == (4, 8)
    assert encoder(places[:0]).shape == (0, 8)


def test_weights_depend_on_the_seed_alone():
    torch.manual_seed(1)
    first = build_location_encoder(CONFIG, seed=7)
    state = torch.random.get_rng_state()
    again = build_location_encoder(CONFIG, seed=7)
    assert torch.equal(state, torch.random.get_rng_state())
    other = build_location_encoder(CONFIG, seed=8)
    for a, b, c in zip(first.parameters(), again.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, c)


def test_autocast_does_not_change_the_angles(places):
    encoder = build_location_encoder({**CONFIG, "positional": {"name": "spherical_harmonics", "l_max": 12}}, seed=0)
    want = encoder.features(places)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(encoder.features(places), want, rtol=0, atol=0)
        assert encoder(places).dtype == torch.float32
        assert encoder.handout(places).dtype == torch.float32


def test_gradient_reaches_every_weight_and_the_place(places):
    encoder = build_location_encoder(CONFIG, seed=0)
    places = places.requires_grad_()
    encoder(places).square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in encoder.parameters())
    assert places.grad.isfinite().all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"positional": {"name": "spherical_harmonic", "l_max": 4}},
            "did you mean 'spherical_harmonics'.*Known: .*wrap",
        ),
        ({"positional": {"name": "spherical_harmonics", "lmax": 4}}, "Unknown keyword 'lmax'.*did you mean 'l_max'"),
        ({"positional": {"name": "spherical_harmonics"}}, "'spherical_harmonics' needs l_max"),
        ({"positional": {"name": "spherical_harmonics", "l_max": 200}}, "from 0 to 199, got 200"),
        ({"positional": {"name": "direct", "l_max": 2}}, "Unknown keyword 'l_max' of positional 'direct'; known: none"),
        ({"positional": "wrap"}, "must be a mapping with a 'name', got 'wrap'"),
        ({"network": {"name": "sirne"}}, "did you mean 'siren'.*Known: siren, residual_mlp, mlp, linear"),
        ({"network": {"name": "siren", "in_dim": 3}}, "Unknown keyword 'in_dim'"),
        ({"network": {"hidden_dim": 3}}, "must be a mapping with a 'name'"),
        ({"embed_dim": 0}, "embed_dim must be an integer of 1 or more, got 0"),
        ({"readout": "both"}, "Unknown readout 'both'.*output, hidden, hidden_and_output"),
        ({"dim": 64}, "dim must be .* and needs the readout projected, got 64"),
        ({"readout": "projected", "dim": 0}, "dim must be an integer of 1 or more"),
        ({"network_degree": -1}, "network_degree must be a degree .* got -1"),
        ({"positional": {"name": "wrap"}, "network_degree": 3}, "got 3 with Wrap"),
        ({"context": {"levels": []}}, "at least one level"),
        ({"embeddim": 3}, "Unknown key 'embeddim'.*did you mean 'embed_dim'"),
    ],
)
def test_an_error_about_unknown_words_lists_the_known_ones(change, message):
    with pytest.raises(ValueError, match=message):
        build_location_encoder({**CONFIG, **change}, seed=0)
    with pytest.raises(ValueError, match="needs a 'network'"):
        build_location_encoder({"positional": {"name": "wrap"}}, seed=0)


def test_a_foreign_checkpoint_has_no_configuration():
    class Mine(nn.Module):
        out_dim = 25

    assert LocationEncoder(SphericalHarmonics(4), Siren(25, 8)).config["readout"] == "output"
    with pytest.raises(TypeError, match="Mine is not registered"):
        _ = LocationEncoder(Mine(), Siren(25, 8)).config


def test_the_parts_of_a_projected_readout(make_context_encoder, places):
    encoder = make_context_encoder()
    parts = dict(zip(encoder.part_names, encoder.parts(places), strict=True))
    assert {name: part.shape[1] for name, part in parts.items()} == {
        "positional": 49, "rasters": 12, "observations": 3, "hidden": 16
    }  # fmt: skip
    rasters = encoder.context(places, "rasters")
    network_input = torch.cat((parts["positional"][:, :16], rasters / encoder.context.spread("rasters")), 1)
    torch.testing.assert_close(encoder.network(network_input), encoder(places))
    torch.testing.assert_close(encoder.network.last_hidden(network_input), parts["hidden"])
    assert (encoder.handout_dim, encoder.full_dim) == (40, 49 + 12 + 3 + 16)
    whole = encoder.handout(places, 80).detach().numpy()
    for dim in (40, 1):
        np.testing.assert_allclose(encoder.handout(places, dim).detach().numpy(), shorten(whole, dim), atol=1e-4)
    for dim in (0, 81, True):
        with pytest.raises(ValueError, match="dim must be an integer from 1 to 80"):
            encoder.handout(places, dim)
    with pytest.raises(ValueError, match="is not projected: its vectors have 24 numbers, not 8"):
        build_location_encoder(CONFIG, seed=0).handout(places, 8)


def along(start, bearing, count, km):
    """Places along a great circle, `km` apart."""
    turns = np.arange(count) * km / 6371.0088
    lon, lat = np.radians(start)
    here = np.array([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    east, north = np.array([-np.sin(lon), np.cos(lon), 0]), np.cross(here, [-np.sin(lon), np.cos(lon), 0])
    ahead = np.cos(bearing) * north + np.sin(bearing) * east
    xyz = np.outer(np.cos(turns), here) + np.outer(np.sin(turns), ahead)
    return torch.from_numpy(np.degrees([np.arctan2(xyz[:, 1], xyz[:, 0]), np.arcsin(xyz[:, 2].clip(-1, 1))]).T.copy())


def largest_step(encoder, path):
    """The largest and the median change of the embedding between neighbours of a path."""
    with torch.no_grad():
        steps = encoder.handout(path).diff(dim=0).norm(dim=1)
    return steps.max(), steps.median()


@pytest.mark.filterwarnings("ignore:.*lie at longitude 0")
def test_the_embedding_is_continuous_everywhere(make_context_encoder):
    encoder, generator = make_context_encoder(), np.random.default_rng(0)
    around = torch.from_numpy(np.stack((np.linspace(10, 363, 39_330), np.full(39_330, 50.0)), 1))  # past the country
    around[:, 0] = torch.remainder(around[:, 0] + 180, 360) - 180
    paths = [around[encoder.context.coverage(around)[:, 2] == 0]]
    while len(paths) < 21:
        start = generator.uniform(-180, 180), np.degrees(np.arcsin(generator.uniform(-1, 1)))
        path = along(start, generator.uniform(0, 2 * np.pi), 20_000, 0.64)
        if not encoder.context.coverage(path)[:, 2].any():
            paths.append(path)
    for path in paths:
        largest, usual = largest_step(encoder, path)
        assert largest < 20 * usual
    # Through the edges of the country, where the observations end: half the step, half the change.
    for start, bearing in (((5.0, 55.0), np.pi), ((2.0, 52.0), np.pi / 2), ((2.5, 54.5), 2.2)):
        coarse, fine = (largest_step(encoder, along(start, bearing, count, 640 / count))[0] for count in (2000, 4000))
        assert fine < 0.55 * coarse
    seam = torch.tensor([[180.0, 51.0], [-180.0, 51.0]], dtype=torch.float64)
    pole = torch.tensor([[lon, 90.0] for lon in range(-180, 181, 60)], dtype=torch.float64)
    for same in (seam, pole):
        got = encoder.handout(same)
        torch.testing.assert_close(got, got[:1].expand_as(got), atol=1e-4, rtol=0)


def test_levels_are_left_out_and_noise_is_added(make_context_encoder, places):
    encoder = make_context_encoder()
    keep = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.0, 0.0]])
    noise = torch.randn(4, 12, generator=torch.Generator().manual_seed(0))
    seen = []
    encoder.network.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    for options in ({}, {"keep": keep}, {"keep": keep, "noise": noise}):
        encoder(places, **options)
    factors = keep.repeat_interleave(6, dim=1)
    torch.testing.assert_close(seen[1][:, 16:], seen[0][:, 16:] * factors)
    torch.testing.assert_close(seen[2][:, 16:], (seen[0][:, 16:] + noise) * factors)
    assert all(torch.equal(one[:, :16], seen[0][:, :16]) for one in seen)


def test_settling_uses_what_is_given(make_context_encoder):
    encoder = make_context_encoder()
    torch.manual_seed(0)
    lonlat = torch.rand(300, 2, dtype=torch.float64) * torch.tensor([360.0, 120.0]) - torch.tensor([180.0, 60.0])
    encoder.settle(lonlat)
    assert torch.allclose(encoder.handout(lonlat).mean(0), torch.zeros(40), atol=1e-4)
    target = encoder.parts(lonlat)[1].double()[:, 11:]  # the last column of the lights
    parts = encoder.parts(lonlat)
    before = encoder.handout(lonlat, 8)
    encoder.settle(lonlat, [Response(parts, target, [part[:0] for part in parts], target[:0])])
    errors = []
    for columns in (before, encoder.handout(lonlat, 8)):
        columns = torch.cat((columns.detach().double(), torch.ones(300, 1)), 1)
        errors.append((target - columns @ torch.linalg.lstsq(columns, target).solution).square().mean())
    assert errors[1] < 0.4 * errors[0]


@pytest.mark.parametrize("readout", ["projected", "output", "hidden", "hidden_and_output"])
def test_both_embeddings_in_one_pass_are_those_of_two(make_context_encoder, places, readout):
    projected = readout == "projected"
    encoder = make_context_encoder() if projected else build_location_encoder({**CONFIG, "readout": readout}, 0).eval()
    encoder.settle()
    with torch.inference_mode():
        handout, embedding = encoder.handout_and_embedding(places)
        torch.testing.assert_close(handout, encoder.handout(places), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(embedding, encoder(places), rtol=1e-5, atol=1e-5)
