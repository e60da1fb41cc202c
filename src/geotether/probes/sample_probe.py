"""A linear probe of samples whose strength is chosen on validation rows, for any kind of target."""

from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from geotether.probes.paired_scores import paired_scores

STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)
CHOSEN_BY = {"classes": "macro F1", "labels": "macro mAP", "numbers": "R2"}


def linear_scores(
    kind: str,
    train: tuple[Float[np.ndarray, "n d"], Shaped[np.ndarray, "n ..."]],
    validation: tuple[Float[np.ndarray, "v d"], Shaped[np.ndarray, "v ..."]] | None,
    test: Float[np.ndarray, "t d"],
    num_outputs: int,
) -> Float[np.ndarray, "t ..."]:
    """Fit logistic or ridge regression on standardised features and score test rows.

    Args:
        kind: "classes", "labels" or "numbers".
        train: Features and targets to fit, all known; NaN among the features is taken as the column's mean.
        validation: The same of the rows that the strength of regularisation is chosen on, by macro F1, macro mAP or R2;
            None takes the middle strength. The fit on the training rows is what is used.
        test: Features of the rows to score.
        num_outputs: Number of classes or labels, whether they occur in training or not.

    Returns:
        Probabilities (t, num_outputs), 0 for a class and the training share for a label that training does not
        distinguish; or numbers (t,).

    Raises:
        ValueError: If the kind is unknown or there are fewer than two training rows.
    """
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    features, targets = train
    if kind not in CHOSEN_BY:
        raise ValueError(f"kind must be classes, labels or numbers, got {kind!r}.")
    if len(features) < 2:
        raise ValueError(f"A probe needs two training rows or more, got {len(features)}.")
    mean = np.nan_to_num(np.nanmean(np.where(np.isfinite(features), features, np.nan), axis=0))

    def filled(rows: np.ndarray) -> np.ndarray:
        return np.where(np.isfinite(rows), rows, mean).astype(np.float64)

    best: tuple[float, Any] | None = None
    for strength in STRENGTHS if validation is not None else (1.0,):
        fitted = make_pipeline(StandardScaler(), _Linear(kind, strength, num_outputs)).fit(filled(features), targets)
        if validation is None:
            return fitted.predict(filled(test))
        scores = paired_scores(kind, validation[1], fitted.predict(filled(validation[0])))
        score = np.nan_to_num(scores[CHOSEN_BY[kind]], nan=-np.inf)
        if best is None or score > best[0]:
            best = score, fitted
    assert best is not None
    return best[1].predict(filled(test))


class _Linear:
    """One linear model a label, one for all classes, or one for the number; `predict` gives scores."""

    def __init__(self, kind: str, strength: float, num_outputs: int) -> None:
        self.kind, self.strength, self.num_outputs = kind, strength, num_outputs

    def fit(self, features: np.ndarray, targets: np.ndarray) -> "_Linear":
        """Fit; labels that all training rows share, or none has, get their share."""
        from sklearn.linear_model import Ridge

        if self.kind == "numbers":
            self.models: list[Any] = [Ridge(alpha=1.0 / self.strength).fit(features, targets)]
        elif self.kind == "classes":
            self.models = [self._logistic(features, targets) if len(np.unique(targets)) > 1 else int(targets[0])]
        else:
            shares = targets.mean(axis=0)
            self.models = [
                float(share) if share in (0.0, 1.0) else self._logistic(features, targets[:, at])
                for at, share in enumerate(shares)
            ]
        return self

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Give scores."""
        if self.kind == "numbers":
            return self.models[0].predict(features)
        scores = np.zeros((len(features), self.num_outputs))
        if self.kind == "classes":
            model = self.models[0]
            scores[:, model if isinstance(model, int) else model.classes_.astype(int)] = (
                1.0 if isinstance(model, int) else model.predict_proba(features)
            )
            return scores
        for at, model in enumerate(self.models):
            scores[:, at] = model if isinstance(model, float) else model.predict_proba(features)[:, 1]
        return scores

    def _logistic(self, features: np.ndarray, targets: np.ndarray) -> Any:
        from sklearn.linear_model import LogisticRegression

        # Not fully converged fits are as good for a score to two digits, and warnings of it would be many.
        return LogisticRegression(C=self.strength, max_iter=200, tol=1e-3).fit(features, targets)
