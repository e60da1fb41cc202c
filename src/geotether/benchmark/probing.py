"""The probes by name: each fits several targets at the same rows and predicts others, without their labels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Integer, Shaped

from geotether.probes.decomposition import RidgeDecomposition
from geotether.probes.linear import fit_ridges, predict_ridges
from geotether.probes.neighbors import COUNTS, Neighborhood, NeighborProbe
from geotether.probes.target import ProbeTarget

Targets = Sequence[ProbeTarget]
Features = Float[np.ndarray, "m d"]
Places = Float[np.ndarray, "m 2"]


@dataclass(eq=False)
class TrainingRows:
    """Features, places and inner folds of the labelled rows of one draw; what probes share is computed once."""

    features: Float[np.ndarray, "n d"]
    lonlat: Float[np.ndarray, "n 2"]
    folds: Integer[np.ndarray, " n"]
    seed: int = 0

    @cached_property
    def basis(self) -> RidgeDecomposition:
        """The shared decomposition."""
        return RidgeDecomposition(self.features)

    @cached_property
    def in_features(self) -> Neighborhood:
        """The shared search for neighbours in the features."""
        return Neighborhood(self.features, "features", self.folds, max(COUNTS))

    @cached_property
    def in_space(self) -> Neighborhood:
        """The shared search for neighbours on the sphere."""
        return Neighborhood(self.lonlat, "sphere", self.folds, max(COUNTS))


@dataclass(frozen=True, eq=False)
class Answer:
    """Predictions of one probe for one target, and the hyper-parameter that it chose in the training rows, in words."""

    values: Shaped[np.ndarray, "m *c"]
    chosen: str


# Judged rows are passed as features and lonlat; no probe gets their labels.
Judge = Callable[[TrainingRows, Targets, Features, Places], list[Answer]]
ALL_KINDS = ("regression", "classification", "multilabel")


@dataclass(frozen=True)
class Probe:
    """A probe of the benchmark: a function that fits targets and predicts the judged rows, for some kinds of task."""

    predict: Judge
    kinds: tuple[str, ...] = ALL_KINDS


def mean(train: TrainingRows, targets: Targets, features: Features, lonlat: Places) -> list[Answer]:
    """Predict the mean of the training labels, or their most frequent class."""
    answers = []
    for target in targets:
        column = np.broadcast_to(target.columns.mean(axis=0), (len(features), target.columns.shape[1]))
        answers.append(Answer(target.from_columns(column), "nothing"))
    return answers


def ridge(train: TrainingRows, targets: Targets, features: Features, lonlat: Places) -> list[Answer]:
    """Fit ridge regression to all targets from one decomposition; classes and labels by columns of 0 and 1."""
    probes = fit_ridges(train.basis, targets, train.folds)
    values = predict_ridges(probes, features)
    return [Answer(value, f"alpha {probe.alpha_:g}") for probe, value in zip(probes, values, strict=True)]


def logistic(train: TrainingRows, targets: Targets, features: Features, lonlat: Places) -> list[Answer]:
    """Fit multinomial logistic regression."""
    from geotether.probes.logistic import LogisticProbe

    answers = []
    for target in targets:
        probe = LogisticProbe().fit(train.basis, target, train.folds)
        answers.append(Answer(probe.predict(features), f"penalty {probe.penalty_:g}"))
    return answers


def mlp(train: TrainingRows, targets: Targets, features: Features, lonlat: Places) -> list[Answer]:
    """Fit a small neural network, tuned and stopped early on inner held-out folds."""
    from geotether.probes.mlp import TunedMlpProbe

    answers = []
    for target in targets:
        probe = TunedMlpProbe(target.kind, seed=train.seed).fit(train.features, target, train.folds)
        answers.append(Answer(probe.predict(features), f"{probe.probe_}, {probe.probe_.epochs_} epochs"))
    return answers


def neighbors(train: TrainingRows, targets: Targets, features: Features, lonlat: Places) -> list[Answer]:
    """Average the nearest rows in the embedding, weighted by inverse distance."""
    return _neighbors(train.in_features, targets, features, (1.0,))


def neighbors_in_space(train: TrainingRows, targets: Targets, features: Features, lonlat: Places) -> list[Answer]:
    """Average the nearest rows on the Earth with equal weights; features are not used."""
    return _neighbors(train.in_space, targets, lonlat, (0.0,))


def inverse_distance(train: TrainingRows, targets: Targets, features: Features, lonlat: Places) -> list[Answer]:
    """Average the nearest rows on the Earth, weighted by a chosen power of the inverse distance."""
    return _neighbors(train.in_space, targets, lonlat, (1.0, 2.0, 3.0))


def _neighbors(
    around: Neighborhood, targets: Targets, query: Float[np.ndarray, "m k"], powers: Sequence[float]
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
# Probes that do not depend on an encoder: baselines bring them, and they are in every table.
OWN_PROBES = ("neighbors_in_space", "inverse_distance", "mean")
# Probes that are linear in the features.
LINEAR_PROBES = ("ridge", "logistic")
