"""Three tiny modalities, two tiny tasks, and a configuration that trains in a moment."""

import numpy as np
import pytest
import torch

from geotether.tables.table import Table
from geotether.tasks.task import Task
from geotether.training.config import load_config

SMALL = [
    "batch_size=48",
    "steps=24",
    "warmup_steps=2",
    "encoder.positional={name: spherical_harmonics, l_max: 3}",
    "encoder.network={name: siren, hidden_dim: 16}",
    "encoder.embed_dim=8",
    "validate_every=null",
    "save_every=null",
    "device=cpu",
]


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def places(rows, seed):
    rng = np.random.default_rng(seed)
    return np.stack([rng.uniform(-180, 180, rows), np.degrees(np.arcsin(rng.uniform(-1, 1, rows)))], axis=1)


@pytest.fixture
def tables():
    found = {}
    for number, (name, rows, dim) in enumerate([("image", 120, 4), ("text", 90, 3), ("sound", 60, 2)]):
        rng, lonlat = np.random.default_rng(number), places(rows, number)
        features = np.sin(np.radians(lonlat[:, 1:])) + 0.1 * rng.standard_normal((rows, dim))
        found[name] = Table.single(name, lonlat, features.astype(np.float32))
    return found


@pytest.fixture
def config():
    def make(*overrides):
        return load_config(overrides=[*SMALL, *overrides])

    return make


@pytest.fixture
def tasks():
    lonlat = places(400, 9)
    split = np.where(lonlat[:, 0] > 60, "test", np.where(lonlat[:, 0] > 30, "validation", "train"))
    height = np.sin(np.radians(lonlat[:, 1])) + 0.1 * np.random.default_rng(9).standard_normal(400)
    zone = np.where(lonlat[:, 1] > 0, "north", "south")
    return [
        Task("height", "regression", lonlat, height, split),
        Task("zone", "classification", lonlat, zone, split),
    ]
