"""Scores of predictions by kind of target, and a mean of scores with its interval."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Shaped

AVERAGES = ("macro", "micro")
"""The mean over labels, or the score of all entries of all labels together."""


@dataclass(frozen=True)
class Score:
    """A mean of scores, or of differences of scores, with its 95 % interval.

    Args:
        mean: Mean of the repeats.
        low, high: Ends of the interval; NaN where there is none.
        seeds: Number of repeats.
        blocks: Number of spatial blocks that the judged rows lie in; 0 where the interval is not over blocks.
    """

    mean: float
    low: float
    high: float
    seeds: int = 1
    blocks: int = 0

    @property
    def clear(self) -> bool:
        """Whether the interval excludes zero."""
        return self.low > 0 or self.high < 0

    @property
    def points(self) -> str:
        """The score in points (hundredths) with a sign, such as "+1.2 [0.4, 2.0]"."""
        mean = f"{100 * self.mean:+.1f}"
        return mean if math.isnan(self.low) else f"{mean} [{100 * self.low:.1f}, {100 * self.high:.1f}]"

    def __str__(self) -> str:
        """Write as 0.710 [0.690, 0.730], 0.710 without an interval, or "undefined"."""
        if math.isnan(self.mean):
            return "undefined"
        if math.isnan(self.low):
            return f"{self.mean:.3f}"
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True, eq=False)
class LabelScores:
    """A score of each label and both averages.

    Args:
        macro, micro: Mean over the judged labels; score of all their entries taken together.
        each: Score of every label, shape (c,); NaN where it is left out, because no judged row has it.
        left_out: Number of labels left out.
    """

    macro: float
    micro: float
    each: np.ndarray
    left_out: int


@dataclass(frozen=True)
class MultiLabelScores:
    """The scores of a multi-label task.

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
    """Return average precision of the labels that some row has; by chance a label scores its frequency.

    Args:
        true: 0 and 1, shape (n, c); whole rows of NaN are left out.
        scores: Numbers that increase with the certainty of a label, shape (n, c).

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
    """Return F1 of the labels that some row has; scikit-learn's `f1_score`.

    Args:
        true: 0 and 1, shape (n, c); whole rows of NaN are left out.
        predicted: 0 and 1, shape (n, c).

    Raises:
        ValueError: If shapes differ, entries are not 0 and 1, or no row has a label.

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

    Scores at or above the threshold count as positive. The threshold lies half way to the next lower score; among
    equally good thresholds the highest is taken.

    Args:
        true: 0 and 1, shape (n, c); whole rows of NaN are left out.
        scores: Probabilities, shape (n, c).
        average: "macro": one threshold per label, 0.5 for a label that no row has. "micro": one for all labels.

    Returns:
        One threshold per label, shape (c,).

    Raises:
        ValueError: If the average is unknown, shapes differ, or no row has a label.

    Source:
        Lipton, Elkan & Naryanaswamy (2014), "Optimal Thresholding of Classifiers to Maximize F1 Measure", ECML.
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
    validation: tuple[Shaped[np.ndarray, "v c"], Float[np.ndarray, "v c"]] | None = None,
) -> MultiLabelScores:
    """Score test rows with thresholds that come from validation rows only, each (n, c) of 0 and 1 and of probabilities.

    Returns:
        Macro and micro average precision; macro F1 with one threshold per label, micro F1 with one for all. Without
        validation rows thresholds are 0.5.
    """
    macro = micro = np.full(true.shape[1], 0.5)
    if validation is not None:
        macro, micro = (choose_thresholds(*validation, average) for average in AVERAGES)
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
    """Return which rows of (n, c) are 0 and 1, not NaN; a row that is NaN in part or has other values is refused."""
    missing = np.isnan(labels.astype(np.float64))
    known = np.asarray(~missing.all(axis=1))
    if missing[known].any():
        row = int(np.flatnonzero(known & missing.any(axis=1))[0])
        raise ValueError(f"row {row} has NaN for some labels only; a row is known completely or not at all.")
    _check_binary(labels[known], "labels")
    return known


def _best_threshold(true: Float64[np.ndarray, " n"], scores: Float64[np.ndarray, " n"]) -> float:
    """Return the threshold with the highest F1; some entry of `true` is 1."""
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
    """Return the known rows of the labels that some of them has, and which labels these are."""
    if true.shape != scores.shape:
        raise ValueError(
            f"true labels have shape {true.shape}, scores {scores.shape}; pass one score per row and label."
        )
    known = known_label_rows(true)
    wanted, found = true[known].astype(np.float64), scores[known].astype(np.float64)
    if not np.isfinite(found).all():
        raise ValueError(f"{int((~np.isfinite(found)).sum())} scores of {found.size} are NaN or infinite.")
    judged = wanted.any(axis=0)
    if not judged.any():
        raise ValueError(f"none of the {len(wanted)} rows with known labels has a label, so nothing can be scored.")
    return wanted[:, judged], found[:, judged], judged


def _check_binary(values: Shaped[np.ndarray, "n c"], name: str) -> None:
    odd = np.flatnonzero(~np.isin(values, (0, 1)).all(axis=1))
    if len(odd):
        raise ValueError(f"{name} are 0 and 1; row {int(odd[0])} has other values: {values[odd[0]].tolist()}.")


def paired_scores(
    kind: str,
    truth: Shaped[np.ndarray, "n ..."],
    scores: Shaped[np.ndarray, "n ..."],
    validation: tuple[Shaped[np.ndarray, "v ..."], Shaped[np.ndarray, "v ..."]] | None = None,
) -> dict[str, float]:
    """Score predictions; larger is better for all but RMSE.

    Args:
        kind: "classes", "labels" or "numbers".
        truth: Classes (n,) from 0, labels of 0 and 1 (n, k), or numbers (n,); all known.
        scores: Probabilities (n, k) of classes or labels, or numbers (n,).
        validation: Truth and scores of other rows, on which thresholds of labels are chosen for F1; None takes 0.5.

    Returns:
        * classes: "accuracy", "macro F1" (over the classes that occur in truth or prediction), "kappa".
        * labels: "macro mAP" (over labels with a positive row), "micro mAP", "macro F1" and "micro F1".
        * numbers: "R2", "RMSE", "MAE".

    Raises:
        ValueError: If the kind is unknown or there is no row.

    Source:
        The measures of Mena et al. (2025), arXiv:2510.19579, as scikit-learn computes them.

    Example:
        >>> paired_scores("numbers", np.array([1.0, 3.0]), np.array([1.0, 3.0]))["R2"]
        1.0
    """
    from sklearn import metrics

    if len(truth) == 0:
        raise ValueError("There is no row to score.")
    if kind == "classes":
        chosen = scores.argmax(axis=1)
        return {
            "accuracy": float(metrics.accuracy_score(truth, chosen)),
            "macro F1": float(metrics.f1_score(truth, chosen, average="macro", zero_division=0)),
            "kappa": float(metrics.cohen_kappa_score(truth, chosen)) if len(np.unique(truth)) > 1 else float("nan"),
        }
    if kind == "labels":
        known = validation is not None and (validation[0] == 1).any()
        found = judge_labels(truth, scores, validation if known else None)
        return {
            "macro mAP": found.macro_map,
            "micro mAP": found.micro_map,
            "macro F1": found.macro_f1,
            "micro F1": found.micro_f1,
        }
    if kind != "numbers":
        raise ValueError(f"kind must be classes, labels or numbers, got {kind!r}.")
    return {
        "R2": float(metrics.r2_score(truth, scores)) if len(truth) > 1 else float("nan"),
        "RMSE": float(np.sqrt(metrics.mean_squared_error(truth, scores))),
        "MAE": float(metrics.mean_absolute_error(truth, scores)),
    }
