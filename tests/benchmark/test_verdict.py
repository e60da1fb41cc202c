"""Mirrors src/geotether/benchmark/verdict.py."""

import numpy as np
import pytest

from geotether.benchmark.outcome import Outcome
from geotether.benchmark.verdict import Difference, difference, in_words, mean_difference, ranks


def outcomes(encoder, shift=0.0, seeds=(0, 1), noise=0, task="t"):
    found = []
    for seed in seeds:
        rng = np.random.default_rng([seed, len(task)])
        level = rng.beta(4, 4, 60) * 0.8  # hard and easy regions, the same for all encoders
        own = 0.02 * np.random.default_rng([seed, noise]).standard_normal(60) if noise else 0.0
        right = 50 * np.clip(level + shift + own, 0, 1)
        sums = np.stack([np.full(60, 50.0), right], axis=1)
        value = float(right.sum() / 3000)
        found.append(
            Outcome(
                task, encoder, "ridge", "own", 10, seed, "", "accuracy", value, "", np.arange(60, dtype=np.int64), sums
            )
        )
    return found


def test_paired_differences_see_what_single_intervals_hide():
    """Regions differ by far more than encoders do; what is common to both cancels."""
    found = difference(outcomes("a", 0.03, noise=1), outcomes("b", noise=2))
    assert found.mean == pytest.approx(0.03, abs=0.01)
    assert 0 < found.low < found.mean < found.high < 0.06
    assert found.clear
    assert difference(outcomes("b", noise=2), outcomes("a", 0.03, noise=1)).high == pytest.approx(-found.low)


def test_an_encoder_cannot_be_told_from_itself():
    same = difference(outcomes("a"), outcomes("b"))
    assert (same.mean, same.low, same.high, same.clear) == (0.0, 0.0, 0.0, False)


def test_others_rows_or_seeds_are_refused():
    with pytest.raises(ValueError, match="a and b were not judged on the same rows of t"):
        difference(outcomes("a"), outcomes("b", seeds=(0, 2)))
    with pytest.raises(ValueError, match="evaluated together"):
        difference(outcomes("a"), outcomes("b", seeds=(0, 1, 2)))


def test_seeds_may_come_in_any_order():
    assert difference(outcomes("a", 0.05), outcomes("b")[::-1]) == difference(outcomes("a", 0.05), outcomes("b"))


def test_the_mean_over_tasks_is_the_mean_of_their_differences():
    pairs = [(outcomes("a", 0.04, task=t), outcomes("b", task=t)) for t in ("t", "uu")]
    found = mean_difference(pairs)
    assert found.mean == pytest.approx(np.mean([difference(*pair).mean for pair in pairs]))
    assert found.low - 1e-9 <= found.mean <= found.high + 1e-9


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Difference(0.027, 0.021, 0.034, 9), "A is better than B by 2.1 to 3.4 points"),
        (Difference(-0.027, -0.034, -0.021, 9), "B is better than A by 2.1 to 3.4 points"),
        (Difference(0.01, 0.0003, 0.02, 9), "A is better than B by up to 2.0 points"),
        (Difference(0.0, -0.005, 0.012, 9), "A and B cannot be told apart (-0.5 to +1.2 points)"),
        (Difference(0.0, float("nan"), float("nan"), 9), "A and B cannot be compared: no draw has a defined score"),
    ],
)
def test_words_claim_no_more_than_the_interval(found, words):
    assert in_words("A", "B", found) == words


def test_ranks_are_best_first_with_their_doubt():
    found = ranks(
        {
            "b": [outcomes("b", 0.2), outcomes("b", 0.2, task="uu")],
            "a": [outcomes("a"), outcomes("a", task="uu")],
            "c": [outcomes("c", 0.001, noise=3), outcomes("c", -0.001, noise=3, task="uu")],
        }
    )
    assert next(iter(found)) == "b"
    assert found["b"] == (1.0, 1.0, 1.0)
    assert found["c"][1] < found["c"][2]
