"""The probes that a map is made with, and the baselines that know places and labels alone, by name."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from geotether.benchmark.probing import TrainingRows
from geotether.geodesy.coordinates import unit_vectors
from geotether.probes.boosting import MOST_CLASSES, BoostingProbe
from geotether.probes.calibration import class_scores
from geotether.probes.gaussian_process import GaussianProcessProbe
from geotether.probes.linear import fit_ridges
from geotether.probes.logistic import LogisticProbe
from geotether.probes.neighbors import NeighborProbe
from geotether.probes.target import ProbeTarget, TargetProbe

CLASS_COMPONENTS = 32


@dataclass(frozen=True)
class Candidate:
    """One way to predict labels at places.

    Args:
        fit: Fits a probe to training rows and their labels.
        reads: What the probe reads of a place: "embedding", "lonlat" or "unit vectors".
        says: What its columns of classes are; see `class_scores`.
        kinds: Kinds of labels that it can predict.
        most_classes: Largest number of classes.
    """

    fit: Callable[[TrainingRows, ProbeTarget], TargetProbe]
    reads: str = "embedding"
    says: str = "shares"
    kinds: tuple[str, ...] = ("regression", "classification")
    most_classes: float = np.inf

    def suits(self, target: ProbeTarget) -> bool:
        """Tell whether it can predict such labels."""
        few = target.kind != "classification" or len(target.classes) <= self.most_classes
        return target.kind in self.kinds and few


@dataclass(frozen=True, eq=False)
class FittedCandidate:
    """A candidate fitted to training rows."""

    candidate: Candidate
    probe: TargetProbe

    def columns(
        self, features: Float[np.ndarray, "m d"], lonlat: Float[np.ndarray, "m 2"]
    ) -> Float64[np.ndarray, "m t"]:
        """Return the number, shape (m, 1), or the score of each class of the training rows (`class_scores`)."""
        read = {"embedding": lambda: features, "lonlat": lambda: lonlat, "unit vectors": lambda: unit_vectors(lonlat)}
        columns = self.probe.columns(read[self.candidate.reads]())
        if self.probe.target_.kind == "regression":
            return np.asarray(columns, dtype=np.float64)
        return class_scores(self.candidate.says, columns)

    @property
    def weights(self) -> Float64[np.ndarray, " d"] | None:
        """Importance of each column of the embedding, of a linear probe; None of others."""
        weights = getattr(self.probe, "weights_", None)
        return None if weights is None or self.candidate.reads != "embedding" else np.linalg.norm(weights, axis=1)


def ridge(rows: TrainingRows, target: ProbeTarget) -> TargetProbe:
    """Fit ridge regression."""
    return fit_ridges(rows.basis, [target], rows.folds)[0]


def logistic(rows: TrainingRows, target: ProbeTarget) -> TargetProbe:
    """Fit multinomial logistic regression."""
    return LogisticProbe().fit(rows.basis, target, rows.folds)


def neighbors(rows: TrainingRows, target: ProbeTarget) -> TargetProbe:
    """Fit nearest neighbours in the embedding."""
    return NeighborProbe(target.kind, "features").fit(rows.in_features, target, rows.folds)


def boosting(rows: TrainingRows, target: ProbeTarget) -> TargetProbe:
    """Fit gradient boosting on the embedding."""
    probe = BoostingProbe(target.kind)
    if target.kind == "classification":
        probe.components = CLASS_COMPONENTS
    return probe.fit(rows.features, target)


def inverse_distance(rows: TrainingRows, target: ProbeTarget) -> TargetProbe:
    """Fit inverse distance weighting on the sphere."""
    return NeighborProbe(target.kind, "sphere", powers=(1.0, 2.0, 3.0)).fit(rows.in_space, target, rows.folds)


def nearest_in_space(rows: TrainingRows, target: ProbeTarget) -> TargetProbe:
    """Fit the mean, or vote, of the nearest places."""
    return NeighborProbe(target.kind, "sphere", powers=(0.0,)).fit(rows.in_space, target, rows.folds)


def gaussian_process(rows: TrainingRows, target: ProbeTarget) -> TargetProbe:
    """Fit a Gaussian process in space."""
    return GaussianProcessProbe(target.kind, rows.seed).fit(rows.lonlat, target)


def coordinates_alone(rows: TrainingRows, target: ProbeTarget) -> TargetProbe:
    """Fit gradient boosting on the place as a point on the unit sphere."""
    return BoostingProbe(target.kind).fit(unit_vectors(rows.lonlat), target)


CANDIDATES: dict[str, Candidate] = {
    "ridge": Candidate(ridge),
    "logistic": Candidate(logistic, says="logarithms", kinds=("classification",)),
    "neighbors": Candidate(neighbors),
    "boosting": Candidate(boosting, says="logarithms", most_classes=MOST_CLASSES),
}
BASELINES: dict[str, Candidate] = {
    "Gaussian process in space": Candidate(gaussian_process, "lonlat"),
    "inverse distance": Candidate(inverse_distance, "lonlat"),
    "nearest in space": Candidate(nearest_in_space, "lonlat"),
    "coordinates alone": Candidate(coordinates_alone, "unit vectors", "logarithms", most_classes=MOST_CLASSES),
}
