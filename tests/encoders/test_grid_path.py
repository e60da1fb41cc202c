"""Mirrors src/geotether/encoders/grid_path.py."""

import numpy as np
import pytest
import torch

from geotether.encoders import NETWORKS, POSITIONAL, build_location_encoder, grid_path
from geotether.encoders.context import LocalContext
from geotether.encoders.location import READOUTS

SMALL = {"linear": {}, "capsules": {"capsule_dim": 16}}
MULTI_SCALE = ("grid", "theory", "sphere_c", "sphere_c_plus", "sphere_m", "sphere_m_plus")
LON = torch.linspace(170.0, 190.0, 41, dtype=torch.float64)
LAT = torch.linspace(90.0, -90.0, 37, dtype=torch.float64)


def on_places(encoder, lon, lat, dim=None):
    lats, lons = torch.meshgrid(lat, lon, indexing="ij")
    with torch.no_grad():
        vectors = encoder.handout(torch.stack((lons, lats), dim=-1).flatten(0, 1), dim)
    return vectors.view(len(lat), len(lon), -1)


def check_equal(encoder, dim=None, lon=LON, lat=LAT):
    want = on_places(encoder, lon, lat, dim)
    got = encoder.handout_grid(lon, lat, dim)
    assert got.dtype == torch.float32
    assert got.shape == want.shape
    torch.testing.assert_close(got, want, rtol=0, atol=1e-5 * max(float(want.abs().max()), 1.0))


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("network", NETWORKS)
def test_every_network_and_readout_equals_places(network, readout, monkeypatch):
    monkeypatch.setattr(grid_path, "rows_at_once", lambda *_: 200)  # several blocks, cut in both directions
    monkeypatch.setattr(grid_path, "_COLUMNS", 32)
    config = {
        "positional": {"name": "spherical_harmonics", "l_max": 11},
        "network": {"name": network, **SMALL.get(network, {"hidden_dim": 16})},
        "embed_dim": 8,
        "readout": readout,
    }
    encoder = build_location_encoder(config, seed=0).eval()
    encoder.settle()
    check_equal(encoder)


@pytest.mark.parametrize("positional", POSITIONAL)
def test_every_positional_encoding_equals_places(positional):
    arguments = {"spherical_harmonics": {"l_max": 3}, "satclip_harmonics": {"legendre_polys": 4}}
    fourier = {"num_features": 8} if "fourier" in positional else {"num_scales": 4} if positional in MULTI_SCALE else {}
    config = {
        "positional": {"name": positional, **arguments.get(positional, fourier)},
        "network": {"name": "siren", "hidden_dim": 16, "omega_0": 1.0},
        "embed_dim": 8,
        "readout": "projected",
    }
    encoder = build_location_encoder(config, seed=0).eval()
    encoder.settle()
    check_equal(encoder)


@pytest.mark.parametrize("dim", [None, 1, 7, "full"])
def test_context_network_degree_and_length_equal_places(make_context_encoder, dim):
    encoder = make_context_encoder().eval()
    encoder.settle()
    check_equal(encoder, dim)
    inside = torch.linspace(-12.0, 12.0, 100, dtype=torch.float64)
    check_equal(encoder, dim, lon=inside, lat=torch.linspace(60.0, 40.0, 23, dtype=torch.float64))


@pytest.mark.parametrize("readout", ["projected", "output"])
@pytest.mark.parametrize("source", ["rasters", "observations"])
def test_context_of_one_source_equals_places(source, readout):
    level = {"source": source, "scale_km": 300.0, "west": -180.0, "north": 90.0, "step": 30.0, "rows": 7, "columns": 12}
    context = LocalContext([{**level, "groups": {"a": 3}}])
    values = np.random.default_rng(0).normal(size=(7, 12, 3)).astype(np.float32)
    context.fill(0, values, values[..., 0] > -1)
    config = {
        "positional": {"name": "spherical_harmonics", "l_max": 3},
        "network": {"name": "siren", "hidden_dim": 8, "omega_0": 1.0},
        "embed_dim": 4,
        "readout": readout,
    }
    encoder = build_location_encoder(config, seed=0, context=context).eval()
    encoder.settle()
    check_equal(encoder)


def test_grids_without_rows_or_columns_and_single_places(make_context_encoder):
    encoder = make_context_encoder().eval()
    encoder.settle()
    assert encoder.handout_grid(LON[:0], LAT).shape == (37, 0, encoder.handout_dim)
    assert encoder.handout_grid(LON, LAT[:0]).shape == (0, 41, encoder.handout_dim)
    check_equal(encoder, lon=LON[3:4], lat=LAT[5:6])


def test_what_is_no_place_is_refused():
    encoder = build_location_encoder(
        {"positional": {"name": "cartesian"}, "network": {"name": "linear"}, "embed_dim": 8}, seed=0
    ).eval()
    for lon, lat in ((LON + 180, LAT), (LON, LAT + 1), (LON * np.nan, LAT)):
        with pytest.raises(ValueError, match="not \\(longitude, latitude\\)"):
            encoder.handout_grid(lon, lat)
    with pytest.raises(ValueError, match="numbers, not 5"):
        encoder.handout_grid(LON, LAT, 5)
