"""Mirrors src/geotether/batches/sampler.py."""

import numpy as np
import pytest

from geotether.batches.sampler import permutation, rows_at


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
@pytest.mark.parametrize("count", [1, 3, 250])
def test_every_row_comes_once_an_epoch(size, count):
    """Read in batches of any size, the stream is one whole shuffle after another."""
    steps = -(-3 * size // count)
    stream = np.concatenate([rows_at(size, step * count, count, seed=4, modality="text") for step in range(steps)])
    for epoch in range(3):
        assert sorted(stream[epoch * size : (epoch + 1) * size]) == list(range(size))


def test_can_be_entered_anywhere():
    stream = rows_at(10, 0, 60, seed=1, modality="image")
    for start in range(45):
        permutation.cache_clear()
        np.testing.assert_array_equal(rows_at(10, start, 15, seed=1, modality="image"), stream[start : start + 15])


def test_a_small_table_wraps_into_the_next_epochs():
    rows = rows_at(3, 2, 10, seed=0, modality="text")
    assert np.bincount(rows, minlength=3).min() >= 3


def test_seeds_modalities_and_epochs_are_shuffled_apart():
    streams = [
        tuple(rows_at(50, start, 50, seed, modality))
        for start in (0, 50)
        for seed in (0, 1, 10)
        for modality in ("text", "image", "0")
    ]
    assert len(set(streams)) == len(streams)


def test_orders_are_evenly_spread():
    """Each of the 24 orders of four rows comes about as often: chi-square with 23 degrees of freedom."""
    orders = [tuple(permutation(4, 0, "text", epoch)) for epoch in range(2400)]
    counts = np.array([orders.count(order) for order in set(orders)])
    assert len(counts) == 24
    assert ((counts - 100) ** 2 / 100).sum() < 49.7  # the 99.9 % quantile


def test_the_order_is_fixed_for_good():
    """Changing it would change every published run: these numbers may not move."""
    assert permutation(6, 0, "text", 0).tolist() == [0, 3, 4, 1, 5, 2]
    assert not permutation(6, 0, "text", 0).flags.writeable


def test_no_rows_are_asked_for():
    assert rows_at(5, 3, 0, seed=0, modality="text").shape == (0,)


def test_empty_table_is_named():
    with pytest.raises(ValueError, match="table of 'text' has 0 rows"):
        rows_at(0, 0, 4, seed=0, modality="text")


@pytest.mark.parametrize("start, count", [(-1, 4), (0, -4)])
def test_negative_positions_are_refused(start, count):
    with pytest.raises(ValueError, match=f"start={start} and count={count}"):
        rows_at(5, start, count, seed=0, modality="text")
