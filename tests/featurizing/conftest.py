"""Toys for the job: a source and features by the name "toy", here and in worker processes."""

import contextlib
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from geotether.features.catalogue import FEATURES
from geotether.sources.catalogue import SOURCES

TOYS = Path(__file__).parent / "toys"


@pytest.fixture(scope="module")
def toys():
    """Register the toys for the tests of a file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(TOYS)
        patch.setitem(SOURCES, "toy", "toy_places:ToySource")
        patch.setitem(FEATURES, "toy", "toy_places:ToyFeatures")
        yield


def write_places(file):
    rng = np.random.default_rng(0)
    lonlat = np.stack([rng.uniform(-180, 180, 1000), np.degrees(np.arcsin(rng.uniform(-1, 1, 1000)))], axis=1)
    lonlat[:4] = [[0, 90], [0, -90], [180, 0], [-180, 10]]
    np.save(file, lonlat)
    return file


@pytest.fixture
def places(toys, tmp_path):
    """A file of 1,000 places all over the Earth, poles and antimeridian among them."""
    return write_places(tmp_path / "places.npy")


@pytest.fixture(scope="module")
def lasting_places(toys, tmp_path_factory):
    """The same for the tests of a file; none of them changes it."""
    return write_places(tmp_path_factory.mktemp("places") / "places.npy")


@pytest.fixture(scope="session")
def without_pandas(tmp_path_factory):
    """A folder that hides pandas from a new process that has it on its path.

    The package does without it, but pyarrow imports it wherever it is installed, which takes longer than the job.
    """
    folder = tmp_path_factory.mktemp("without_pandas")
    (folder / "pandas.py").write_text('raise ImportError("hidden")')
    return folder


@pytest.fixture
def light_workers(without_pandas, monkeypatch):
    """Let worker processes import neither pandas nor, as their main module, pytest."""
    with contextlib.suppress(ImportError):
        import pandas  # noqa: F401  before it is hidden
    monkeypatch.syspath_prepend(without_pandas)
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))
