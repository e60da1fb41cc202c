"""Mirrors src/geotether/benchmark/splitting.py."""

import numpy as np
import pytest

from geotether.benchmark.splitting import KINDS, block_side_km, part_rows
from geotether.geodesy.blocks import block_id, latitude_bands
from geotether.geodesy.distance import EARTH_RADIUS_KM, nearest_km
from geotether.tasks.task import Task

RNG = np.random.default_rng(0)
LONLAT = np.stack([RNG.uniform(-180, 180, 1500), np.degrees(np.arcsin(RNG.uniform(-1, 1, 1500)))], axis=1)
SPLIT = RNG.choice(["train", "validation", "test", "buffer"], 1500, p=[0.5, 0.2, 0.2, 0.1])
CONTINENT = np.where(LONLAT[:, 0] < -30, "west", np.where(LONLAT[:, 0] < 60, "middle", "east"))
BLOCKS = ("blocks-2", "blocks-10", "blocks-20", "blocks-40")


@pytest.fixture
def task():
    return Task("t", "regression", LONLAT, LONLAT[:, 1].copy(), SPLIT, continent=CONTINENT)


def one(task, split, on="test", seed=0, **options):
    (parting,) = part_rows(task, split, on, seed, **options)
    return parting


@pytest.mark.parametrize("split", [*BLOCKS, "continents"])
@pytest.mark.parametrize("seed", [0, 3, 7])
def test_no_test_row_is_within_the_buffer_of_a_training_row(task, split, seed):
    for parting in part_rows(task, split, "test", seed, buffer_km=150.0):
        assert nearest_km(LONLAT[parting.judged], LONLAT[parting.train]).min() > 150.0


@pytest.mark.parametrize("split", BLOCKS)
def test_five_seeds_test_every_row_once_in_whole_blocks(task, split):
    judged = [one(task, split, seed=seed, buffer_km=0).judged for seed in range(5)]
    assert sorted(np.concatenate(judged).tolist()) == list(range(1500))
    blocks = [set(block_id(LONLAT[rows], block_side_km(split))) for rows in judged]
    assert sum(map(len, blocks)) == len(set.union(*blocks))
    assert set(one(task, split, seed=5).judged) != set(judged[0])


@pytest.mark.parametrize("split", BLOCKS)
def test_blocks_differ_in_area_by_less_than_a_tenth_up_to_70_degrees(split):
    bands = latitude_bands(block_side_km(split))
    area = 2 * np.pi * EARTH_RADIUS_KM**2 * np.diff(bands.edges) / bands.cells
    middle = np.degrees(np.arcsin((bands.edges[1:] + bands.edges[:-1]) / 2))
    inside = area[np.abs(middle) <= 70]
    assert inside.max() / inside.min() < 1.1
    assert inside.mean() == pytest.approx(block_side_km(split) ** 2, rel=0.3)


def test_continents_are_held_out_whole(task):
    partings = part_rows(task, "continents", "test", 0)
    assert [parting.fold for parting in partings] == ["east", "middle", "west"]
    for parting in partings:
        assert set(CONTINENT[parting.judged]) == {parting.fold}
        assert parting.fold not in CONTINENT[parting.train]


def test_a_continent_of_few_rows_is_learned_from_but_not_held_out_alone(caplog):
    rare = CONTINENT.astype(object)
    rare[:5], rare[5:9] = "atoll", ""
    partings = part_rows(Task("t", "regression", LONLAT, LONLAT[:, 1].copy(), continent=rare), "continents", "test", 0)
    assert [parting.fold for parting in partings] == ["east", "middle", "west"]
    assert all(not set(range(5, 9)) & set(parting.train) for parting in partings)
    assert "continent atoll has 5 rows and is not held out alone" in caplog.text


def test_the_own_split_is_the_column_whatever_the_seed(task):
    for seed in (0, 1):
        parting = one(task, "own", seed=seed)
        assert set(SPLIT[parting.train]) == {"train"}
        assert set(SPLIT[parting.judged]) == {"test"}


def test_random_split_changes_with_the_seed_and_never_overlaps(task):
    first, second = (one(task, "random", seed=seed) for seed in (0, 1))
    assert set(first.judged) != set(second.judged)
    assert not set(first.train) & set(first.judged)
    assert len(first.judged) == (SPLIT == "test").sum()
    assert "buffer" not in SPLIT[first.train]


@pytest.mark.parametrize("split", ["own", "random"])
def test_test_rows_are_not_used_when_evaluating_on_validation_rows(task, split):
    parting = one(task, split, "validation")
    assert "test" not in set(SPLIT[parting.train]) | set(SPLIT[parting.judged])


def test_blocks_evaluated_on_validation_exclude_the_test_fold(task):
    for seed in (0, 4):
        tested = set(one(task, "blocks-10", seed=seed).judged)
        parting = one(task, "blocks-10", "validation", seed)
        assert not tested & (set(parting.train) | set(parting.judged))


def test_without_a_split_a_fifth_of_the_rows_is_tested():
    parting = one(Task("t", "regression", LONLAT, LONLAT[:, 1].copy()), "random")
    assert len(parting.judged) == 300


@pytest.mark.parametrize(
    ("split", "on", "message"),
    [
        ("blocks", "test", "splits are own, random, continents, blocks-2, .* got 'blocks'"),
        ("blocks-100", "test", "blocks-100"),
        ("blocks-0.5km", "test", "blocks-0.5km"),
        ("own", "tset", "one of test, validation"),
        ("continents", "validation", "no validation part"),
    ],
)
def test_an_error_about_unknown_names_lists_the_known_ones(task, split, on, message):
    with pytest.raises(ValueError, match=message):
        part_rows(task, split, on, 0)


def test_an_error_says_what_a_split_needs():
    small = Task("t", "regression", LONLAT[:50] / 100, LONLAT[:50, 1].copy())
    with pytest.raises(ValueError, match=r"fills . blocks of split 'blocks-40', too few .* such as blocks-50km"):
        part_rows(small, "blocks-40", "test", 0)
    with pytest.raises(ValueError, match="give it a `continent` column"):
        part_rows(small, "continents", "test", 0)
    with pytest.raises(ValueError, match="no split of its own"):
        part_rows(small, "own", "test", 0)
    with pytest.raises(ValueError, match="0 rows to train on"):
        part_rows(Task("t", "regression", LONLAT, LONLAT[:, 1].copy()), "blocks-40", "test", 0, buffer_km=20_000)
    with pytest.raises(ValueError, match="buffer_km must be 0 or more"):
        part_rows(small, "random", "test", 0, buffer_km=-1)
    assert set(BLOCKS) < set(KINDS)
