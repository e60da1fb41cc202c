"""Mirrors src/geotether/benchmark/splitting.py."""

import numpy as np
import pytest

from geotether.benchmark.splitting import draw, part_rows
from geotether.geodesy.blocks import block_id
from geotether.tasks.task import Task

RNG = np.random.default_rng(0)
LONLAT = np.stack([RNG.uniform(-180, 180, 300), np.degrees(np.arcsin(RNG.uniform(-1, 1, 300)))], axis=1)
SPLIT = RNG.choice(["train", "validation", "test", "buffer"], 300, p=[0.5, 0.2, 0.2, 0.1])


@pytest.fixture
def task():
    return Task("t", "regression", LONLAT, LONLAT[:, 1].copy(), SPLIT)


def test_block_split_is_the_column_whatever_the_seed(task):
    for seed in (0, 1):
        parting = part_rows(task, "block", "test", seed)
        assert set(SPLIT[parting.train]) == {"train"}
        assert set(SPLIT[parting.judged]) == {"test"}


def test_random_split_changes_with_the_seed_and_never_overlaps(task):
    one, two = (part_rows(task, "random", "test", seed) for seed in (0, 1))
    assert set(one.judged) != set(two.judged)
    assert not set(one.train) & set(one.judged)
    assert len(one.judged) == (SPLIT == "test").sum()
    assert "buffer" not in SPLIT[one.train]


@pytest.mark.parametrize("split", ["block", "random"])
def test_test_rows_are_not_used_when_judged_on_validation(task, split):
    parting = part_rows(task, split, "validation", 0)
    assert "test" not in set(SPLIT[parting.train]) | set(SPLIT[parting.judged])


def test_without_a_split_a_fifth_is_judged():
    parting = part_rows(Task("t", "regression", LONLAT, LONLAT[:, 1].copy()), "random", "test", 0)
    assert len(parting.judged) == 60


def test_inner_folds_are_blocks_for_the_block_split(task):
    drawn = draw(task, "block", part_rows(task, "block", "test", 0), 100, 0, 2000.0, 10)
    blocks = block_id(task.lonlat[drawn.train], 2000.0)
    assert all(len(set(drawn.folds[blocks == block])) == 1 for block in np.unique(blocks))


@pytest.mark.parametrize(
    ("split", "on", "message"),
    [("blocks", "test", "splits are block, random"), ("block", "tset", "one of test, validation")],
)
def test_unknown_names_are_answered(task, split, on, message):
    with pytest.raises(ValueError, match=message):
        part_rows(task, split, on, 0)


def test_nothing_to_judge_is_said():
    split = np.where(np.arange(300) < 200, "train", "buffer")
    with pytest.raises(ValueError, match="200 rows to train on and 0 to judge on"):
        part_rows(Task("t", "regression", LONLAT, LONLAT[:, 1].copy(), split), "block", "test", 0)
