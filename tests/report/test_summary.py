"""Mirrors src/geotether/report/summary.py."""

import math

import pytest

from geotether.probes.scores import Score
from geotether.report.summary import compare, plain_words


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict", "won"),
    [
        (Score(0.7, 0.02, 5), Score(0.6, 0.02, 5), "better by 0.100", True),
        (Score(0.6, 0.02, 5), Score(0.7, 0.02, 5), "worse by 0.100", False),
        (Score(0.61, 0.02, 5), Score(0.6, 0.02, 5), "cannot be told apart", False),
        (Score(0.9, math.nan, 1), Score(0.1, math.nan, 1), "ahead, but one seed", False),
        (Score(0.5, 0.0, 5), Score(0.5, 0.0, 5), "cannot be told apart", False),
    ],
)
def test_verdicts_claim_no_more_than_the_intervals(ours, theirs, verdict, won):
    said, clear = compare(ours, theirs)
    assert verdict in said
    assert clear is won


def test_without_baselines_only_the_best_is_named():
    grid = {("a", "t, R2"): Score(0.5, 0.1, 5), ("b", "t, R2"): Score(0.6, 0.1, 5)}
    assert plain_words(grid, ["a", "b"], ["t, R2"], [], "block", 243) == ["t: the best is b with R2 0.600 ± 0.100."]


def test_losing_is_said_plainly():
    grid = {("a", "t, R2"): Score(0.5, 0.01, 5), ("xyz", "t, R2"): Score(0.6, 0.01, 5)}
    first, second = plain_words(grid, ["a", "xyz"], ["t, R2"], ["xyz"], "random", 243)
    assert "With 243 labels, judged on a random split, a is not clearly better" in first
    assert "worse by 0.100" in second
