"""Toys for the job: a source and features by the name "toy", here and in worker processes."""

from pathlib import Path

import numpy as np
import pytest

from geotether.features.catalogue import FEATURES
from geotether.sources.catalogue import SOURCES

TOYS = Path(__file__).parent / "toys"


@pytest.fixture
def toys(monkeypatch):
    """Register the toys for a test."""
    monkeypatch.syspath_prepend(TOYS)
    monkeypatch.setitem(SOURCES, "toy", "toy_places:ToySource")
    monkeypatch.setitem(FEATURES, "toy", "toy_places:ToyFeatures")


@pytest.fixture
def places(toys, tmp_path):
    """A file of 1,000 places all over the Earth, poles and antimeridian among them."""
    rng = np.random.default_rng(0)
    lonlat = np.stack([rng.uniform(-180, 180, 1000), np.degrees(np.arcsin(rng.uniform(-1, 1, 1000)))], axis=1)
    lonlat[:4] = [[0, 90], [0, -90], [180, 0], [-180, 10]]
    np.save(tmp_path / "places.npy", lonlat)
    return tmp_path / "places.npy"
