"""Nearest-neighbour probe: what the closest training rows say, close on the sphere or close in the embedding."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float64, Integer, Shaped

from geotether.geodesy.coordinates import unit_vectors
from geotether.probes.target import Target, as_target

COUNTS = (1, 2, 3, 5, 8, 12, 20, 32)
SPACES = ("sphere", "features")
# Up to this width a k-d tree is faster than comparing all pairs.
TREE_COLUMNS = 8
CHUNK_ROWS = 1024


class NeighborProbe:
    """Mean (numbers) or vote (classes) of the k nearest training rows, each weighted by 1 / distance.

    k is chosen on held-out folds of the training rows: a row may be predicted only by rows of other folds.

    Args:
        kind: "regression" or "classification".
        space: "sphere": rows are (lon, lat) in degrees and distance is great-circle; "features": rows are
            embeddings, standardised column by column on the training rows, and distance is Euclidean.
        counts: Numbers of neighbours to choose from, each 1 or more.

    Attributes:
        count_: The chosen number of neighbours.

    Example:
        >>> lonlat = np.array([[179.0, 0.0], [0.0, 0.0], [10.0, 0.0]])
        >>> probe = NeighborProbe("classification", counts=(1,)).fit(lonlat, np.array(["fiji", "gulf", "gabon"]))
        >>> probe.predict(np.array([[-179.0, 0.0]])).tolist()
        ['fiji']
    """

    def __init__(self, kind: str = "regression", space: str = "sphere", counts: Sequence[int] = COUNTS) -> None:
        self.kind = kind
        self.space = space
        self.counts = counts

    def fit(
        self,
        features: Float[np.ndarray, "n d"],
        target: Target | Shaped[np.ndarray, " _"],
        folds: Integer[np.ndarray, " _"] | None = None,
    ) -> "NeighborProbe":
        """Keep the training rows and choose k.

        Args:
            features: Training rows, shape (n, 2) of lonlat or (n, d), by `space`.
            target: Their labels, shape (n,).
            folds: The inner fold of each row. None: every row is its own fold.

        Returns:
            The fitted probe.

        Raises:
            ValueError: If lengths differ, `space` is unknown, or a count is below 1.
        """
        self.target_ = target = as_target(target, self.kind)
        if len(target) != len(features):
            raise ValueError(f"{len(features)} rows of features, but {len(target)} labels.")
        if self.space not in SPACES:
            raise ValueError(f"space is one of {', '.join(SPACES)}; got {self.space!r}.")
        if not len(self.counts) or min(self.counts) < 1:
            raise ValueError(f"counts must be 1 or more, got {tuple(self.counts)}.")
        if self.space == "features":
            scale = features.std(axis=0, dtype=np.float64)
            self.mean_, self.scale_ = features.mean(axis=0, dtype=np.float64), np.where(scale > 0, scale, np.inf)
        self.vectors_ = self._vectors(features)
        self.count_ = int(self.counts[0])
        if len(self.counts) > 1 and len(target) > 1:
            self.count_ = self._choose(np.arange(len(target)) if folds is None else folds)
        return self

    def _choose(self, folds: Integer[np.ndarray, " n"]) -> int:
        """The count whose held-out predictions are best; with one fold, the first count."""
        names = np.unique(folds)
        if len(names) < 2:
            return int(self.counts[0])
        if len(names) > 20:  # merge whole folds: one search tree a fold is built
            folds, names = np.searchsorted(names, folds) % 20, np.arange(20)
        error = np.zeros(len(self.counts))
        for fold in names:
            held = folds == fold
            predicted = self._columns(self.vectors_[held], self.vectors_[~held], self.target_.columns[~held])
            for i in range(len(self.counts)):
                if self.kind == "classification":
                    error[i] += (predicted[i].argmax(axis=1) != self.target_.codes[held]).sum()
                else:
                    error[i] += ((predicted[i] - self.target_.columns[held]) ** 2).sum()
        return int(self.counts[int(error.argmin())])

    def _vectors(self, features: Float[np.ndarray, "m d"]) -> Float64[np.ndarray, "m k"]:
        if self.space == "sphere":
            return unit_vectors(features.astype(np.float64))
        return (features - self.mean_) / self.scale_

    def _columns(
        self, query: Float64[np.ndarray, "m k"], known: Float64[np.ndarray, "n k"], columns: Float64[np.ndarray, "n t"]
    ) -> Float64[np.ndarray, "c m t"]:
        """Weighted means of the columns of the nearest known rows, for every count."""
        counts = [min(count, len(known)) for count in self.counts]
        distance, index = nearest(query, known, max(counts))
        if self.space == "sphere":  # chord to angle
            distance = 2.0 * np.arcsin(np.clip(distance / 2.0, 0.0, 1.0))
        # A floor keeps a row at the very same place from weighing infinitely: 1e-6 radian is about 6 m.
        weight = 1.0 / (distance + 1e-6)
        out = np.empty((len(counts), len(query), columns.shape[1]))
        for start in range(0, len(query), CHUNK_ROWS):
            rows = slice(start, start + CHUNK_ROWS)
            said = np.cumsum(columns[index[rows]] * weight[rows, :, None], axis=1)
            total = np.cumsum(weight[rows], axis=1)
            for i, count in enumerate(counts):
                out[i, rows] = said[:, count - 1] / total[:, count - 1, None]
        return out

    def columns(self, features: Float[np.ndarray, "m d"]) -> Float64[np.ndarray, "m t"]:
        """The weighted mean, or the weighted share of each class."""
        chosen = NeighborProbe(self.kind, self.space, (self.count_,))
        return chosen._columns(self._vectors(features), self.vectors_, self.target_.columns)[0]

    def predict(self, features: Float[np.ndarray, "m d"]) -> Shaped[np.ndarray, " m"]:
        """Predict a number or a class for each row."""
        return self.target_.from_columns(self.columns(features))


def nearest(
    query: Float64[np.ndarray, "m k"], known: Float64[np.ndarray, "n k"], count: int
) -> tuple[Float64[np.ndarray, "m c"], Integer[np.ndarray, "m c"]]:
    """The nearest known rows of every query row by Euclidean distance, nearest first.

    Args:
        query: Shape (m, k).
        known: Shape (n, k).
        count: How many, at most n.

    Returns:
        Distances and row numbers, each (m, count).
    """
    if known.shape[1] <= TREE_COLUMNS:
        from scipy.spatial import cKDTree

        distance, index = cKDTree(known).query(query, k=np.arange(1, count + 1))
        return np.asarray(distance), np.asarray(index)
    distances, indices = np.empty((len(query), count)), np.empty((len(query), count), dtype=np.int64)
    squares = (known**2).sum(axis=1)
    for start in range(0, len(query), CHUNK_ROWS):
        rows = slice(start, start + CHUNK_ROWS)
        squared = squares - 2.0 * query[rows] @ known.T + (query[rows] ** 2).sum(axis=1, keepdims=True)
        few = np.argpartition(squared, count - 1, axis=1)[:, :count]
        order = np.argsort(np.take_along_axis(squared, few, axis=1), axis=1, kind="stable")
        indices[rows] = np.take_along_axis(few, order, axis=1)
        distances[rows] = np.sqrt(np.maximum(np.take_along_axis(squared, indices[rows], axis=1), 0.0))
    return distances, indices
