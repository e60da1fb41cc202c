"""Mirrors src/geotether/encoders/memory.py."""

import copy
import io

import numpy as np
import pytest
import torch

from geotether.encoders.build import build_location_encoder
from geotether.encoders.memory import PlaceMemory, merged_places
from geotether.geodesy.distance import great_circle_km

CONFIG = {
    "positional": {"name": "spherical_harmonics", "l_max": 4},
    "network": {"name": "mlp", "hidden_dim": 16},
    "embed_dim": 8,
    "readout": "mixed_positional_and_output",
}


@pytest.fixture
def observed():
    rng = np.random.default_rng(0)
    lonlat = np.stack([rng.uniform(-180, 180, 50), rng.uniform(-90, 90, 50)], axis=1)
    return lonlat, rng.standard_normal((50, 3)).astype(np.float32)


@pytest.fixture
def memory(observed):
    memory = PlaceMemory({"rain": (50, 3), "wind": (50, 3)}, neighbors=4, reach_km=100.0)
    memory.fill("rain", *observed)
    memory.fill("wind", observed[0], observed[1] * 2)
    return memory


@pytest.mark.parametrize("place", [(0.0, 90.0), (179.999, 10.0), (-180.0, -45.0), (5.66, 51.97)])
def test_equals_a_loop_over_all_places(memory, observed, place):
    lonlat, values = observed
    km = np.array([great_circle_km(np.array([place]), np.array([other]))[0] for other in lonlat])
    nearest = np.argsort(km)[:4]
    weights = 1 / (km[nearest] + 100.0) ** 2
    want = (weights[:, None] * values[nearest].astype(np.float16)).sum(axis=0) / weights.sum()
    rain, wind = memory(torch.tensor([place], dtype=torch.float64))
    np.testing.assert_allclose(rain[0].numpy(), want, atol=2e-3)
    np.testing.assert_allclose(wind[0].numpy(), 2 * want, atol=4e-3)


def test_the_memory_is_equal_on_both_sides_of_the_antimeridian(memory):
    west, east = memory(torch.tensor([[-180.0, 20.0], [180.0, 20.0]], dtype=torch.float64))[0]
    torch.testing.assert_close(west, east)


def test_with_fewer_places_than_neighbours_all_are_averaged():
    memory = PlaceMemory({"rain": (1, 1)}, neighbors=16)
    memory.fill("rain", np.array([[5.0, 5.0]]), np.array([[3.0]], dtype=np.float32))
    assert memory(torch.zeros(2, 2, dtype=torch.float64))[0].tolist() == [[3.0], [3.0]]


def test_loading_a_memory_replaces_its_content(memory, observed):
    place = torch.tensor([[10.0, 10.0]], dtype=torch.float64)
    other = PlaceMemory(**memory.config)
    other(place)  # builds its search trees on nothing
    other.load_state_dict(memory.state_dict())
    torch.testing.assert_close(other(place), memory(place))
    torch.testing.assert_close(copy.deepcopy(memory)(place), memory(place))


def test_places_seen_twice_are_averaged():
    lonlat = np.array([[5.0, 5.0], [1.0, 1.0], [5.0000000001, 5.0]])
    places, values = merged_places(lonlat, np.array([[1.0], [7.0], [3.0]], dtype=np.float32))
    assert places.tolist() == [[1.0, 1.0], [5.0, 5.0]]
    assert values.tolist() == [[7.0], [2.0]]


def test_an_encoder_saves_and_restores_its_memory(memory):
    encoder = build_location_encoder(CONFIG, seed=0)
    plain = encoder.handout_dim
    encoder.remember(memory)
    encoder.settle()
    assert (plain, encoder.handout_dim) == (64, 64)  # 25 + 8 and 25 + 8 + 6, rounded up
    place = torch.tensor([[100.0, -30.0]], dtype=torch.float64)
    want = encoder.eval().handout(place)
    file = io.BytesIO()
    torch.save(encoder.state_dict(), file)
    file.seek(0)
    again = build_location_encoder(encoder.config, seed=1).eval()
    again.load_state_dict(torch.load(file, weights_only=True))
    torch.testing.assert_close(again.handout(place), want)
    again.remember(None)
    again.settle()
    assert "memory" not in again.config


def test_a_plain_readout_refuses_a_memory(memory):
    encoder = build_location_encoder({**CONFIG, "readout": "output"}, seed=0)
    with pytest.raises(ValueError, match="starts with mixed_, got 'output'"):
        encoder.remember(memory)
