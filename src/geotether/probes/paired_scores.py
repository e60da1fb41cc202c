"""Scores of a prediction by kind of target."""

import numpy as np
from jaxtyping import Shaped

from geotether.probes.label_scores import average_precisions, choose_thresholds, f1_scores


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
        ranked = average_precisions(truth, scores)
        macro = micro = np.full(truth.shape[1], 0.5)
        if validation is not None and (validation[0] == 1).any():
            macro, micro = (choose_thresholds(*validation, average) for average in ("macro", "micro"))
        return {
            "macro mAP": ranked.macro,
            "micro mAP": ranked.micro,
            "macro F1": f1_scores(truth, scores >= macro).macro,
            "micro F1": f1_scores(truth, scores >= micro).micro,
        }
    if kind != "numbers":
        raise ValueError(f"kind must be classes, labels or numbers, got {kind!r}.")
    return {
        "R2": float(metrics.r2_score(truth, scores)) if len(truth) > 1 else float("nan"),
        "RMSE": float(np.sqrt(metrics.mean_squared_error(truth, scores))),
        "MAE": float(metrics.mean_absolute_error(truth, scores)),
    }
