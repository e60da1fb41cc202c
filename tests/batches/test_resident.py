"""Mirrors src/geotether/batches/resident.py."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from geotether.batches import resident
from geotether.batches.batch import ALL_ROWS, assemble
from geotether.batches.resident import FetchedRows, ResidentRows, batches, table_bytes
from geotether.batches.schedule import build_schedule
from geotether.processes import Processes

CPU = torch.device("cpu")
SIZES = {"text": 40, "image": 301, "birds": 7}
SCHEDULES = {
    "melt": {"name": "melt"},
    "proportional": {"name": "melt", "shares": "proportional"},
    "salt by epoch": {"name": "salt"},
    "salt by step": {"name": "salt", "switch": "step"},
    "pairwise": {"name": "pairwise", "modality": "image"},
}


@pytest.fixture
def tables():
    rng = np.random.default_rng(0)
    return {
        name: SimpleNamespace(
            lonlat=rng.uniform(-80, 80, (rows, 2)),
            features=rng.standard_normal((rows, 3 + number)).astype(np.float16 if number == 1 else np.float32),
            block_rows=2 if name == "image" else None,
        )
        for number, (name, rows) in enumerate(SIZES.items())
    }


def assert_equal_bits(one, other):
    assert one.groups == other.groups
    assert torch.equal(one.lonlat, other.lonlat)
    assert one.features.keys() == other.features.keys()
    for name, rows in one.features.items():
        assert rows.dtype == torch.float32
        assert torch.equal(rows, other.features[name])


@pytest.mark.parametrize("kind", [ResidentRows, FetchedRows])
@pytest.mark.parametrize("options", SCHEDULES.values(), ids=SCHEDULES)
@pytest.mark.parametrize("share", [ALL_ROWS, Processes(1, 3).share])
def test_batches_are_those_of_assemble(tables, kind, options, share):
    """Over several epochs, and in the order of a run that is resumed in the middle."""
    schedule = build_schedule(table_sizes=SIZES, batch_size=26, **options)
    read = partial(assemble, tables, schedule, seed=5, share=share)
    drawn = FetchedRows(read, CPU) if kind is FetchedRows else ResidentRows(tables, schedule, 5, CPU, share)
    for step in [*range(70), 300, 301, 2]:
        assert_equal_bits(drawn(step), assemble(tables, schedule, step, 5, share))


def test_rows_are_looked_up_once_for_a_block_of_steps(tables, monkeypatch):
    asked = []
    monkeypatch.setattr(resident, "rows_at", lambda *given: asked.append(given) or np.zeros(given[2], np.int64))
    drawn = ResidentRows(tables, build_schedule("melt", SIZES, 26), 5, CPU)
    for step in range(2 * resident.BLOCK_STEPS):
        drawn(step)
    assert [(name, count) for _, _, count, _, name, _ in asked] == 2 * [
        (name, rows * resident.BLOCK_STEPS) for name, rows in zip(SIZES, (9, 9, 8), strict=True)
    ]


def test_what_does_not_fit_is_fetched(tables, monkeypatch):
    assert table_bytes(tables) == 40 * (16 + 12) + 301 * (16 + 8) + 7 * (16 + 20)
    schedule = build_schedule("melt", SIZES, 26)
    assert_equal_bits(batches(tables, schedule, 5, CPU)(3), assemble(tables, schedule, 3, 5))
    made = {}
    for free in (2 * table_bytes(tables), 2 * table_bytes(tables) - 1):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device, free=free: (free, 10**9))
        monkeypatch.setattr(resident, "copied", lambda values, device: torch.from_numpy(np.array(values)))
        made[free] = batches(tables, schedule, 5, torch.device("cuda"))
    assert [type(one) for one in made.values()] == [ResidentRows, FetchedRows]
