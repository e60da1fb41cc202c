"""Mirrors src/geotether/report/summary.py."""

import pytest

from geotether.benchmark.baselines import BASELINES
from geotether.benchmark.probing import PROBES
from geotether.benchmark.score_table import outcome_grid
from geotether.report.summary import GLOSSARY, plain_words, split_in_words, words_used
from geotether.tasks.task import METRICS


def grid_of(outcomes, split="own"):
    return outcome_grid(outcomes, "ridge", split, 2700)


def test_a_clear_win_is_said_with_its_size(make_outcomes):
    first, second = plain_words(grid_of(make_outcomes()), ["xyz"], "own", 2700)
    assert first == (
        "With 2,700 labels, judged on the task's own split, ours is clearly better than every baseline on the task."
    )
    assert "elevation: ours reaches R2 0." in second
    assert "ours is better than xyz by " in second


def test_a_tie_is_not_sold_as_a_win(make_outcomes):
    first, second = plain_words(grid_of(make_outcomes({"a": 0.5, "xyz": 0.5})), ["xyz"], "own", 2700)
    assert "a is not clearly better" in first
    assert "a and xyz cannot be told apart (+0.0 to +0.0 points)" in second


def test_without_baselines_only_the_best_is_named(make_outcomes):
    (said,) = plain_words(grid_of(make_outcomes({"a": 0.5, "b": 0.8})), [], "own", 2700)
    assert said.startswith("elevation: the best is b with R2 0.")


def test_losing_is_said_plainly(make_outcomes):
    grid = grid_of(make_outcomes({"a": 0.3, "xyz": 0.8}, splits=("random",)), "random")
    first, second = plain_words(grid, ["xyz"], "random", 2700)
    assert "judged on a random split, a is not clearly better" in first
    assert "xyz is better than a by " in second


@pytest.mark.parametrize(
    ("split", "said"), [("blocks-2", "unseen blocks of 2 degrees"), ("continents", "unseen continents")]
)
def test_splits_in_words(split, said):
    assert split_in_words(split) == said


def test_every_probe_metric_and_baseline_is_explained():
    assert set(PROBES) | set(METRICS.values()) | set(BASELINES) <= set(GLOSSARY)


def test_only_words_that_occur_are_listed():
    used = {"ridge", "blocks-10", "my encoder", "my encoder + Fourier features"}
    assert set(words_used(used)) == {
        "ridge", "blocks split", "+ Fourier features", "labels", "interval", "verdict", "probe"
    }  # fmt: skip
