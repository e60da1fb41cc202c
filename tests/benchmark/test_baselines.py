"""Mirrors src/geotether/benchmark/baselines.py."""

import numpy as np
import pytest
import torch

from geotether.benchmark.baselines import (
    BASELINES,
    CONTEXT_ALONE,
    baseline_encoders,
    fourier_features,
    joined_with_fourier,
    xyz,
)
from geotether.encoders.build import build_location_encoder
from geotether.encoders.context import LocalContext

CONFIG = {
    "positional": {"name": "spherical_harmonics", "l_max": 3},
    "network": {"name": "siren", "hidden_dim": 16, "dropout": 0.5},
    "embed_dim": 8,
    "readout": "hidden_and_output",
}
LONLAT = np.array([[5.66, 51.97], [-74.01, 40.71], [180.0, 0.0]])


@pytest.fixture
def location():
    return build_location_encoder(CONFIG, seed=3)


def test_widths_and_names(location):
    widths = {name: encoder(LONLAT).shape for name, encoder in baseline_encoders(location).items()}
    assert widths == {
        "mean": (3, 3), "nearest in space": (3, 3), "inverse distance": (3, 3), "xyz": (3, 3),
        "raw harmonics": (3, 400), "raw Fourier features": (3, 512), "raw encoding": (3, 16), "untrained": (3, 24),
    }  # fmt: skip
    assert set(widths) == set(BASELINES) - {CONTEXT_ALONE}


def test_the_untrained_copy_has_new_weights_from_its_seed(location):
    with torch.no_grad():
        for parameter in location.parameters():
            parameter.add_(1.0)
    one, same, other = (baseline_encoders(location, seed=s)["untrained"](LONLAT) for s in (3, 3, 4))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    fresh = build_location_encoder(CONFIG, seed=3).eval()
    with torch.inference_mode():
        np.testing.assert_allclose(one, fresh.handout(torch.from_numpy(LONLAT)).numpy(), rtol=1e-6)
    assert fresh.training is False


def test_the_untrained_copy_has_the_same_context():
    level = {
        "source": "rasters",
        "scale_km": 500.0,
        "west": -180.0,
        "north": 90.0,
        "step": 30.0,
        "rows": 7,
        "columns": 12,
    }
    context = LocalContext([level | {"groups": {"land": 2}}])
    context.fill(0, np.random.default_rng(0).standard_normal((7, 12, 2)).astype(np.float32), np.ones((7, 12), bool))
    location = build_location_encoder(CONFIG, 3, context)
    encoders = baseline_encoders(location, seed=3)
    shown = context(torch.from_numpy(LONLAT)).numpy()
    np.testing.assert_array_equal(encoders[CONTEXT_ALONE](LONLAT), shown)
    with torch.inference_mode():
        wanted = location.eval().handout(torch.from_numpy(LONLAT)).numpy()
    np.testing.assert_allclose(encoders["untrained"](LONLAT), wanted, rtol=1e-5)


def test_raw_encoding_is_the_positional_one(location):
    raw = baseline_encoders(location)["raw encoding"](LONLAT)
    np.testing.assert_allclose(raw, location.positional(torch.from_numpy(LONLAT)).numpy(), rtol=1e-6, atol=1e-7)
    assert raw.dtype == np.float32


def test_joined_features_stand_side_by_side():
    (name, joined), *_ = joined_with_fourier({"mine": xyz}, ("ridge",), (2700,), seed=2).items()
    assert name == "mine + Fourier features"
    assert (joined.probes, joined.labels) == (("ridge",), (2700,))
    columns = joined(LONLAT)
    np.testing.assert_allclose(columns[:, :3], xyz(LONLAT), rtol=1e-6)
    np.testing.assert_array_equal(columns[:, 3:], fourier_features(seed=2)(LONLAT))


def test_fourier_features_have_no_seam_and_four_scales():
    raw = fourier_features()
    east, west = raw(np.array([[180.0, 10.0]])), raw(np.array([[-180.0, 10.0]]))
    np.testing.assert_allclose(east, west, atol=1e-6)
    near = raw(np.array([[0.0, 0.0], [2.0, 0.0]]))
    change = [np.abs(np.diff(near[:, 128 * i : 128 * (i + 1)], axis=0)).mean() for i in range(4)]
    assert change == sorted(change)
