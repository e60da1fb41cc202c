"""Mirrors src/geotether/benchmark/verdict.py."""

import csv

import numpy as np
import pytest

from geotether.benchmark.bootstrap import interval, replicates
from geotether.benchmark.outcome import Outcome
from geotether.benchmark.score_table import write_rows
from geotether.benchmark.verdict import (
    MEAN,
    difference,
    in_words,
    mean_difference,
    mean_ranks,
    summary_rows,
    verdict_rows,
    verdicts,
)
from geotether.probes.scores import Score

NAN = float("nan")


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


def test_an_encoder_does_not_differ_from_itself():
    same = difference(outcomes("a"), outcomes("b"))
    assert (same.mean, same.low, same.high, same.clear) == (0.0, 0.0, 0.0, False)


def test_other_rows_or_seeds_are_an_error():
    with pytest.raises(ValueError, match="a and b were not judged on the same rows of t"):
        difference(outcomes("a"), outcomes("b", seeds=(0, 2)))
    with pytest.raises(ValueError, match="evaluated together"):
        difference(outcomes("a"), outcomes("b", seeds=(0, 1, 2)))


def test_seeds_may_come_in_any_order():
    assert difference(outcomes("a", 0.05), outcomes("b")[::-1]) == difference(outcomes("a", 0.05), outcomes("b"))


def test_the_difference_of_means_is_the_mean_of_differences():
    pairs = [(outcomes("a", 0.04, task=t), outcomes("b", task=t)) for t in ("t", "uu")]
    found = mean_difference(pairs)
    assert found.mean == pytest.approx(np.mean([difference(*pair).mean for pair in pairs]))
    assert found.low - 1e-9 <= found.mean <= found.high + 1e-9


def r2_outcomes(encoder, errors, spread):
    """R2 in one row of 10 places per block: squared errors and squares of the true values given per block."""
    sums = np.stack([np.full(len(errors), 10.0), np.zeros(len(errors)), spread, errors], axis=1)
    value = float(1 - sums[:, 3].sum() / sums[:, 2].sum())
    blocks = np.arange(len(errors), dtype=np.int64)
    return [Outcome("t", encoder, "ridge", "own", 10, 0, "", "R2", value, "", blocks, sums)]


def test_a_difference_stays_within_the_range_of_the_scores():
    """One block holds nearly all the variance: draws without it have an R2 far below zero."""
    spread = np.append(np.full(19, 0.01), 100.0)
    ours, theirs = r2_outcomes("a", np.full(20, 1.0), spread), r2_outcomes("b", np.full(20, 2.0), spread)
    found = difference(ours, theirs)
    (low, high), (other_low, other_high) = (interval(replicates(one), one[0].value) for one in (ours, theirs))
    assert low - other_high - 1e-9 <= found.low <= found.mean <= found.high <= high - other_low + 1e-9
    assert found.high <= 1 - other_low


def test_few_blocks_have_a_difference_without_an_interval():
    few, many = (np.append(np.full(count, 1.0), 3.0) for count in (13, 14))
    for errors, given in ((few, False), (many, True)):
        found = difference(r2_outcomes("a", errors, 5 * errors), r2_outcomes("b", errors + 1, 5 * errors))
        assert found.mean > 0
        assert (found.blocks, found.clear) == (len(errors), given)
        assert np.isnan([found.low, found.high]).all() != given


def test_a_task_without_a_defined_score_is_left_out_of_the_mean():
    pairs = [(outcomes("a", 0.04), outcomes("b"))]
    undefined = [[one.undefined() for one in outcomes(name, task="uu")] for name in "ab"]
    assert mean_difference([*pairs, tuple(undefined)]).mean == difference(*pairs[0]).mean
    assert np.isnan(mean_difference([tuple(undefined)]).mean)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Score(0.027, 0.021, 0.034), "A is better than B by 2.1 to 3.4 points"),
        (Score(-0.027, -0.034, -0.021), "B is better than A by 2.1 to 3.4 points"),
        (Score(0.01, 0.0003, 0.02), "A is better than B by up to 2.0 points"),
        (Score(0.0, -0.005, 0.012), "A and B cannot be told apart (-0.5 to +1.2 points)"),
        (Score(NAN, NAN, NAN), "A and B cannot be compared: no draw has a defined score"),
        (
            Score(0.3, NAN, NAN, 5, 4),
            "A and B cannot be told apart (+30.0 points; 4 of the 15 blocks that an interval needs)",
        ),
    ],
)
def test_words_claim_no_more_than_the_interval(found, words):
    assert in_words("A", "B", found) == words


def test_ranks_are_best_first_with_intervals():
    found = []
    for task in ("t", "uu"):
        shift = 0.001 if task == "t" else -0.001
        found += [*outcomes("b", 0.2, task=task), *outcomes("a", task=task), *outcomes("c", shift, noise=3, task=task)]
    found = mean_ranks(found, "ridge", "own", 10)
    assert next(iter(found)) == "b"
    assert found["b"] == (1.0, 1.0, 1.0)
    assert found["c"][1] < found["c"][2]


QUALITY = {"a": 0.9, "b": 0.6, "xyz": 0.2}


@pytest.fixture
def three_encoders(make_outcomes):
    return make_outcomes(QUALITY, tasks=("elevation", "yield"))


def test_every_pair_is_compared_on_every_task_and_in_the_mean(three_encoders):
    said = verdicts(three_encoders, "ridge", "own", 2700)
    assert [(one.name, one.other) for one in said if one.task == MEAN] == [("a", "b"), ("a", "xyz"), ("b", "xyz")]
    assert len(said) == 9
    assert all(one.found.low > 0 for one in said)
    assert said[0].words.startswith("a is better than b by ")


def test_pairs_of_baselines_are_left_out_if_asked(three_encoders):
    said = verdicts(three_encoders, "ridge", "own", 2700, ["b"])
    assert {(one.name, one.other) for one in said} == {("a", "b"), ("b", "xyz")}


def test_one_task_has_no_mean(make_outcomes):
    assert [one.task for one in verdicts(make_outcomes(), "ridge", "own", 2700)] == ["elevation, R2"]


def test_ranks_omit_encoders_without_all_tasks(three_encoders, make_outcomes):
    more = three_encoders + make_outcomes({"half": 0.95})
    assert list(mean_ranks(more, "ridge", "own", 2700)) == ["a", "b", "xyz"]
    assert mean_ranks(more, "ridge", "own", 2700)["a"][0] == 1.0


def test_rows_are_tidy(three_encoders, tmp_path):
    rows = verdict_rows(verdicts(three_encoders, "ridge", "own", 2700), "ridge", "own", 2700)
    write_rows(rows, tmp_path / "verdicts.csv")
    with (tmp_path / "verdicts.csv").open() as file:
        read = list(csv.DictReader(file))
    assert len(read) == 9
    assert float(read[0]["low"]) < float(read[0]["difference"]) < float(read[0]["high"])
    summary = summary_rows(three_encoders)
    assert len(summary) == 6
    assert {row["seeds"] for row in summary} == {3}
