"""A linear probe of samples for any kind of target, with a strength chosen on validation rows."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from geotether.moments import mean_and_scale
from geotether.probes.multilabel import MultiLabelProbe
from geotether.probes.scores import paired_scores

LIMIT = 10.0
STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)
CHOSEN_BY = {"classes": "macro F1", "labels": "macro mAP", "numbers": "R2"}
Rows = tuple[Float[np.ndarray, "_ d"], Shaped[np.ndarray, "..."]]


def fit_sample_probe(
    kind: str, train: Rows, validation: Rows | None, num_outputs: int
) -> Callable[[Float[np.ndarray, "t d"]], np.ndarray]:
    """Fit logistic or ridge regression on standardised features.

    Args:
        kind: "classes", "labels" or "numbers".
        train: Features and targets to fit, all known; missing features become the mean of their column.
        validation: Features and targets of the rows that choose the strength of regularisation, by macro F1, macro mAP
            or R2; they are never fitted. None: the strength is 1.
        num_outputs: Number of classes or labels, including those that training lacks.

    Returns:
        A function of features (t, d): numbers (t,), or probabilities (t, num_outputs), which are 0 for a class that
        training lacks and the training share for a label that all or none of the training rows have.

    Raises:
        ValueError: If the kind is unknown or there are fewer than two training rows.
    """
    features, targets = train
    if kind not in CHOSEN_BY:
        raise ValueError(f"kind must be classes, labels or numbers, got {kind!r}.")
    if len(features) < 2:
        raise ValueError(f"A probe needs two training rows or more, got {len(features)}.")
    scale = _Scale(features)
    candidates = STRENGTHS if validation is not None else (1.0,)
    if kind == "labels":
        return _fit_labels(scale, train, validation, candidates)
    best: tuple[float, Callable[[np.ndarray], np.ndarray]] | None = None
    for strength in candidates:
        predict = _fit_one(kind, scale(features), targets, strength, num_outputs)
        if validation is None:
            return lambda rows, predict=predict: predict(scale(rows))  # type: ignore[misc]
        found = paired_scores(kind, validation[1], predict(scale(validation[0])))[CHOSEN_BY[kind]]
        if best is None or np.nan_to_num(found, nan=-np.inf) > best[0]:
            best = float(np.nan_to_num(found, nan=-np.inf)), predict
    assert best is not None
    chosen = best[1]
    return lambda rows: chosen(scale(rows))


class _Scale:
    """Standardise by the training rows; missing values become the mean, columns that never vary 0.

    Values are clipped to 10 standard deviations: a column that hardly varies in training can lie thousands away in
    another row.
    """

    def __init__(self, features: np.ndarray) -> None:
        self.mean, self.scale = mean_and_scale(features, constant=np.inf, skip_missing=True)

    def __call__(self, features: np.ndarray) -> np.ndarray:
        filled = np.where(np.isfinite(features), features, self.mean)
        return ((filled - self.mean) / self.scale).clip(-LIMIT, LIMIT)


def _fit_labels(
    scale: _Scale, train: Rows, validation: Rows | None, strengths: tuple[float, ...]
) -> Callable[[np.ndarray], np.ndarray]:
    parts = [train] if validation is None else [train, validation]
    features = np.concatenate([scale(part) for part, _ in parts])
    labels = np.concatenate([part for _, part in parts])
    held = np.arange(len(labels)) >= len(train[0]) if validation is not None else None
    probe = MultiLabelProbe([1 / strength for strength in strengths], refit=validation is None)
    probe.fit(features, labels, held)
    return lambda rows: probe.columns(scale(rows))


def _fit_one(
    kind: str, features: np.ndarray, targets: np.ndarray, strength: float, num_outputs: int
) -> Callable[[np.ndarray], np.ndarray]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression, Ridge

    if kind == "numbers":
        ridge: Any = Ridge(alpha=1.0 / strength).fit(features, targets)
        return lambda rows: np.asarray(ridge.predict(rows))
    classes = np.unique(targets).astype(int)
    fitted = None
    if len(classes) > 1:
        with warnings.catch_warnings():
            # Fits that have not fully converged give the same score to two digits.
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitted = LogisticRegression(C=strength, max_iter=500, tol=1e-3).fit(features, targets)

    def predict(rows: np.ndarray) -> np.ndarray:
        scores = np.zeros((len(rows), num_outputs))
        scores[:, classes] = 1.0 if fitted is None else fitted.predict_proba(rows)
        return scores

    return predict
