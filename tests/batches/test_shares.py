"""Mirrors src/geotether/batches/shares.py."""

import random

import pytest

from geotether.batches.shares import apportion, check_known, check_sizes


@pytest.mark.parametrize("seed", range(200))
def test_shares_sum_to_the_rows_and_follow_the_weights(seed):
    chance = random.Random(seed)
    weights = [chance.randint(1, 10 ** chance.randint(1, 6)) for _ in range(chance.randint(1, 9))]
    rows = chance.randint(2 * len(weights), 3000)
    shares = apportion(rows, weights)
    assert sum(shares) == rows
    assert min(shares) >= 2
    larger = [s for s in shares if s > 2]
    for i, first in enumerate(weights):
        for j, second in enumerate(weights):
            assert first <= second or shares[i] >= shares[j] - 1 or shares[j] == 2
    # Above the least share, nobody is more than a row away from what the weights alone would give.
    if len(larger) == len(shares):
        assert all(abs(s - rows * w / sum(weights)) < 1 for s, w in zip(shares, weights, strict=True))


@pytest.mark.parametrize(
    "rows, weights, want",
    [
        (2048, [1, 1, 1], [683, 683, 682]),
        (10, [7, 2, 1], [6, 2, 2]),  # the last is due 1 and gets 2; eight are left for 7 to 2
        (6, [1, 1000, 1], [2, 2, 2]),
        (100, [3, 1], [75, 25]),
    ],
)
def test_agrees_with_shares_worked_out_on_paper(rows, weights, want):
    assert apportion(rows, weights) == want


def test_too_few_rows_are_refused():
    with pytest.raises(ValueError, match="5 rows cannot be divided into 3 shares of at least 2"):
        apportion(5, [1, 1, 1])


def test_sizes_that_make_no_batch_are_named():
    with pytest.raises(ValueError, match="at least one table, got none"):
        check_sizes({}, 8, 1)
    with pytest.raises(ValueError, match="table of 'text' has 0 rows"):
        check_sizes({"image": 5, "text": 0}, 8, 2)
    with pytest.raises(ValueError, match=r"batch_size is 5, but 3 tables .* set batch_size to 6 or more"):
        check_sizes({"a": 1, "b": 1, "c": 1}, 5, 3)


def test_unknown_names_are_answered_with_the_known_ones():
    with pytest.raises(ValueError, match=r"Unknown fruit 'aple'; known are apple, pear\. Did you mean 'apple'\?"):
        check_known("fruit", "aple", ["apple", "pear"])
