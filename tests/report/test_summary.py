"""Mirrors src/geotether/report/summary.py."""

import pytest

from geotether.benchmark.baselines import BASELINES
from geotether.benchmark.probing import PROBES
from geotether.benchmark.score_table import outcome_grid
from geotether.report.summary import GLOSSARY, plain_words, words_used
from geotether.tasks.task import METRICS


def grid_of(outcomes):
    return outcome_grid(outcomes, "ridge", "own", 2700)


@pytest.mark.parametrize(
    ("quality", "general", "difference"),
    [
        (
            {"ours": 0.9, "xyz": 0.3},
            "ours is clearly better than every baseline on the task",
            "ours is better than xyz",
        ),
        ({"ours": 0.5, "xyz": 0.5}, "ours is not clearly better", "(+0.0 to +0.0 points)"),
        ({"ours": 0.3, "xyz": 0.8}, "ours is not clearly better", "xyz is better than ours"),
    ],
    ids=["better", "equal", "worse"],
)
def test_claims_follow_the_paired_interval(make_outcomes, quality, general, difference):
    first, second = plain_words(grid_of(make_outcomes(quality)), ["xyz"], "own", 2700)
    assert general in first
    assert "2,700 labels" in first
    assert difference in second


def test_without_baselines_only_the_best_is_named(make_outcomes):
    (said,) = plain_words(grid_of(make_outcomes({"a": 0.5, "b": 0.8})), [], "own", 2700)
    assert said.startswith("elevation: the best is b with R2 0.")


def test_every_probe_metric_and_baseline_is_explained():
    assert set(PROBES) | set(METRICS.values()) | set(BASELINES) <= set(GLOSSARY)


def test_the_glossary_lists_only_words_that_occur():
    used = {"ridge", "blocks-10", "my encoder", "my encoder + Fourier features"}
    assert set(words_used(used)) == {
        "ridge", "blocks split", "+ Fourier features", "labels", "interval", "verdict", "probe"
    }  # fmt: skip
