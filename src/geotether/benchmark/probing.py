"""The probes by name: each fits several targets at the same rows and predicts others, never seeing their labels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Integer, Shaped

from geotether.probes.decomposition import RidgeDecomposition
from geotether.probes.linear import fit_ridges, predict_ridges
from geotether.probes.neighbors import COUNTS, Neighborhood, NeighborProbe
from geotether.probes.target import Target


@dataclass(eq=False)
class TrainingRows:
    """Features of the labelled rows of one draw; what probes share is made once, when one first asks for it.

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
    _around: dict[str, Neighborhood] = field(default_factory=dict, repr=False)

    @property
    def basis(self) -> RidgeDecomposition:
        """The shared decomposition."""
        if self._basis is None:
            self._basis = RidgeDecomposition(self.features)
        return self._basis

    def around(self, space: str) -> Neighborhood:
        """The shared search for neighbours, on the sphere or in the features."""
        if space not in self._around:
            rows = self.lonlat if space == "sphere" else self.features
            self._around[space] = Neighborhood(rows, space, self.folds, max(COUNTS))
        return self._around[space]


@dataclass(frozen=True, eq=False)
class Answer:
    """Predictions of one probe for one target.

    Args:
        values: Predicted numbers, classes or labels at the judged rows.
        chosen: The hyper-parameter that the probe chose in the training rows, in words.
    """

    values: Shaped[np.ndarray, "m *c"]
    chosen: str


# Judged rows come as features and lonlat; labels of judged rows are not an argument of any probe.
Judge = Callable[[TrainingRows, Sequence[Target], Float[np.ndarray, "m d"], Float[np.ndarray, "m 2"]], list[Answer]]
ALL_KINDS = ("regression", "classification", "multilabel")


@dataclass(frozen=True)
class Probe:
    """A probe of the benchmark.

    Args:
        predict: Fits the targets and predicts the judged rows.
        kinds: The kinds of task that it answers.
    """

    predict: Judge
    kinds: tuple[str, ...] = ALL_KINDS


def mean(
    train: TrainingRows, targets: Sequence[Target], features: Float[np.ndarray, "m d"], lonlat: Float[np.ndarray, "m 2"]
) -> list[Answer]:
    """Always the mean of the training labels, or their most frequent class; nothing is learned of places."""
    answers = []
    for target in targets:
        column = np.broadcast_to(target.columns.mean(axis=0), (len(features), target.columns.shape[1]))
        answers.append(Answer(target.from_columns(column), "nothing"))
    return answers


def ridge(
    train: TrainingRows, targets: Sequence[Target], features: Float[np.ndarray, "m d"], lonlat: Float[np.ndarray, "m 2"]
) -> list[Answer]:
    """Ridge for all targets from one decomposition; classes and labels by 0/1 columns."""
    probes = fit_ridges(train.basis, targets, train.folds)
    values = predict_ridges(probes, features)
    return [Answer(value, f"alpha {probe.alpha_:g}") for probe, value in zip(probes, values, strict=True)]


def logistic(
    train: TrainingRows, targets: Sequence[Target], features: Float[np.ndarray, "m d"], lonlat: Float[np.ndarray, "m 2"]
) -> list[Answer]:
    """Multinomial logistic regression."""
    from geotether.probes.logistic import LogisticProbe

    answers = []
    for target in targets:
        probe = LogisticProbe().fit(train.basis, target, train.folds)
        answers.append(Answer(probe.predict(features), f"penalty {probe.penalty_:g}"))
    return answers


def mlp(
    train: TrainingRows, targets: Sequence[Target], features: Float[np.ndarray, "m d"], lonlat: Float[np.ndarray, "m 2"]
) -> list[Answer]:
    """Small neural network, tuned and stopped early on inner held-out folds."""
    from geotether.probes.mlp import TunedMlpProbe

    answers = []
    for target in targets:
        probe = TunedMlpProbe(target.kind, seed=train.seed).fit(train.features, target, train.folds)
        answers.append(Answer(probe.predict(features), f"{probe.trial_}, {probe.probe_.epochs_} epochs"))
    return answers


def neighbors(
    train: TrainingRows, targets: Sequence[Target], features: Float[np.ndarray, "m d"], lonlat: Float[np.ndarray, "m 2"]
) -> list[Answer]:
    """Nearest rows in the embedding, the nearer the weightier."""
    return _neighbors(train.around("features"), targets, features, (1.0,))


def neighbors_in_space(
    train: TrainingRows, targets: Sequence[Target], features: Float[np.ndarray, "m d"], lonlat: Float[np.ndarray, "m 2"]
) -> list[Answer]:
    """Nearest rows on the Earth, all alike; what the encoder says plays no part."""
    return _neighbors(train.around("sphere"), targets, lonlat, (0.0,))


def inverse_distance(
    train: TrainingRows, targets: Sequence[Target], features: Float[np.ndarray, "m d"], lonlat: Float[np.ndarray, "m 2"]
) -> list[Answer]:
    """Inverse distance weighting of the nearest rows on the Earth, with the power chosen."""
    return _neighbors(train.around("sphere"), targets, lonlat, (1.0, 2.0, 3.0))


def _neighbors(
    around: Neighborhood, targets: Sequence[Target], query: Float[np.ndarray, "m k"], powers: Sequence[float]
) -> list[Answer]:
    distance, index = around.around(query)
    answers = []
    for target in targets:
        probe = NeighborProbe(target.kind, around.space, powers=powers).fit(around, target)
        power = f", power {probe.power_:g}" if len(powers) > 1 else ""
        values = target.from_columns(probe.columns_of(distance, index))
        answers.append(Answer(values, f"k {probe.count_}{power}"))
    return answers


PROBES: dict[str, Probe] = {
    "ridge": Probe(ridge),
    "logistic": Probe(logistic, ("classification",)),
    "mlp": Probe(mlp),
    "neighbors": Probe(neighbors),
    "neighbors_in_space": Probe(neighbors_in_space),
    "inverse_distance": Probe(inverse_distance),
    "mean": Probe(mean),
}
# Probes that are not about an encoder: baselines bring them, and they stand in every table.
OWN_PROBES = ("neighbors_in_space", "inverse_distance", "mean")
# Those that add features up linearly.
LINEAR_PROBES = ("ridge", "logistic")
