"""Nearest-neighbour probe: the labels of the nearest training rows, on the sphere or in the embedding."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Integer

from geotether.geodesy.coordinates import unit_vectors
from geotether.moments import mean_and_scale
from geotether.probes.target import TargetProbe

COUNTS = (1, 2, 3, 5, 8, 12, 20, 32)
POWERS = (1.0,)
SPACES = ("sphere", "features")
CHUNK_ROWS = 512
# Up to this number of columns a k-d tree is faster than comparing all pairs.
TREE_COLUMNS = 8
# Rows to choose the count by; comparing all rows with all costs more than predicting.
CHOOSING_ROWS = 1000


class Neighborhood:
    """Training rows and their nearest neighbours, found once for all targets; arguments as for `NeighborProbe`.

    `count` is the largest number of neighbours needed.
    """

    def __init__(
        self, features: Float[np.ndarray, "n d"], space: str, folds: Integer[np.ndarray, " n"] | None, count: int
    ) -> None:
        self.space, self.count = space, min(count, len(features))
        if space == "features":
            self.mean, self.scale = mean_and_scale(features, constant=np.inf)
        self.vectors = self._vectors(features)
        self.folds = np.arange(len(features)) if folds is None else folds
        self._inner: tuple[Integer[np.ndarray, " h"], np.ndarray, np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self.vectors)

    def _vectors(self, features: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "m k"]:
        if self.space == "sphere":
            return unit_vectors(features.astype(np.float64))
        dtype = np.dtype(np.float32 if features.dtype == np.float32 else np.float64)
        return (features - self.mean.astype(dtype)) / self.scale.astype(dtype)

    def around(
        self, features: Float[np.ndarray, "m d"]
    ) -> tuple[Float64[np.ndarray, "m c"], Integer[np.ndarray, "m c"]]:
        """Return distances and numbers of the training rows nearest to other rows."""
        distance, index = nearest(self._vectors(features), self.vectors, self.count)
        return self._angles(distance), index

    def held_out(self) -> tuple[Integer[np.ndarray, " h"], Float64[np.ndarray, "h c"], Integer[np.ndarray, "h c"]]:
        """Return up to 1,000 training rows, with distances and numbers of the nearest rows of other folds."""
        if self._inner is None:
            rows = np.arange(len(self.vectors))
            if len(rows) > CHOOSING_ROWS:
                rows = np.sort(np.random.default_rng(0).permutation(rows)[:CHOOSING_ROWS])
            distance, index = nearest(self.vectors[rows], self.vectors, self.count, self.folds[rows], self.folds)
            self._inner = rows, self._angles(distance), index
        return self._inner

    def _angles(self, distance: Float[np.ndarray, "m c"]) -> Float64[np.ndarray, "m c"]:
        distance = distance.astype(np.float64)
        if self.space == "sphere":  # chord to angle; infinity, for a row of the same fold, stays
            return np.where(np.isinf(distance), np.inf, 2.0 * np.arcsin(np.clip(distance / 2.0, 0.0, 1.0)))
        return distance


@dataclass(eq=False)
class NeighborProbe(TargetProbe):
    """Mean (numbers) or vote (classes) of the k nearest training rows, weighted by a power of 1 / distance.

    k and the power are chosen on held-out folds of the training rows (1,000 of them if there are more): a row is
    predicted only by rows of other folds.

    Args:
        kind: "regression", "classification" or "multilabel".
        space: "sphere": rows are (lon, lat) in degrees with great-circle distance; "features": rows are embeddings,
            standardised by the training rows, with Euclidean distance.
        counts: Numbers of neighbours to choose from, each 1 or more.
        powers: Powers to choose from, each 0 (equal weights) or more.

    Attributes:
        count_, power_: The chosen number of neighbours and power.

    Source:
        Shepard (1968), ACM National Conference, 517 (weights by powers of the inverse distance).

    Example:
        >>> lonlat = np.array([[179.0, 0.0], [0.0, 0.0], [10.0, 0.0]])
        >>> probe = NeighborProbe("classification", counts=(1,)).fit(lonlat, np.array(["fiji", "gulf", "gabon"]))
        >>> probe.predict(np.array([[-179.0, 0.0]])).tolist()
        ['fiji']
    """

    kind: str = "regression"
    space: str = "sphere"
    counts: Sequence[int] = COUNTS
    powers: Sequence[float] = POWERS

    def _fit(
        self, features: "Float[np.ndarray, 'n d'] | Neighborhood", folds: Integer[np.ndarray, " n"] | None
    ) -> None:
        if self.space not in SPACES:
            raise ValueError(f"space is one of {', '.join(SPACES)}; got {self.space!r}.")
        if not len(self.counts) or min(self.counts) < 1:
            raise ValueError(f"counts must be 1 or more, got {tuple(self.counts)}.")
        if not len(self.powers) or not min(self.powers) >= 0:
            raise ValueError(f"powers must be 0 or more, got {tuple(self.powers)}.")
        if not isinstance(features, Neighborhood):
            features = Neighborhood(features, self.space, folds, max(self.counts))
        self.around_ = features
        self.count_, self.power_ = int(self.counts[0]), float(self.powers[0])
        if len(self.counts) * len(self.powers) > 1 and len(np.unique(self.around_.folds)) > 1:
            self._choose()

    def _choose(self) -> None:
        """Choose the count and power with the best held-out predictions, the first of equals."""
        rows, distance, index = self.around_.held_out()
        best = np.inf
        for power in self.powers:
            said = self._running_means(distance, index, power)
            for count in self.counts:
                columns = said[:, min(count, distance.shape[1]) - 1]
                if self.kind == "classification":
                    error = float((columns.argmax(axis=1) != self.target_.codes[rows]).sum())
                else:
                    error = float(((columns - self.target_.columns[rows]) ** 2).sum())
                if error < best:
                    best, self.count_, self.power_ = error, int(count), float(power)

    def _running_means(
        self, distance: Float64[np.ndarray, "m c"], index: Integer[np.ndarray, "m c"], power: float
    ) -> Float64[np.ndarray, "m c t"]:
        """Return weighted means of the columns of the first 1, 2, ... c neighbours."""
        weight = weights_of(distance, power)
        out = np.empty((*index.shape, self.target_.columns.shape[1]))
        for start in range(0, len(index), CHUNK_ROWS):
            part = slice(start, start + CHUNK_ROWS)
            said = np.cumsum(self.target_.columns[index[part]] * weight[part, :, None], axis=1)
            out[part] = said / np.cumsum(weight[part], axis=1)[:, :, None]
        return out

    def columns(self, features: Float[np.ndarray, "m d"]) -> Float64[np.ndarray, "m t"]:
        """Return the weighted mean, or the weighted share of each class."""
        return self.columns_of(*self.around_.around(features))

    def columns_of(
        self, distance: Float64[np.ndarray, "m c"], index: Integer[np.ndarray, "m c"]
    ) -> Float64[np.ndarray, "m t"]:
        """Return the same from neighbours that were found before."""
        count = min(self.count_, distance.shape[1])
        weight = weights_of(distance[:, :count], self.power_)
        out = np.empty((len(index), self.target_.columns.shape[1]))
        for start in range(0, len(index), CHUNK_ROWS):
            part = slice(start, start + CHUNK_ROWS)
            said = np.einsum("mc,mct->mt", weight[part], self.target_.columns[index[part, :count]])
            out[part] = said / weight[part].sum(axis=1, keepdims=True)
        return out


def weights_of(distance: Float64[np.ndarray, "m c"], power: float) -> Float64[np.ndarray, "m c"]:
    """Return inverse powers of the distance; infinitely far rows get weight 0, unless all are infinitely far."""
    # The added 1e-6 radian (about 6 m) keeps the weight of a row at the same place finite.
    weight = np.where(np.isinf(distance), 0.0, 1.0) * (np.where(np.isinf(distance), 1.0, distance) + 1e-6) ** -power
    return np.where(weight.sum(axis=1, keepdims=True) > 0, weight, 1.0)


def nearest(
    query: Float[np.ndarray, "m k"],
    known: Float[np.ndarray, "n k"],
    count: int,
    query_folds: Integer[np.ndarray, " m"] | None = None,
    known_folds: Integer[np.ndarray, " n"] | None = None,
) -> tuple[Float[np.ndarray, "m c"], Integer[np.ndarray, "m c"]]:
    """Return distances and numbers of the `count` nearest known rows of each query row, nearest first: (m, count).

    With folds, known rows of the query's own fold are left out; where other folds have fewer than `count` rows, the
    missing ones are last, at infinite distance. Single precision stays single.
    """
    if known.shape[1] <= TREE_COLUMNS and query_folds is None:
        from scipy.spatial import cKDTree

        found, row = cKDTree(known).query(query, k=np.arange(1, count + 1))
        return np.asarray(found), np.asarray(row)
    distances, indices = np.empty((len(query), count), dtype=known.dtype), np.empty((len(query), count), dtype=np.int64)
    squares = (known**2).sum(axis=1)
    for start in range(0, len(query), CHUNK_ROWS):
        rows = slice(start, start + CHUNK_ROWS)
        squared = query[rows] @ known.T
        squared *= -2.0
        squared += squares
        squared += (query[rows] ** 2).sum(axis=1, keepdims=True)
        np.maximum(squared, 0.0, out=squared)
        if query_folds is not None and known_folds is not None:
            squared[query_folds[rows, None] == known_folds] = np.inf
        if count == 1:  # many times faster than a partition
            indices[rows] = squared.argmin(axis=1)[:, None]
            distances[rows] = np.sqrt(np.take_along_axis(squared, indices[rows], axis=1))
            continue
        few = np.argpartition(squared, count - 1, axis=1)[:, :count]
        order = np.argsort(np.take_along_axis(squared, few, axis=1), axis=1, kind="stable")
        indices[rows] = np.take_along_axis(few, order, axis=1)
        distances[rows] = np.sqrt(np.take_along_axis(squared, indices[rows], axis=1))
    return distances, indices
