"""The probes by name: each fits several targets at the same rows and predicts others, never seeing their labels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Integer, Shaped

from geotether.probes.decomposition import RidgeDecomposition
from geotether.probes.linear import fit_ridges, predict_ridges
from geotether.probes.neighbors import NeighborProbe
from geotether.probes.target import Target


@dataclass(eq=False)
class TrainingRows:
    """Features of the labelled rows of one draw; their decomposition is made once, when a probe first asks for it.

    Args:
        features: Shape (n, d).
        lonlat: Shape (n, 2).
        folds: Inner fold of each row.
        seed: Seed for probes with random parts.
    """

    features: Float[np.ndarray, "n d"]
    lonlat: Float[np.ndarray, "n 2"]
    folds: Integer[np.ndarray, " n"]
    seed: int = 0
    _basis: RidgeDecomposition | None = field(default=None, repr=False)

    @property
    def basis(self) -> RidgeDecomposition:
        """The shared decomposition."""
        if self._basis is None:
            self._basis = RidgeDecomposition(self.features)
        return self._basis


@dataclass(frozen=True, eq=False)
class Answer:
    """Predictions of one probe for one target.

    Args:
        values: Predicted numbers or classes at the judged rows.
        chosen: The hyper-parameter that the probe chose in the training rows, in words.
    """

    values: Shaped[np.ndarray, " m"]
    chosen: str


# Judged rows come as features and lonlat; labels of judged rows are not an argument of any probe.
Judge = Callable[
    [TrainingRows, Sequence[Target], Float[np.ndarray, "m d"], Float[np.ndarray, "m 2"]], list[Answer | None]
]


def ridge(
    train: TrainingRows,
    targets: Sequence[Target],
    features: Float[np.ndarray, "m d"],
    lonlat: Float[np.ndarray, "m 2"],
) -> list[Answer | None]:
    """Ridge for all targets from one decomposition; classes by 0/1 columns."""
    probes = fit_ridges(train.basis, targets, train.folds)
    values = predict_ridges(probes, features)
    return [Answer(value, f"alpha {probe.alpha_:g}") for probe, value in zip(probes, values, strict=True)]


def logistic(
    train: TrainingRows,
    targets: Sequence[Target],
    features: Float[np.ndarray, "m d"],
    lonlat: Float[np.ndarray, "m 2"],
) -> list[Answer | None]:
    """Multinomial logistic regression; answers classification only."""
    from geotether.probes.logistic import LogisticProbe

    answers: list[Answer | None] = []
    for target in targets:
        if target.kind == "classification":
            probe = LogisticProbe().fit(train.basis, target, train.folds)
            answers.append(Answer(probe.predict(features), f"penalty {probe.penalty_:g}"))
        else:
            answers.append(None)
    return answers


def mlp(
    train: TrainingRows,
    targets: Sequence[Target],
    features: Float[np.ndarray, "m d"],
    lonlat: Float[np.ndarray, "m 2"],
) -> list[Answer | None]:
    """Small neural network, stopped early on inner held-out folds."""
    from geotether.probes.mlp import MlpProbe

    answers: list[Answer | None] = []
    for target in targets:
        probe = MlpProbe(target.kind, seed=train.seed).fit(train.features, target, train.folds)
        answers.append(Answer(probe.predict(features), f"epochs {probe.epochs_}"))
    return answers


def neighbors(
    train: TrainingRows,
    targets: Sequence[Target],
    features: Float[np.ndarray, "m d"],
    lonlat: Float[np.ndarray, "m 2"],
) -> list[Answer | None]:
    """Nearest rows in the embedding."""
    return _neighbors(train.features, train, targets, features, "features")


def neighbors_in_space(
    train: TrainingRows,
    targets: Sequence[Target],
    features: Float[np.ndarray, "m d"],
    lonlat: Float[np.ndarray, "m 2"],
) -> list[Answer | None]:
    """Nearest rows on the Earth; what the encoder says plays no part."""
    return _neighbors(train.lonlat, train, targets, lonlat, "sphere")


def _neighbors(
    known: Float[np.ndarray, "n k"],
    train: TrainingRows,
    targets: Sequence[Target],
    query: Float[np.ndarray, "m k"],
    space: str,
) -> list[Answer | None]:
    answers: list[Answer | None] = []
    for target in targets:
        probe = NeighborProbe(target.kind, space).fit(known, target, train.folds)
        answers.append(Answer(probe.predict(query), f"k {probe.count_}"))
    return answers


PROBES: dict[str, Judge] = {
    "ridge": ridge,
    "logistic": logistic,
    "mlp": mlp,
    "neighbors": neighbors,
    "neighbors_in_space": neighbors_in_space,
}
