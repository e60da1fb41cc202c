"""Multi-label probe: one logistic regression per label, fitted together with one penalty for all."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Shaped
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from geotether.probes.decomposition import RidgeDecomposition
from geotether.probes.logistic import Solution, held_out_fifth, minimise, principal_rows, to_feature_weights
from geotether.probes.scores import (
    MultiLabelScores,
    average_precisions,
    choose_thresholds,
    judge_labels,
    known_label_rows,
)

# 1 / C of scikit-learn.
PENALTIES = (0.1, 1.0, 10.0, 100.0, 1000.0)
# Steps per candidate: enough to rank penalties.
CHOOSING_STEPS = 20


@dataclass(eq=False)
class MultiLabelProbe:
    """One-vs-rest logistic regression with an L2 penalty on standardised features, in float32 by L-BFGS.

    The penalty with the highest macro average precision on validation rows is chosen for all labels (equal: the smaller
    loss). Thresholds are chosen on the same rows, with the fit that excludes them. Then all rows are fitted. A label
    that all or none of the rows have is predicted with its frequency.

    Args:
        penalties: Strengths to choose from, each 1 / C of scikit-learn's `LogisticRegression`, above 0.
        max_steps: Most L-BFGS steps of the last fit.
        refit: Whether the last fit includes the validation rows; else they only choose penalty and thresholds.

    Attributes:
        penalty_: The chosen strength, after `fit`.
        weights_, intercept_: Shape (d, c) and (c,), on standardised features.
        validation_labels_, validation_probabilities_: Of the rows that chose the penalty, each of shape (v, c).
        thresholds_: One per label, with the highest macro F1 on the validation rows, shape (c,).

    Source:
        Rifkin & Klautau (2004), "In Defense of One-Vs-All Classification", JMLR 5:101.

    Example:
        >>> x = np.linspace(-1, 1, 40)[:, None]
        >>> labels = np.concatenate([x > 0, x < 0.5], axis=1).astype(float)
        >>> probe = MultiLabelProbe(penalties=(0.1,)).fit(x, labels)
        >>> probe.predict(np.array([[-0.9], [0.3], [0.9]])).tolist()
        [[0, 1], [1, 1], [1, 0]]
    """

    penalties: Sequence[float] = PENALTIES
    max_steps: int = 100
    refit: bool = True

    def fit(
        self,
        features: Float[np.ndarray, "n d"],
        labels: Shaped[np.ndarray, "m c"],
        validation: Bool[np.ndarray, " v"] | None = None,
    ) -> "MultiLabelProbe":
        """Fit on training rows.

        Args:
            features: Features of the training rows, shape (n, d).
            labels: 0 and 1, shape (n, c); whole rows of NaN are left out.
            validation: True for rows that choose the penalty and the thresholds, such as `held_out_fifth(folds, n)` for
                whole spatial blocks. None: every fifth labelled row.

        Raises:
            ValueError: If lengths differ, a penalty is not above 0, or no labelled row is left to train on, to validate
                on, or has a label.
        """
        if len(features) != len(labels):
            raise ValueError(f"{len(features)} rows of features, but {len(labels)} of labels.")
        if validation is not None and len(validation) != len(labels):
            raise ValueError(f"`validation` has {len(validation)} entries for {len(labels)} rows.")
        if not len(self.penalties) or not min(self.penalties) > 0:
            raise ValueError(f"penalties must be numbers above 0, got {tuple(self.penalties)}.")
        known = known_label_rows(labels)
        held = held_out_fifth(None, int(known.sum())) if validation is None else validation[known]
        if held.all() or not held.any():
            raise ValueError(
                f"of {len(held)} rows with labels {int(held.sum())} are for validation; both parts need rows: label "
                "more rows, or mark other rows by `validation`."
            )
        basis = RidgeDecomposition(features[known])
        self.basis_ = basis
        rows = torch.from_numpy(np.ascontiguousarray(principal_rows(basis), dtype=np.float32))
        wanted = torch.from_numpy(labels[known].astype(np.float32))
        start = self._choose(rows, wanted, held)
        fitted = torch.from_numpy(np.ones_like(held) if self.refit else ~held)
        weights, intercept = self._minimise(rows[fitted], wanted[fitted], self.penalty_, start, self.max_steps)
        self.weights_ = to_feature_weights(basis, weights.numpy().astype(np.float64))
        self.intercept_ = intercept.numpy().astype(np.float64)
        return self

    def _choose(
        self, rows: Float[Tensor, "n k"], wanted: Float[Tensor, "n c"], held: Shaped[np.ndarray, " n"]
    ) -> Solution:
        """Choose penalty and thresholds by the held-out rows; return the solution to start the last fit from."""
        out = torch.from_numpy(held)
        labels = wanted[out].numpy().astype(np.float64)
        best, start = None, None
        # From strong to weak: each solution is a good start for the next.
        for penalty in sorted(self.penalties, reverse=True):
            steps = min(CHOOSING_STEPS, self.max_steps) if len(self.penalties) > 1 else self.max_steps
            start = self._minimise(rows[~out], wanted[~out], penalty, start, steps)
            logits = rows[out] @ start[0] + start[1]
            loss = float(binary_cross_entropy_with_logits(logits, wanted[out]))
            probabilities = logits.double().sigmoid().numpy()
            precision = average_precisions(labels, probabilities).macro if labels.any() else 0.0
            if best is None or (-precision, loss) < best[0]:
                best = ((-precision, loss), penalty, start, probabilities)
        assert best is not None
        self.penalty_, solution = float(best[1]), best[2]
        self.validation_labels_, self.validation_probabilities_ = labels, best[3]
        shape = labels.shape[1]
        self.thresholds_ = choose_thresholds(labels, best[3], "macro") if labels.any() else np.full(shape, 0.5)
        return solution

    def _minimise(
        self,
        rows: Float[Tensor, "n k"],
        wanted: Float[Tensor, "n c"],
        penalty: float,
        start: Solution | None,
        steps: int,
    ) -> Solution:
        """Return weights and intercepts of all labels at one penalty, in the basis of the rotated rows."""
        count = len(rows)
        frequency = (wanted.sum(dim=0) + 0.5) / (count + 1)
        varied = (wanted != wanted[:1]).any(dim=0)
        weights, bias = torch.zeros(rows.shape[1], wanted.shape[1]), frequency.logit()
        if not varied.any():
            return weights, bias
        own, targets = frequency[varied], wanted[:, varied]
        # p (1 - p) is the curvature at the start; it is smaller near the optimum, where predictions are certain.
        confidence = (own * (1 - own)).sqrt() / 2
        first, offset = (part[..., varied] for part in ((weights, bias) if start is None else start))

        def loss_of(logits: Tensor) -> Tensor:
            return binary_cross_entropy_with_logits(logits, targets, reduction="sum") / count

        squares = rows.square().sum(dim=0)
        found = minimise(loss_of, rows, squares, confidence, penalty, (first, offset), steps, 1e-7)
        weights[:, varied], bias[varied] = found
        return weights, bias

    def columns(self, features: Float[np.ndarray, "m d"]) -> Float64[np.ndarray, "m c"]:
        """Return the probability of each label."""
        logits = self.basis_.predict(features, self.weights_, self.intercept_)
        return 1 / (1 + np.exp(-np.clip(logits, -500, 500)))

    def predict(self, features: Float[np.ndarray, "m d"]) -> Shaped[np.ndarray, "m c"]:
        """Predict 0 or 1 for each label, by its own threshold."""
        return (self.columns(features) >= self.thresholds_).astype(np.int64)

    def judge(self, features: Float[np.ndarray, "m d"], labels: Shaped[np.ndarray, "_ c"]) -> MultiLabelScores:
        """Score test rows (m, d) and labels (m, c) with the thresholds of the validation rows; see `judge_labels`."""
        validation = self.validation_labels_, self.validation_probabilities_
        return judge_labels(labels, self.columns(features), validation)
