"""Mirrors src/geotether/tables/splits.py."""

import math

import numpy as np
import pytest
from sklearn.model_selection import GroupKFold

from geotether.geodesy.blocks import block_id
from geotether.tables.splits import assign_folds, assign_split, block_parts

SHARES = {"train": 0.6, "validation": 0.15, "test": 0.25}


@pytest.fixture
def places():
    rng = np.random.default_rng(0)
    return np.stack([rng.uniform(-180, 180, 3000), np.degrees(np.arcsin(rng.uniform(-1, 1, 3000)))], axis=1)


def kilometres(a, b):
    """Haversine formula, written out."""
    (lon1, lat1), (lon2, lat2) = np.radians(a), np.radians(b)
    half = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * 6371.0088 * math.asin(math.sqrt(half))


def test_blocks_are_whole_and_decided_by_the_seed_alone(places):
    splits = [assign_split(places, block_km=1000.0, shares=SHARES, seed=seed) for seed in range(20)]
    blocks = block_id(places, 1000.0)
    assert all(len(set(splits[0][blocks == block].tolist())) == 1 for block in np.unique(blocks))
    for name, share in SHARES.items():
        assert np.mean([(split == name).mean() for split in splits]) == pytest.approx(share, abs=0.02)
    assert 0.2 < (splits[1] == splits[2]).mean() < 0.8
    for rows in (slice(0, 0), slice(7, 8), slice(100, 200), slice(None, None, 2)):
        np.testing.assert_array_equal(block_parts(places[rows], 1000.0, SHARES, 4), splits[4][rows])


def test_the_buffer_separates_parts_and_is_as_small_as_possible(places):
    places = places[:600]
    plain = assign_split(places, block_km=2000.0, shares=SHARES, seed=0)
    split = assign_split(places, block_km=2000.0, shares=SHARES, seed=0, buffer_km=300.0)
    assert (split == "test").sum() == (plain == "test").sum() > 0
    held_out = {"train": ("validation", "test"), "validation": ("test",)}
    for row in range(len(places)):
        others = held_out.get(plain[row])
        if others is None:
            continue
        near = any(
            kilometres(places[row], places[other]) <= 300
            for other in np.flatnonzero(np.isin(split, others) | (np.isin(plain, others) & (split != "buffer")))
        )
        assert (split[row] == "buffer") == near


def test_rows_near_places_of_other_tables_are_not_used(places):
    away = np.array([[0.0, 0.0], [180.0, 10.0]])
    split = assign_split(places, block_km=1000.0, shares=SHARES, seed=0, buffer_km=1500.0, away_from=away)
    used = places[np.isin(split, ["train", "validation"])]
    assert min(kilometres(place, other) for place in used for other in away) > 1500


@pytest.mark.parametrize(
    "options, message",
    [
        ({"shares": {"train": 0.5, "val": 0.5}}, "Unknown part 'val'.*train, validation, test"),
        ({"shares": {"train": 0.5}}, "sum to 1"),
        ({"shares": {"train": 1.5, "test": -0.5}}, "sum to 1"),
        ({"shares": {"train": float("nan")}}, "sum to 1"),
        ({"buffer_km": -1.0}, "buffer_km must be 0 or more"),
        ({"buffer_km": float("nan")}, "buffer_km must be 0 or more"),
        ({"block_km": 0.0}, "block_km must lie in"),
    ],
)
def test_invalid_options_are_errors(places, options, message):
    with pytest.raises(ValueError, match=message):
        assign_split(places, **{"block_km": 1000.0, "shares": SHARES, "seed": 0, **options})


def test_an_empty_part_and_swapped_places_are_named():
    with pytest.raises(ValueError, match=r"No row fell into '.*1 blocks of 1000 km"):
        assign_split(np.array([[5.0, 52.0], [5.1, 52.0]]), block_km=1000.0, shares=SHARES, seed=0)
    with pytest.raises(ValueError, match="the other way round"):
        assign_split(np.array([[52.0, 151.0]]), block_km=1000.0, shares=SHARES, seed=0)


def test_folds_keep_groups_whole_and_are_balanced_as_in_sklearn():
    group = np.random.default_rng(0).integers(0, 60, 500)
    folds = assign_folds(group.astype(str), 500, 5, seed=1)
    for one in np.unique(group):
        assert len(np.unique(folds[group == one])) == 1
    theirs = sorted(len(test) for _, test in GroupKFold(5).split(group, groups=group))
    assert np.ptp(np.bincount(folds)) <= max(np.ptp(theirs), 1)
    np.testing.assert_array_equal(folds, assign_folds(group.astype(str), 500, 5, seed=1))
    equal = np.repeat(np.arange(20), 5)
    assert (assign_folds(equal, 100, 4, seed=0) != assign_folds(equal, 100, 4, seed=1)).any()
    assert sorted(np.bincount(assign_folds(None, 23, 5, seed=3)).tolist()) == [4, 4, 5, 5, 5]


@pytest.mark.parametrize(
    "group, n, folds, message",
    [
        (["a", "b"], 3, 2, "one value for each of 3 rows"),
        (["a", "a", "b"], 3, 3, "2 groups cannot fill 3 folds"),
        (None, 3, 1, "folds must be 2 or more"),
        (None, 3, 4, "3 groups cannot fill 4 folds"),
    ],
)
def test_groups_that_do_not_fit(group, n, folds, message):
    with pytest.raises(ValueError, match=message):
        assign_folds(group, n, folds, seed=0)
