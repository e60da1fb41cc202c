"""Mirrors the part of src/geotether/batches/batch.py that draws rows by blocks."""

import numpy as np
import pytest
import torch

import geotether.batches.batch as room
from geotether.batches.batch import assemble, rows_at
from geotether.batches.schedule import build_schedule
from geotether.files.mapped_rows import MappedRows
from geotether.tables.store import read_table, write_table
from geotether.tables.table import Table


@pytest.fixture
def small_pools(monkeypatch):
    """Pools of 8 blocks, so that small tables have many."""
    for cached in (room._blocks, room._pool_rows):
        cached.cache_clear()
    monkeypatch.setattr(room, "POOL_BLOCKS", 8)
    monkeypatch.setattr("geotether.tables.store.POOL_BLOCKS", 8)
    yield
    for cached in (room._blocks, room._pool_rows):
        cached.cache_clear()


@pytest.mark.parametrize("size", [33, 64, 65, 96, 1000])
@pytest.mark.parametrize("block_rows", [1, 4])
@pytest.mark.parametrize("count", [1, 7, 250])
def test_every_row_comes_once_an_epoch(small_pools, size, block_rows, count):
    steps = -(-3 * size // count)
    stream = np.concatenate([rows_at(size, step * count, count, 4, "text", block_rows) for step in range(steps)])
    for epoch in range(3):
        assert sorted(stream[epoch * size : (epoch + 1) * size]) == list(range(size))
    for start in range(0, 2 * size, 11):  # from any start, as a resumed run or another process has it
        np.testing.assert_array_equal(rows_at(size, start, 9, 4, "text", block_rows), stream[start : start + 9])


def test_a_table_of_one_pool_is_shuffled_as_a_whole():
    assert (rows_at(2048 * 4, 0, 500, 1, "text", 4) == rows_at(2048 * 4, 0, 500, 1, "text")).all()
    assert (rows_at(2048 * 4 + 1, 0, 500, 1, "text", 4) != rows_at(2048 * 4 + 1, 0, 500, 1, "text")).any()


def shuffled_in_pools(size: int, block_rows: int, pool_blocks: int, rng: np.random.Generator) -> np.ndarray:
    """The process as the documentation states it, by NumPy's own shuffle."""
    blocks = np.split(np.arange(size), range(block_rows, size, block_rows))
    order = [blocks[number] for number in rng.permutation(len(blocks))]
    pools = [np.concatenate(order[start : start + pool_blocks]) for start in range(0, len(order), pool_blocks)]
    return np.concatenate([rng.permutation(pool) for pool in pools])


def together(order: np.ndarray, batch: int) -> np.ndarray:
    """For each distance 1 to 12 in the table, the share of pairs of rows that are in one batch."""
    at = np.empty(len(order), dtype=int)
    at[order] = np.arange(len(order)) // batch
    return np.array([(at[far:] == at[:-far]).mean() for far in range(1, 13)])


def test_neighbours_meet_as_often_as_a_simulation_says_and_within_the_bound(small_pools):
    size, block_rows, batch, epochs = 1024, 4, 16, 200
    rng = np.random.default_rng(0)
    ours, simulated, chance = [], [], []
    for epoch in range(epochs):
        ours.append(together(rows_at(size, epoch * size, size, 7, "text", block_rows), batch))
        simulated.append(together(shuffled_in_pools(size, block_rows, 8, rng), batch))
        chance.append(together(rng.permutation(size), batch))
    found, expected, even = (np.stack(rows) for rows in (ours, simulated, chance))
    error = np.sqrt((found.var(axis=0) + expected.var(axis=0)) / epochs)
    assert (np.abs(found.mean(axis=0) - expected.mean(axis=0)) < 4 * error).all()
    # A pair in one block shares a batch with (b - 1) / (P - 1); any other about as often as by chance.
    pool = 8 * block_rows
    inside, outside = (batch - 1) / (pool - 1), (batch - 1) / (size - 1)
    share = (block_rows - np.arange(1, 4)) / block_rows  # of the pairs at distance 1 to 3 that are in one block
    bound = share * inside + (1 - share) * outside
    assert (found.mean(axis=0)[:3] < bound + 4 * error[:3]).all()
    assert (np.abs(found.mean(axis=0)[4:] - even.mean(axis=0)[4:]) < 4 * error[4:] + 0.002).all()


def test_a_row_is_anywhere_in_the_epoch_with_equal_probability(small_pools):
    size, epochs = 96, 2000
    at = np.stack([np.argsort(rows_at(size, epoch * size, size, 3, "text", 4)) for epoch in range(epochs)])
    for row in (0, 50, 95):
        counts = np.histogram(at[:, row], bins=12, range=(0, size))[0]
        expected = epochs / 12
        assert ((counts - expected) ** 2 / expected).sum() < 35  # chi-square with 11 degrees of freedom: 31 at 0.1 %


@pytest.fixture
def stored(tmp_path, small_pools, monkeypatch):
    monkeypatch.setattr("geotether.tables.store._BLOCK_NUMBERS", 32)
    rng = np.random.default_rng(0)
    lonlat = np.stack([np.linspace(-180, 179, 700), np.linspace(-90, 90, 700)], axis=1)
    split = np.where(np.arange(700) % 10 == 3, "validation", "train")
    table = Table.single("rain", lonlat, rng.normal(size=(700, 8)).astype(np.float16), split=split)
    write_table(table, tmp_path / "rain.parquet", shard_rows=300, dtype="float16")
    return table, tmp_path / "rain.parquet"


def test_batches_are_the_same_from_memory_and_from_maps(stored, tmp_path):
    table, path = stored
    held = read_table(path, memory_share=1).part("train")
    mapped = read_table(path, memory_share=0, cache_dir=tmp_path / "maps").part("train")
    assert (type(mapped.features), type(held.features)) == (MappedRows, np.ndarray)
    assert mapped.block_rows == held.block_rows == 4
    schedule = build_schedule("melt", {"rain": 630}, 50)
    for step in (0, 1, 5, 12, 13, 40):
        one, two = (assemble({"rain": each}, schedule, step, seed=2) for each in (held, mapped))
        assert torch.equal(one.lonlat, two.lonlat)
        assert torch.equal(one.features["rain"], two.features["rain"])
        rows = rows_at(630, step * 50, 50, 2, "rain", 4)
        np.testing.assert_array_equal(one.features["rain"], table.part("train").features[rows])


def test_what_is_read_ahead_is_what_is_drawn(stored, tmp_path, monkeypatch):
    """Every row is asked for shortly before it is drawn, and once per epoch."""
    mapped = read_table(stored[1], memory_share=0, cache_dir=tmp_path / "maps").part("train")
    asked, given_back = [], []
    monkeypatch.setattr(MappedRows, "prefetch", lambda self, start, stop: asked.extend(range(start, stop)))
    monkeypatch.setattr(MappedRows, "release", lambda self, start, stop: given_back.extend(range(start, stop)))
    schedule = build_schedule("melt", {"rain": 630}, 30)
    for step in range(42):  # two epochs, whose pools of 32 rows do not end with a batch
        assemble({"rain": mapped}, schedule, step, seed=2)
        assert set(rows_at(630, step * 30, 30, 2, "rain", 4)) <= set(asked[-128:])
    assert 0 < len(asked) - 1260 <= 64
    assert 1260 - len(given_back) <= 64
    assert np.bincount(asked[:630], minlength=630).max() <= 2
