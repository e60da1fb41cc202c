"""Mirrors src/geotether/probes/spatial_cv.py."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics.pairwise import haversine_distances
from sklearn.model_selection import cross_val_score

from geotether.geodesy.blocks import block_id
from geotether.probes.spatial_cv import BlockKFold, block_folds, random_folds


@pytest.fixture
def places():
    rng = np.random.default_rng(0)
    return np.stack([rng.uniform(-180, 180, 500), np.degrees(np.arcsin(rng.uniform(-1, 1, 500)))], axis=1)


def test_blocks_stay_whole_and_folds_are_even(places):
    folds = block_folds(places, 5, 1500.0)
    blocks = block_id(places, 1500.0)
    assert all(len(set(folds[blocks == block])) == 1 for block in np.unique(blocks))
    assert np.bincount(folds).min() > 80


def test_fewer_blocks_than_folds_make_fewer_folds():
    assert set(block_folds(np.array([[0.0, 0.1], [0.0, 0.2], [120.0, 0.0]]), 5, 500.0)) == {0, 1}
    assert set(block_folds(np.zeros((3, 2)), 5, 500.0)) == {0}


def test_another_seed_gives_another_assignment(places):
    one, two = (block_folds(places, 5, 1000.0, seed) for seed in (0, 1))
    assert (one != two).any()
    np.testing.assert_array_equal(one, block_folds(places, 5, 1000.0, 0))


def test_random_folds_are_even():
    assert np.bincount(random_folds(23, 5)).tolist() == [5, 5, 5, 4, 4]
    assert len(set(random_folds(3, 50))) == 3


def test_no_training_row_lies_within_the_buffer(places):
    seen = []
    for train, test in BlockKFold(4, block_km=2000, buffer_km=300).split(places):
        apart = haversine_distances(np.radians(places[test][:, ::-1]), np.radians(places[train][:, ::-1])) * 6371.0088
        assert apart.min() >= 300
        assert len(train) + len(test) < len(places)
        seen.extend(test)
    assert sorted(seen) == list(range(len(places)))


def test_works_inside_scikit_learn(places):
    scores = cross_val_score(Ridge(), places, places[:, 1], cv=BlockKFold(4, block_km=2000))
    assert scores.min() > 0.99


def test_too_few_blocks_are_named():
    with pytest.raises(ValueError, match="fill only 1 blocks of 500 km, too few for 5 folds"):
        next(BlockKFold(5, block_km=500).split(np.zeros((9, 2))))


@pytest.mark.parametrize(("num_folds", "block_km"), [(1, 100.0), (5, 0.0)])
def test_wrong_options_are_named(places, num_folds, block_km):
    with pytest.raises(ValueError, match="must be"):
        block_folds(places, num_folds, block_km)
