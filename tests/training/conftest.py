"""A tiny synthetic planet: three unpaired modalities that are smooth functions of place."""

import signal

import numpy as np
import pytest
import torch

from geotether.tables.table import Table
from geotether.training.config import RunConfig, load_config

SMALL = [
    "batch_size=96",
    "steps=30",
    "warmup_steps=3",
    "learning_rate=1e-2",
    "encoder.positional.l_max=4",
    "encoder.network.hidden_dim=32",
    "encoder.network.dropout=0.1",
    "context.observations.components=0",
    "encoder.embed_dim=16",
    "validate_every=10",
    "save_every=10",
    "device=cpu",
]


@pytest.fixture(autouse=True)
def one_thread():
    """Small matrices gain nothing from threads, and the machine may be shared."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def default_sigint():
    """A test run started in the background ignores Ctrl-C; tests of it need the usual handler."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def planet() -> dict[str, Table]:
    tables = {}
    for number, (name, rows, dim) in enumerate([("satellite", 400, 8), ("text", 250, 5), ("lights", 300, 3)]):
        rng = np.random.default_rng(number)
        xyz = rng.normal(size=(rows, 3))
        xyz /= np.linalg.norm(xyz, axis=1, keepdims=True)
        lonlat = np.degrees(np.stack([np.arctan2(xyz[:, 1], xyz[:, 0]), np.arcsin(xyz[:, 2])], axis=1))
        features = np.tanh(2 * xyz @ rng.normal(size=(3, dim))) + 0.05 * rng.normal(size=(rows, dim))
        split = np.where(np.arange(rows) % 5 == 0, "validation", np.where(np.arange(rows) % 5 == 1, "test", "train"))
        tables[name] = Table.single(name, lonlat, features.astype(np.float32), split=split)
    return tables


@pytest.fixture
def small():
    """Make a configuration that trains in a second; overrides come last."""

    def make(*overrides: str) -> RunConfig:
        return load_config(overrides=[*SMALL, *overrides])

    return make
