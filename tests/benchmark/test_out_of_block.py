"""Mirrors src/geotether/benchmark/out_of_block.py."""

import numpy as np
import pytest
from sklearn.metrics import r2_score

from geotether.benchmark.baselines import xyz
from geotether.benchmark.out_of_block import predict_out_of_block
from geotether.geodesy.blocks import block_id
from geotether.tasks.task import Task

RNG = np.random.default_rng(0)
LONLAT = np.stack([RNG.uniform(-180, 180, 400), np.degrees(np.arcsin(RNG.uniform(-1, 1, 400)))], axis=1)


def test_covers_all_labelled_rows():
    height = np.sin(np.radians(LONLAT[:, 1]))
    height[5] = np.nan
    rows, (values,) = predict_out_of_block(xyz, [Task("height", "regression", LONLAT, height)], labels=200)
    assert rows.tolist() == [i for i in range(400) if i != 5]
    assert r2_score(height[rows], values) > 0.99


def test_a_block_is_not_predicted_from_its_own_labels():
    """A label that is nowhere but in one block cannot be found there, though the features give the block away."""
    blocks = block_id(LONLAT, 4000.0)
    own = np.bincount(blocks).argmax()
    zone = np.where(blocks == own, "here", np.where(LONLAT[:, 0] > 0, "east", "west"))
    onehot = np.eye(blocks.max() + 1)[blocks]
    rows, (values,) = predict_out_of_block(
        lambda lonlat: onehot, [Task("z", "classification", LONLAT, zone)], block_km=4000.0
    )
    assert "here" not in set(values[blocks[rows] == own])


def test_one_block_is_refused():
    task = Task("t", "regression", np.stack([np.linspace(0, 0.1, 9), np.full(9, 0.1)], axis=1), np.arange(9.0))
    with pytest.raises(ValueError, match="all places are in one block of 1000 km"):
        predict_out_of_block(xyz, [task])
