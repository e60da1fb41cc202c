"""Mirrors src/geotether/probes/scores.py."""

import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score

from geotether.probes.scores import Score, average_precisions, choose_thresholds, f1_scores, judge_labels


def test_a_score_is_formatted_with_its_interval_if_known():
    assert str(Score(3.0, math.nan, math.nan, 1, 1)) == "3.000"
    assert str(Score(0.5, 0.25, 0.75, 5, 40)) == "0.500 [0.250, 0.750]"


@pytest.fixture
def problem():
    """60 rows of 5 labels of different frequency, scores that know something, ties among them."""
    rng = np.random.default_rng(0)
    true = (rng.random((60, 5)) < [0.5, 0.3, 0.2, 0.1, 0.05]).astype(np.float64)
    true[0] = 1
    return true, np.round(np.clip(0.3 * true + 0.7 * rng.random((60, 5)), 0, 1), 2)


def f1_by_hand(true, predicted):
    pairs = list(zip(true, predicted, strict=True))
    hit = sum(t and p for t, p in pairs)
    return 2 * hit / (2 * hit + sum(t != p for t, p in pairs)) if any(t or p for t, p in pairs) else 0.0


def test_average_precision_equals_scikit_learn(problem):
    true, scores = problem
    found = average_precisions(true, scores)
    assert found.macro == pytest.approx(average_precision_score(true, scores, average="macro"))
    assert found.micro == pytest.approx(average_precision_score(true, scores, average="micro"))
    assert found.each.tolist() == pytest.approx(average_precision_score(true, scores, average=None).tolist())


def test_f1_equals_scikit_learn_and_a_loop(problem):
    true, scores = problem
    predicted = (scores >= 0.6).astype(int)
    predicted[:, 4] = 0  # never predicted: F1 is 0, not undefined
    found = f1_scores(true, predicted)
    assert found.macro == pytest.approx(f1_score(true, predicted, average="macro", zero_division=0))
    assert found.micro == pytest.approx(f1_score(true, predicted, average="micro"))
    assert found.each.tolist() == pytest.approx(
        [f1_by_hand(y.tolist(), p.tolist()) for y, p in zip(true.T, predicted.T, strict=True)]
    )
    assert found.each[4] == 0.0


def test_labels_that_no_row_has_are_left_out_and_counted(problem):
    true, scores = problem
    true[:, [1, 3]] = 0
    some = [0, 2, 4]
    assert choose_thresholds(true, scores, "macro")[[1, 3]].tolist() == [0.5, 0.5]
    found = average_precisions(true, scores)
    assert found.left_out == 2
    assert np.isnan(found.each).tolist() == [False, True, False, True, False]
    assert found.macro == pytest.approx(average_precision_score(true[:, some], scores[:, some], average="macro"))
    assert found.micro == pytest.approx(average_precision_score(true[:, some], scores[:, some], average="micro"))
    hard = f1_scores(true, scores >= 0.5)
    assert hard.left_out == 2
    assert hard.macro == pytest.approx(f1_score(true[:, some], scores[:, some] >= 0.5, average="macro"))


def test_rows_without_labels_are_left_out(problem):
    true, scores = problem
    want, want_hard = average_precisions(true, scores), f1_scores(true, scores >= 0.5)
    more = np.concatenate([true, np.full((3, 5), np.nan)])
    more_scores = np.concatenate([scores, np.full((3, 5), np.nan)])
    assert average_precisions(more, more_scores).macro == want.macro
    assert f1_scores(more, more_scores >= 0.5).micro == want_hard.micro


def test_a_threshold_for_each_label_has_the_highest_f1(problem):
    true, scores = problem
    thresholds = choose_thresholds(true, scores, "macro")
    got = f1_scores(true, scores >= thresholds).each
    for label in range(5):
        every = [f1_by_hand(true[:, label].tolist(), (scores[:, label] >= cut).tolist()) for cut in scores[:, label]]
        assert got[label] == pytest.approx(max(every))


def test_one_threshold_for_all_has_the_highest_micro_f1(problem):
    true, scores = problem
    thresholds = choose_thresholds(true, scores, "micro")
    assert len(set(thresholds)) == 1
    every = [f1_by_hand(true.ravel().tolist(), (scores >= cut).ravel().tolist()) for cut in scores.ravel()]
    assert f1_scores(true, scores >= thresholds).micro == pytest.approx(max(every))


def test_a_threshold_lies_between_two_scores():
    true, scores = np.array([[1.0], [1.0], [0.0], [0.0]]), np.array([[0.9], [0.7], [0.3], [0.1]])
    assert choose_thresholds(true, scores, "macro").tolist() == pytest.approx([0.5])
    # Scores that are neighbours among floats: nothing lies between, and the lower one is still a no.
    close = np.array([[0.9], [np.nextafter(0.3, 1)], [0.3], [0.1]])
    assert (close >= choose_thresholds(true, close, "macro"))[:, 0].tolist() == [True, True, False, False]


def test_thresholds_never_come_from_test_rows(problem):
    """Test labels may change as they like: which test rows are predicted stays."""
    true, scores = problem
    rng = np.random.default_rng(2)
    validation_true, validation_scores = problem[0][30:], problem[1][30:]
    macro = choose_thresholds(validation_true, validation_scores, "macro")
    micro = choose_thresholds(validation_true, validation_scores, "micro")
    for labels in (true[:30], (rng.random((30, 5)) < 0.5).astype(float)):
        found = judge_labels(labels, scores[:30], (validation_true, validation_scores))
        assert found.macro_f1 == pytest.approx(f1_scores(labels, scores[:30] >= macro).macro)
        assert found.micro_f1 == pytest.approx(f1_scores(labels, scores[:30] >= micro).micro)
        assert found.macro_map == pytest.approx(average_precisions(labels, scores[:30]).macro)
        assert (found.labels, found.left_out) == (5, 0)


def test_one_row_can_be_evaluated():
    found = average_precisions(np.array([[1, 0]]), np.array([[0.2, 0.9]]))
    assert (found.macro, found.left_out) == (1.0, 1)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda true, scores: average_precisions(true, scores[:, :4]), r"\(60, 5\), scores \(60, 4\)"),
        (lambda true, scores: average_precisions(true, np.where(scores == scores[1, 2], np.inf, scores)), "of 300"),
        (lambda true, scores: average_precisions(0 * true, scores), "none of the 60 rows"),
        (lambda true, scores: average_precisions(np.full((2, 5), np.nan), scores[:2]), "none of the 0 rows"),
        (lambda true, scores: average_precisions(2 * true, scores), r"row 0 has other values: \[2.0"),
        (lambda true, scores: f1_scores(true, scores), "row 0 has other values"),
        (lambda true, scores: choose_thresholds(true, scores, "weighted"), "got 'weighted'"),
        (lambda true, scores: average_precisions(np.where(np.eye(60, 5, -3), np.nan, true), scores), "row 3 has NaN"),
    ],
)
def test_wrong_input_is_named(problem, call, said):
    with pytest.raises(ValueError, match=said):
        call(*problem)
