"""Mirrors src/geotether/encoders/point_path.py and devices.py."""

from contextlib import nullcontext
from copy import deepcopy

import numpy as np
import pytest
import torch

from geotether import devices
from geotether.encoder import Encoder
from geotether.encoders import POSITIONAL, build_location_encoder
from geotether.encoders.location import READOUTS
from geotether.encoders.point_path import PointPath
from geotether.geodesy.coordinates import checked_places
from geotether.loading import load
from geotether.regions import grid_of, region_of
from geotether.training.config import load_config

PLACES = torch.tensor(
    [[0.0, 90.0], [179.99, -90.0], [5.66, 51.97], [-74.01, 40.71], [360.0, 0.0], [-180.0, -33.3]], dtype=torch.float64
)
MULTI_SCALE = ("grid", "theory", "sphere_c", "sphere_c_plus", "sphere_m", "sphere_m_plus")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")


def built(positional=None, network="mlp", readout="projected"):
    config = {
        "positional": positional or {"name": "spherical_harmonics", "l_max": 11},
        "network": {"name": network, "hidden_dim": 16},
        "embed_dim": 8,
        "readout": readout,
    }
    encoder = build_location_encoder(config, seed=0).eval()
    encoder.settle()
    return encoder


def check_equal(encoder, width=None, precision="float32", share=1e-5):
    width = encoder.check_dim(width)
    with torch.inference_mode():
        want = encoder.handout(PLACES, width)
        path = PointPath(encoder, width, len(PLACES), precision)
        for rows in (slice(None), slice(0, 2), slice(2, None)):  # the matrix of features is used again
            got = path(PLACES[rows])
            assert got.dtype == torch.float32
            torch.testing.assert_close(got, want[rows], rtol=0, atol=share * max(float(want.abs().max()), 1.0))
            out = torch.full_like(got, torch.nan)
            torch.testing.assert_close(path(PLACES[rows], out), got, rtol=0, atol=0)


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("network", ["mlp", "siren", "residual_mlp"])
def test_every_layered_network_and_readout(network, readout):
    check_equal(built(network=network, readout=readout))


@pytest.mark.parametrize("positional", POSITIONAL)
def test_every_positional_encoding(positional):
    arguments = {"spherical_harmonics": {"l_max": 3}, "satclip_harmonics": {"legendre_polys": 4}}
    fourier = {"num_features": 8} if "fourier" in positional else {"num_scales": 4} if positional in MULTI_SCALE else {}
    check_equal(built({"name": positional, **arguments.get(positional, fourier)}))


@pytest.mark.parametrize("width", [7, 40, "full"])
def test_context_network_degree_and_length(make_context_encoder, width):
    encoder = make_context_encoder()
    check_equal(encoder, width)
    check_equal(encoder, width, "tf32")  # a CPU does not round
    assert not torch.backends.cuda.matmul.allow_tf32


def test_bfloat16_is_near_and_double_precision_is_kept(make_context_encoder):
    check_equal(make_context_encoder(), precision="bf16", share=0.03)
    check_equal(built(readout="hidden_and_output").double(), precision="bf16")


def test_nothing_is_read_from_the_device(make_context_encoder, monkeypatch):
    """Reading a value of a meta tensor is an error, as is mixing it with others in most operations."""
    monkeypatch.setattr(torch, "autocast", lambda *args, **kwargs: nullcontext())
    encoder = make_context_encoder().to("meta")
    with torch.inference_mode(), checked_places():
        found = PointPath(encoder, 40, 6)(PLACES.to("meta"))
    assert (found.shape, found.device.type) == ((6, 40), "meta")


def test_the_setting_of_rounding_is_restored_by_the_last_of_several_threads():
    first, second = (devices.products_in("tf32", torch.device("cpu")) for _ in range(2))
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert torch.backends.cuda.matmul.allow_tf32
    second.__exit__(None, None, None)
    assert not torch.backends.cuda.matmul.allow_tf32


@needs_gpu
@pytest.mark.parametrize("name", ["default", "paper", "world"])
def test_a_gpu_gives_the_vectors_of_a_cpu(name):
    rng = np.random.default_rng(0)
    places = np.stack((rng.uniform(-180, 180, 5000), np.degrees(np.arcsin(rng.uniform(-1, 1, 5000)))), axis=1)
    places[:6] = PLACES
    if name == "world":
        module = load("world").module
    else:
        module = build_location_encoder(load_config(recipe=name).encoder.model_dump(), seed=0)
        module.settle()
    want = Encoder(module).encode(places)
    there = torch.from_numpy(places).cuda()
    for precision, share in (("float32", 1e-5), ("tf32", 3e-2), ("bf16", 0.2)):
        encoder = Encoder(deepcopy(module), device="cuda", precision=precision)
        found = encoder.encode(places)
        assert np.abs(found - want).max() <= share * np.abs(want).max()
        kept = encoder.encode(there)
        assert (kept.device.type, kept.dtype, kept.is_inference()) == ("cuda", torch.float32, False)
        np.testing.assert_array_equal(kept.cpu().numpy(), found)
        np.testing.assert_array_equal(encoder.encode(torch.from_numpy(places)).numpy(), found)
        parts = encoder.encode(places, chunk_rows=1777)
        assert np.abs(parts - found).max() <= max(share, 1e-5) * np.abs(want).max()
        grid = grid_of(region_of("-10 35 30 60"), 0.5)
        gridded, wanted = encoder.encode_grid(grid), Encoder(module).encode_grid(grid)
        assert np.abs(gridded - wanted).max() <= share * np.abs(wanted).max()


@needs_gpu
def test_results_of_many_chunks_arrive_in_order():
    encoder = load("world", device="cuda")
    places = np.tile(PLACES.numpy(), (5000, 1))
    found = encoder.encode(places, chunk_rows=1234)
    np.testing.assert_allclose(found, np.tile(found[:6], (5000, 1)), atol=1e-5 * np.abs(found).max())
    shares = encoder.coverage(places).context
    assert len(next(iter(shares.values()))) == len(places)


@needs_gpu
def test_wrong_places_on_a_gpu_are_named():
    encoder = load("world", device="cuda")
    places = PLACES.cuda()
    places[3, 1] = 91.0
    with pytest.raises(ValueError, match=r"1 of 6 rows are not .*row 3 is"):
        encoder.encode(places)
