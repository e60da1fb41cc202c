"""Ridge probe: linear regression on frozen features, with a penalty chosen on held-out spatial blocks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Integer, Shaped

from geotether.probes.decomposition import RidgeDecomposition
from geotether.probes.target import ProbeTarget, TargetProbe

# Features have unit variance, so X^T X has eigenvalues from far below 1 up to n times d.
ALPHAS = tuple(float(alpha) for alpha in 10.0 ** np.linspace(-1.0, 5.0, 9))


@dataclass(eq=False)
class RidgeProbe(TargetProbe):
    """Linear least squares with an L2 penalty on standardised features; classes and labels by columns of 0 and 1.

    The penalty with the best predictions for held-out folds of the training rows is chosen: smallest squared error for
    numbers and labels; highest accuracy for classes, ties by the smaller squared error.

    Args:
        kind: "regression", "classification" or "multilabel".
        alphas: Penalties to choose from, each above 0, as in scikit-learn's `Ridge`.

    Attributes:
        alpha_: The chosen penalty, after `fit`.
        weights_, intercept_: Shape (d, t) and (t,), on standardised features.

    Example:
        >>> x = np.linspace(0, 1, 20)[:, None]
        >>> probe = RidgeProbe(alphas=(1e-3, 10.0)).fit(x, 3 * x[:, 0] + 1, folds=np.arange(20) // 4)
        >>> probe.alpha_, bool(abs(probe.predict(np.array([[2.0]]))[0] - 7) < 0.01)
        (0.001, True)
    """

    kind: str = "regression"
    alphas: Sequence[float] = ALPHAS

    def _fit(self, features: Float[np.ndarray, "n d"], folds: Integer[np.ndarray, " n"] | None) -> None:
        self.__dict__ |= fit_ridges(RidgeDecomposition(features), [self.target_], folds, self.alphas)[0].__dict__

    def _solve(self, basis: RidgeDecomposition, target: ProbeTarget, alpha: float) -> "RidgeProbe":
        self.basis_, self.target_, self.alpha_ = basis, target, alpha
        self.weights_, self.intercept_ = basis.solve(target.columns, alpha)
        return self

    def columns(self, features: Float[np.ndarray, "m d"]) -> Float64[np.ndarray, "m t"]:
        """Return the number, or one score per class or label."""
        return self.basis_.predict(features, self.weights_, self.intercept_)


def fit_ridges(
    basis: RidgeDecomposition,
    targets: Sequence[ProbeTarget],
    folds: Integer[np.ndarray, " _"] | None = None,
    alphas: Sequence[float] = ALPHAS,
) -> list[RidgeProbe]:
    """Fit one ridge probe per target from one decomposition.

    Args:
        basis: Decomposition of the features of the training rows.
        targets: Labels of the same rows, any mix of kinds.
        folds: The inner fold of each row, shape (n,); None: every row is its own fold.
        alphas: Penalties to choose from, each above 0.

    Raises:
        ValueError: If an alpha is not above 0, a target has a different number of rows, or all rows are in one fold.
    """
    strengths = np.asarray(alphas, dtype=np.float64)
    if strengths.ndim != 1 or not len(strengths) or not (np.isfinite(strengths) & (strengths > 0)).all():
        raise ValueError(f"alphas must be numbers above 0, got {tuple(alphas)}.")
    for target in targets:
        if len(target) != basis.num_rows:
            raise ValueError(f"the decomposition has {basis.num_rows} rows, but a target has {len(target)}.")
    folds = np.arange(basis.num_rows) if folds is None else folds
    if len(folds) != basis.num_rows:
        raise ValueError(f"the decomposition has {basis.num_rows} rows, but folds has {len(folds)}.")
    if len(strengths) > 1 and len(np.unique(folds)) < 2:
        raise ValueError("all rows are in one fold, so nothing can be held out: pass at least two folds or one alpha.")

    errors, right = held_out_scores(basis, targets, folds, strengths)
    probes = []
    for i, target in enumerate(targets):
        # Highest accuracy first (always equal for numbers), then the smallest squared error.
        best = int(np.where(right[i] == right[i].max(), errors[i], np.inf).argmin())
        probes.append(RidgeProbe(target.kind, alphas)._solve(basis, target, float(strengths[best])))
    return probes


def held_out_scores(
    basis: RidgeDecomposition,
    targets: Sequence[ProbeTarget],
    folds: Integer[np.ndarray, " n"],
    alphas: Float64[np.ndarray, " a"],
) -> tuple[Float64[np.ndarray, "t a"], Float64[np.ndarray, "t a"]]:
    """Return mean squared held-out error and share of right classes (0 for other kinds), each (targets, alphas)."""
    errors, right = np.zeros((len(targets), len(alphas))), np.zeros((len(targets), len(alphas)))
    if len(alphas) == 1:
        return errors, right
    columns = np.concatenate([target.columns for target in targets], axis=1)
    ends = np.cumsum([target.columns.shape[1] for target in targets])
    for rows, predicted in basis.held_out(columns, alphas, folds):
        for i, target in enumerate(targets):
            own = predicted[:, :, ends[i] - target.columns.shape[1] : ends[i]]
            errors[i] += ((own - target.columns[rows]) ** 2).mean(axis=2).sum(axis=1) / basis.num_rows
            if target.kind == "classification":
                right[i] += (own.argmax(axis=2) == target.codes[rows]).sum(axis=1)
    return errors, right / basis.num_rows


def predict_ridges(
    probes: Sequence[RidgeProbe], features: Float[np.ndarray, "m d"]
) -> list[Shaped[np.ndarray, "m *_"]]:
    """Predict rows (m, d) with the probes of one call of `fit_ridges`, in one pass over the features."""
    weights = np.concatenate([probe.weights_ for probe in probes], axis=1)
    intercept = np.concatenate([probe.intercept_ for probe in probes])
    columns = probes[0].basis_.predict(features, weights, intercept)
    ends = np.cumsum([probe.weights_.shape[1] for probe in probes])[:-1]
    return [p.target_.from_columns(own) for p, own in zip(probes, np.split(columns, ends, axis=1), strict=True)]
