"""Mirrors src/geotether/studies/standings.py."""

import csv

import pytest

from geotether.studies.standings import MEAN, mean_ranks, summary_rows, verdict_rows, verdicts, write_rows

QUALITY = {"a": 0.9, "b": 0.6, "xyz": 0.2}


@pytest.fixture
def outcomes(make_outcomes):
    return make_outcomes(QUALITY, tasks=("elevation", "yield"))


def test_every_pair_is_compared_on_every_task_and_in_the_mean(outcomes):
    said = verdicts(outcomes, "ridge", "own", 2700)
    assert [(one.name, one.other) for one in said if one.task == MEAN] == [("a", "b"), ("a", "xyz"), ("b", "xyz")]
    assert len(said) == 9
    assert all(one.found.low > 0 for one in said)
    assert said[0].words.startswith("a is better than b by ")


def test_pairs_of_baselines_are_left_out_if_asked(outcomes):
    said = verdicts(outcomes, "ridge", "own", 2700, ["b"])
    assert {(one.name, one.other) for one in said} == {("a", "b"), ("b", "xyz")}


def test_one_task_has_no_mean(make_outcomes):
    assert [one.task for one in verdicts(make_outcomes(), "ridge", "own", 2700)] == ["elevation, R2"]


def test_ranks_leave_out_who_does_not_answer_all(outcomes, make_outcomes):
    more = outcomes + make_outcomes({"half": 0.95})
    assert list(mean_ranks(more, "ridge", "own", 2700)) == ["a", "b", "xyz"]
    assert mean_ranks(more, "ridge", "own", 2700)["a"][0] == 1.0


def test_rows_are_tidy(outcomes, tmp_path):
    rows = verdict_rows(verdicts(outcomes, "ridge", "own", 2700), "ridge", "own", 2700)
    write_rows(rows, tmp_path / "verdicts.csv")
    with (tmp_path / "verdicts.csv").open() as file:
        read = list(csv.DictReader(file))
    assert len(read) == 9
    assert float(read[0]["low"]) < float(read[0]["difference"]) < float(read[0]["high"])
    summary = summary_rows(outcomes)
    assert len(summary) == 6
    assert {row["seeds"] for row in summary} == {3}
