"""How right the scores of many labels are: average precision, and F1 at thresholds chosen on other rows."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Shaped

AVERAGES = ("macro", "micro")
"""The mean over labels; or all entries of all labels judged as one."""


@dataclass(frozen=True, eq=False)
class LabelScores:
    """A score of each label and both averages.

    Args:
        macro: Mean over the judged labels.
        micro: Score of all entries of the judged labels taken together.
        each: Score of every label, shape (c,); NaN where it is left out.
        left_out: Number of labels left out, because no judged row has them.
    """

    macro: float
    micro: float
    each: np.ndarray
    left_out: int


@dataclass(frozen=True)
class MultiLabelScores:
    """What is reported of a multi-label task.

    Args:
        macro_map, micro_map: Average precision, see `average_precisions`.
        macro_f1, micro_f1: F1 at thresholds chosen on validation rows, see `judge_labels`.
        labels: Number of labels judged.
        left_out: Number of labels left out, because no test row has them.
    """

    macro_map: float
    micro_map: float
    macro_f1: float
    micro_f1: float
    labels: int
    left_out: int


def average_precisions(true: Shaped[np.ndarray, "n c"], scores: Float[np.ndarray, "m k"]) -> LabelScores:
    """Average precision: the mean precision over the ranks at which a row that has the label is found.

    Args:
        true: 0 and 1, shape (n, c); whole rows of NaN are left out.
        scores: Any numbers that rise with the certainty of a label, shape (n, c).

    Returns:
        Macro and micro average precision of the labels that some row has. A label's score by chance is its frequency.

    Raises:
        ValueError: If shapes differ, a score is not finite, entries are not 0 and 1, or no row has a label.

    Source:
        scikit-learn's `average_precision_score` (no interpolation).

    Example:
        >>> true = np.array([[1, 0], [1, 0], [0, 0]])
        >>> found = average_precisions(true, np.array([[0.9, 0.1], [0.2, 0.2], [0.4, 0.3]]))
        >>> round(found.macro, 3), found.left_out
        (0.833, 1)
    """
    from sklearn.metrics import average_precision_score

    true, scores, judged = _judged(true, scores)
    each = np.full(len(judged), np.nan)
    each[judged] = [average_precision_score(y, s) for y, s in zip(true.T, scores.T, strict=True)]
    micro = float(average_precision_score(true.ravel(), scores.ravel()))
    return LabelScores(float(np.nanmean(each)), micro, each, int((~judged).sum()))


def f1_scores(true: Shaped[np.ndarray, "n c"], predicted: Shaped[np.ndarray, "m k"]) -> LabelScores:
    """F1, the harmonic mean of precision and recall, at given answers.

    Args:
        true: 0 and 1, shape (n, c); whole rows of NaN are left out.
        predicted: 0 and 1, shape (n, c).

    Returns:
        Macro and micro F1 of the labels that some row has.

    Raises:
        ValueError: If shapes differ, entries are not 0 and 1, or no row has a label.

    Source:
        van Rijsbergen (1979), Information Retrieval, chapter 7, as scikit-learn's `f1_score`.

    Example:
        >>> f1_scores(np.array([[1, 0], [1, 1]]), np.array([[1, 0], [0, 1]])).each.round(3).tolist()
        [0.667, 1.0]
    """
    from sklearn.metrics import f1_score

    true, answers, judged = _judged(true, np.asarray(predicted, dtype=np.float64))
    _check_binary(answers, "predicted")
    true, answers = true.astype(bool), answers.astype(bool)
    each = np.full(len(judged), np.nan)
    each[judged] = [f1_score(y, p, zero_division=0.0) for y, p in zip(true.T, answers.T, strict=True)]
    micro = float(f1_score(true.ravel(), answers.ravel(), zero_division=0.0))
    return LabelScores(float(np.nanmean(each)), micro, each, int((~judged).sum()))


def choose_thresholds(
    true: Shaped[np.ndarray, "n c"], scores: Float[np.ndarray, "m k"], average: str
) -> Float64[np.ndarray, " c"]:
    """Find the thresholds with the highest F1 on these rows, which must not be test rows.

    A score at or above its threshold is a yes. The threshold lies half way to the next lower score; of equally good
    ones the highest is taken.

    Args:
        true: 0 and 1, shape (n, c); whole rows of NaN are left out.
        scores: Probabilities, shape (n, c).
        average: "macro": each label has its own threshold, which makes the macro F1 highest. "micro": one for all
            labels, which makes the micro F1 highest among such.

    Returns:
        One threshold a label, shape (c,); 0.5 for a label that no row has (macro).

    Raises:
        ValueError: If the average is unknown, shapes differ, or no row has a label.

    Source:
        Lipton, Elkan & Naryanaswamy (2014), "Optimal Thresholding of Classifiers to Maximize F1 Measure", ECML.

    Example:
        >>> true, scores = np.array([[1], [1], [0]]), np.array([[0.9], [0.4], [0.2]])
        >>> choose_thresholds(true, scores, "macro").round(3)
        array([0.3])
    """
    if average not in AVERAGES:
        raise ValueError(f"average must be one of {', '.join(AVERAGES)}; got {average!r}.")
    true, scores, judged = _judged(true, scores)
    thresholds = np.full(len(judged), 0.5)
    if average == "macro":
        thresholds[judged] = [_best_threshold(y, s) for y, s in zip(true.T, scores.T, strict=True)]
    else:
        thresholds[:] = _best_threshold(true.ravel(), scores.ravel())
    return thresholds


def judge_labels(
    true: Shaped[np.ndarray, "n c"],
    scores: Float[np.ndarray, "n c"],
    validation_true: Shaped[np.ndarray, "v c"],
    validation_scores: Float[np.ndarray, "v c"],
) -> MultiLabelScores:
    """Score test rows; thresholds come from validation rows and from nothing else.

    Args:
        true: 0 and 1 of the test rows, shape (n, c); whole rows of NaN are left out.
        scores: Probabilities for the test rows, shape (n, c).
        validation_true: 0 and 1 of the validation rows, shape (v, c).
        validation_scores: Probabilities for the validation rows by the same kind of model, shape (v, c).

    Returns:
        Macro and micro average precision; macro F1 with a threshold for each label, micro F1 with one for all.

    Raises:
        ValueError: As in `average_precisions` and `choose_thresholds`.
    """
    macro, micro = (choose_thresholds(validation_true, validation_scores, average) for average in AVERAGES)
    ranked = average_precisions(true, scores)
    return MultiLabelScores(
        ranked.macro,
        ranked.micro,
        f1_scores(true, scores >= macro).macro,
        f1_scores(true, scores >= micro).micro,
        int(np.isfinite(ranked.each).sum()),
        ranked.left_out,
    )


def known_label_rows(labels: Shaped[np.ndarray, "n c"]) -> Shaped[np.ndarray, " n"]:
    """Say which rows have labels: those that are not NaN.

    Args:
        labels: 0 and 1, shape (n, c); whole rows of NaN where unknown.

    Returns:
        Booleans, shape (n,).

    Raises:
        ValueError: If a row is NaN in part, or known entries are not 0 and 1.
    """
    missing = np.isnan(labels.astype(np.float64))
    known = np.asarray(~missing.all(axis=1))
    if missing[known].any():
        row = int(np.flatnonzero(known & missing.any(axis=1))[0])
        raise ValueError(f"row {row} has NaN for some labels only; a row is known whole or not at all.")
    _check_binary(labels[known], "labels")
    return known


def _best_threshold(true: Float64[np.ndarray, " n"], scores: Float64[np.ndarray, " n"]) -> float:
    """The threshold with the highest F1; some entry of `true` is 1."""
    from sklearn.metrics import precision_recall_curve

    precision, recall, thresholds = precision_recall_curve(true, scores)
    both = precision[:-1] + recall[:-1]
    f1 = 2 * precision[:-1] * recall[:-1] / np.where(both > 0, both, 1)
    best = len(f1) - 1 - int(f1[::-1].argmax())
    if best == 0:
        return float(thresholds[0])
    between = (thresholds[best] + thresholds[best - 1]) / 2
    return float(between if between > thresholds[best - 1] else thresholds[best])


def _judged(
    true: Shaped[np.ndarray, "n c"], scores: Shaped[np.ndarray, "m k"]
) -> tuple[Float64[np.ndarray, "r j"], Float64[np.ndarray, "r j"], Shaped[np.ndarray, " c"]]:
    """Known rows of the labels that some of them has, and which labels these are."""
    if true.shape != scores.shape:
        raise ValueError(f"true labels have shape {true.shape}, scores {scores.shape}; pass one score a row and label.")
    known = known_label_rows(true)
    wanted, found = true[known].astype(np.float64), scores[known].astype(np.float64)
    if not np.isfinite(found).all():
        raise ValueError(f"{int((~np.isfinite(found)).sum())} scores of {found.size} are NaN or infinite.")
    judged = wanted.any(axis=0)
    if not judged.any():
        raise ValueError(f"none of the {len(wanted)} rows with known labels has a label, so nothing can be judged.")
    return wanted[:, judged], found[:, judged], judged


def _check_binary(values: Shaped[np.ndarray, "n c"], name: str) -> None:
    odd = np.flatnonzero(~np.isin(values, (0, 1)).all(axis=1))
    if len(odd):
        raise ValueError(f"{name} are 0 and 1; row {int(odd[0])} holds others: {values[odd[0]].tolist()}.")
