"""Labels that an encoder knows and places do not, and predictors fitted to them once."""

from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest

from geotether.geodesy.coordinates import unit_vectors
from geotether.prediction.candidates import BASELINES, CANDIDATES
from geotether.prediction.predictor import fit_predictor
from geotether.tasks.task import Task

WAVES = np.random.default_rng(5).normal(size=(3, 12)) * 9


def encode(lonlat):
    """Twelve waves over the sphere, shorter than the distance between labels."""
    return np.sin(unit_vectors(lonlat) @ WAVES).astype(np.float32)


def numbers(lonlat):
    return 10 + 3 * encode(lonlat)[:, :4].sum(axis=1).astype(np.float64)


def places(rng, count):
    return np.stack([rng.uniform(-180, 180, count), np.degrees(np.arcsin(rng.uniform(-1, 1, count)))], axis=1)


def task_of(kind="regression", count=400, seed=0):
    rng = np.random.default_rng(seed)
    lonlat = places(rng, count)
    values = numbers(lonlat) + 0.3 * rng.normal(size=count)
    if kind == "classification":
        values = np.array(["low", "mid", "top"], dtype=object)[np.digitize(values, (8.0, 12.0))]
    return Task("yield", kind, lonlat, values, unit="t/ha" if kind == "regression" else "")


@pytest.fixture(scope="session")
def planet():
    """Return the functions above."""
    return SimpleNamespace(encode=encode, numbers=numbers, places=places, task_of=task_of, waves=WAVES)


@contextmanager
def quickly():
    """Leave only the quickest candidates and baselines while something is fitted."""
    with pytest.MonkeyPatch.context() as patch:
        for names, kept in ((CANDIDATES, ("ridge", "neighbors")), (BASELINES, ("inverse distance",))):
            for name in set(names) - set(kept):
                patch.delitem(names, name)
        yield


@pytest.fixture
def quick():
    """Leave only the quickest candidates and baselines in a test."""
    with quickly():
        yield


@pytest.fixture(scope="session")
def of_numbers():
    with quickly():
        return fit_predictor(encode, task_of(), name="waves")


@pytest.fixture(scope="session")
def of_classes():
    with quickly():
        return fit_predictor(encode, task_of("classification"), name="waves")
