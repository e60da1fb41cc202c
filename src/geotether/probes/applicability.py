"""Area of applicability: how unlike the training rows of a probe a row is, and from where on it is too unlike."""

import numpy as np
from jaxtyping import Bool, Float, Float32, Integer, Shaped

from geotether.moments import mean_and_scale
from geotether.probes.neighbors import nearest

CHUNK_ROWS = 8192
# More rows than these give the same mean distance and threshold to a per cent, for much more work.
FITTING_ROWS = 10_000


class Applicability:
    """Dissimilarity of rows to training rows, with the largest one that training rows have to other folds.

    The dissimilarity is the distance to the nearest training row in standardised, optionally weighted columns,
    divided by the mean distance between training rows: 0 at a training row, about 1 for a row as far from all of
    them as they are from one another. Columns that do not vary among the training rows are ignored.

    Attributes:
        threshold: Upper whisker (third quartile + 1.5 interquartile ranges, at most the maximum) of the dissimilarity
            of training rows to the rows of other folds. Rows above it are outside of the area of applicability.
        mean_distance: Mean distance between training rows, in standardised columns.
        left_out: Dissimilarity of the training rows that the threshold was computed from to the rows of other folds,
            shape (n,); not saved.

    Source:
        Meyer & Pebesma (2021), Methods in Ecology and Evolution 12:1620, doi 10.1111/2041-210X.13650, section 2.

    Example:
        >>> train = np.array([[0.0], [1.0], [2.0], [3.0]])
        >>> area = Applicability().fit(train, folds=np.array([0, 0, 1, 1]))
        >>> area.inside(np.array([[1.5], [-3.0]])).tolist()
        [True, False]
    """

    threshold: float
    mean_distance: float
    left_out: Float32[np.ndarray, " n"]

    def fit(
        self,
        X: Float[np.ndarray, "n d"],
        folds: Shaped[np.ndarray, " n"],
        weights: Float[np.ndarray, " d"] | None = None,
    ) -> "Applicability":
        """Learn what the training rows look like.

        Mean distance and threshold are computed from 10,000 rows, drawn with a fixed seed, if there are more.

        Args:
            X: Training rows, such as embeddings, shape (n, d).
            folds: Fold of each row. Make them of spatial blocks (`block_folds`): then the threshold is the
                dissimilarity that unseen blocks have.
            weights: Importance of each column, 0 or more; equal by default.

        Returns:
            Itself.

        Raises:
            ValueError: If shapes do not agree, a value is not finite, a weight is negative, there are fewer than two
                folds, or all rows are equal.
        """
        folds = np.unique(np.asarray(folds), return_inverse=True)[1]
        if X.ndim != 2 or len(X) != len(folds):
            raise ValueError(f"X needs one row for each of {len(folds)} folds, got shape {X.shape}.")
        if not len(folds) or folds.max() == 0:
            raise ValueError("The threshold compares rows of two or more folds, got one; use smaller blocks.")
        if not np.isfinite(X).all():
            raise ValueError(f"X must be finite; row {int((~np.isfinite(X)).any(axis=1).argmax())} is not.")
        given = np.ones(X.shape[1]) if weights is None else np.asarray(weights, dtype=np.float64)
        if given.shape != X.shape[1:] or not (np.isfinite(given).all() and (given >= 0).all()):
            raise ValueError(f"weights must be {X.shape[1]} finite numbers of 0 or more, got shape {given.shape}.")
        mean, scale = mean_and_scale(X, constant=np.inf)
        self._center, self._factor = mean, given / scale
        self._rows = self._standardized(X)

        some = np.arange(len(X))
        if len(X) > FITTING_ROWS:
            some = np.sort(np.random.default_rng(0).permutation(len(X))[:FITTING_ROWS])
        self.mean_distance = _mean_distance(self._rows[some])
        if not self.mean_distance > 0:
            raise ValueError("All rows of X are equal in the columns that have a weight; dissimilarity needs others.")
        self.left_out = self._distance(self._rows[some], folds[some], folds) / self.mean_distance
        self.threshold = upper_whisker(self.left_out)
        return self

    def dissimilarity(self, X: Float[np.ndarray, "m d"]) -> Float32[np.ndarray, " m"]:
        """Return the dissimilarity of rows to the training rows, shape (m,), 0 or more; NaN for a row with NaN.

        Raises:
            ValueError: If `X` has other columns than the training rows.
        """
        if X.ndim != 2 or X.shape[1] != len(self._center):
            raise ValueError(f"X needs the {len(self._center)} columns of the training rows, got shape {X.shape}.")
        found = np.empty(len(X), dtype=np.float32)
        for start in range(0, len(X), CHUNK_ROWS):
            part = slice(start, start + CHUNK_ROWS)
            found[part] = self._distance(self._standardized(X[part])) / self.mean_distance
        return found

    def dissimilarity_of_pairs(
        self, X: Float[np.ndarray, "m d"], Y: Float[np.ndarray, "m d"]
    ) -> Float32[np.ndarray, " m"]:
        """Return the dissimilarity of each row of `X` to the same row of `Y`, which need not be a training row."""
        distance = np.linalg.norm(self._standardized(X) - self._standardized(Y), axis=1)
        return (distance / self.mean_distance).astype(np.float32)

    def inside(self, X: Float[np.ndarray, "m d"]) -> Bool[np.ndarray, " m"]:
        """Mark the rows whose dissimilarity is at most the threshold, shape (m,)."""
        return self.dissimilarity(X) <= self.threshold

    def _standardized(self, X: Float[np.ndarray, "m d"]) -> Float32[np.ndarray, "m d"]:
        return ((X - self._center) * self._factor).astype(np.float32)

    def _distance(
        self,
        rows: Float32[np.ndarray, "m d"],
        row_folds: Integer[np.ndarray, " m"] | None = None,
        folds: Integer[np.ndarray, " n"] | None = None,
    ) -> Float32[np.ndarray, " m"]:
        """Return the distance to the nearest training row, of another fold if folds are given."""
        _, index = nearest(np.where(np.isfinite(rows), rows, 0), self._rows, 1, row_folds, folds)
        # Computed again from the difference: the matrix product loses the digits of short distances.
        return np.linalg.norm(rows - self._rows[index[:, 0]], axis=1)


def upper_whisker(values: Float[np.ndarray, " n"]) -> float:
    """Return the third quartile plus 1.5 interquartile ranges, at most the maximum (Tukey's box plot).

    Example:
        >>> upper_whisker(np.array([0.0, 1.0, 2.0, 3.0, 4.0, 90.0]))
        7.5
    """
    lower, upper = np.quantile(values, (0.25, 0.75))
    return float(min(upper + 1.5 * (upper - lower), values.max()))


def _mean_distance(rows: Float32[np.ndarray, "n d"]) -> float:
    """Return the mean distance of all pairs of different rows."""
    squares, total = (rows**2).sum(axis=1), 0.0
    for start in range(0, len(rows), 512):
        part = slice(start, start + 512)
        squared = squares[part, None] + squares - 2 * (rows[part] @ rows.T)
        distance = np.sqrt(np.maximum(squared, 0.0))
        distance[np.arange(len(distance)), np.arange(start, start + len(distance))] = 0.0
        total += float(distance.sum(dtype=np.float64))
    return total / (len(rows) * (len(rows) - 1))
