"""Mirrors src/geotether/benchmark/plan.py."""

import numpy as np
import pytest

from geotether.benchmark.plan import draw, draw_rows, fold_seed
from geotether.benchmark.splitting import Parting, block_side_km, part_rows
from geotether.geodesy.blocks import block_id
from geotether.tasks.task import Task

RNG = np.random.default_rng(0)
LONLAT = np.stack([RNG.uniform(-180, 180, 900), np.degrees(np.arcsin(RNG.uniform(-1, 1, 900)))], axis=1)
TASK = Task("t", "regression", LONLAT, LONLAT[:, 1].copy(), RNG.choice(["train", "test"], 900))


@pytest.mark.parametrize(("split", "side"), [("own", 1000.0), ("blocks-20", block_side_km("blocks-20"))])
def test_inner_folds_are_whole_blocks_of_a_spatial_split(split, side):
    (parting,) = part_rows(TASK, split, "test", 0)
    drawn = draw(TASK, split, parting, 200, 0, 10)
    blocks = block_id(LONLAT[drawn.train], side)
    assert all(len(set(drawn.folds[blocks == block])) == 1 for block in np.unique(blocks))
    assert len(set(drawn.folds)) > 5
    assert set(drawn.train) <= set(parting.train)


def test_inner_folds_of_a_random_split_are_rows():
    (parting,) = part_rows(TASK, "random", "test", 0)
    drawn = draw(TASK, "random", parting, 200, 0, 10)
    assert np.bincount(drawn.folds).tolist() == [20] * 10


def test_labels_in_one_block_are_held_out_row_by_row():
    near = np.flatnonzero(block_id(LONLAT, 1000.0) == block_id(LONLAT[:1], 1000.0)[0])
    drawn = draw(TASK, "own", Parting(near, near), len(near), 0, 10)
    assert len(set(drawn.folds)) == min(10, len(near))


def test_every_continent_has_a_draw_of_its_own():
    assert fold_seed(3, "") == 3
    assert fold_seed(3, "Asia") != fold_seed(3, "Africa")
    assert fold_seed(3, "Asia") != fold_seed(4, "Asia")


def test_longer_draws_contain_shorter_ones():
    candidates = np.arange(100, 400)
    short, long = (draw_rows(candidates, n, seed=3) for n in (20, 90))
    assert set(short) < set(long) < set(candidates)
    assert len(set(long)) == 90
    assert set(short) != set(draw_rows(candidates, 20, seed=4))


def test_too_many_labels_are_named():
    with pytest.raises(ValueError, match="cannot draw 11 labelled rows from 10"):
        draw_rows(np.arange(10), 11, 0)
