"""One decomposition of the training features for all ridge fits: every penalty, target and fold."""

from collections.abc import Iterator, Sequence
from functools import cache, cached_property

import numpy as np
from jaxtyping import Float, Float64, Integer
from threadpoolctl import ThreadpoolController

from geotether.moments import mean_and_scale

# Above this number of elements, rotated rows keep the dtype of the features instead of float64.
DOUBLE_ELEMENTS = 40_000_000
CHUNK_ROWS = 8192


class RidgeDecomposition:
    """Eigenvectors of the standardised training features, computed once for all ridge fits.

    Features are standardised by the training rows given here; constant columns become zero. With n > d the d x d
    covariance is decomposed, else the n x n Gram matrix.

    Args:
        features: Training features, shape (n, d), finite. For float32 input, the covariance and its eigenvectors are
            computed in float64 and held-out predictions in float32, which halves their cost.

    Raises:
        ValueError: If there are fewer than 2 rows, no columns, or a value is not finite.

    Attributes:
        mean, scale: Of the columns, to standardise with, shape (d,).
        eigenvalues: Of X^T X (equally X X^T), shape (k,) with k = min(n, d), never negative.

    Source:
        Hastie, Tibshirani & Friedman (2009), The Elements of Statistical Learning, section 3.4.1 (ridge by SVD).

    Example:
        >>> basis = RidgeDecomposition(np.array([[0.0], [1.0], [2.0], [3.0]]))
        >>> weights, intercept = basis.solve(np.array([[0.0], [1.0], [2.0], [3.0]]), alpha=1e-9)
        >>> basis.predict(np.array([[10.0]]), weights, intercept).round(6)
        array([[10.]])
    """

    def __init__(self, features: Float[np.ndarray, "n d"]) -> None:
        if features.ndim != 2 or features.shape[0] < 2 or features.shape[1] < 1:
            raise ValueError(f"features must be (n, d) with n of 2 or more and d of 1 or more; got {features.shape}.")
        self.mean, self.scale = mean_and_scale(features, constant=np.inf)
        if not np.isfinite(self.mean).all():
            column = int(np.flatnonzero(~np.isfinite(self.mean))[0])
            raise ValueError(f"features contain NaN or infinite values, first in column {column}.")
        self.num_rows, self.num_columns = features.shape
        large = features.size > DOUBLE_ELEMENTS
        self.features = self.standardise(features, np.dtype(features.dtype if large else np.float64))
        self.primal = self.num_rows > self.num_columns
        gram = self._gram()
        # NumPy only, not SciPy: both have their own BLAS threads, and two pools in one loop wait for each other.
        eigenvalues, self.vectors = np.linalg.eigh(gram)
        self.eigenvalues = np.maximum(eigenvalues, 0.0)
        self.work_dtype = np.dtype(np.float32 if features.dtype == np.float32 else np.float64)

    def __len__(self) -> int:
        return self.num_rows

    @cached_property
    def rotated(self) -> Float[np.ndarray, "n k"]:
        """The rows in the rotated basis: X V for n > d, else the eigenvectors of X X^T; in the working precision."""
        vectors = self.vectors.astype(self.work_dtype)
        return self.features.astype(self.work_dtype, copy=False) @ vectors if self.primal else vectors

    def _project(self, columns: Float64[np.ndarray, "n t"]) -> Float64[np.ndarray, "k t"]:
        """Rotate columns, in double precision: small penalties divide by small eigenvalues."""
        return self.vectors.T @ (self.features.T @ columns if self.primal else columns)

    def _gram(self) -> Float64[np.ndarray, "k k"]:
        """Return X^T X or X X^T in float64, summed over chunks of rows so that float32 rounding does not accumulate."""
        if not self.primal:
            return (self.features @ self.features.T).astype(np.float64)
        gram = np.zeros((self.num_columns, self.num_columns))
        for start in range(0, self.num_rows, CHUNK_ROWS):
            rows = self.features[start : start + CHUNK_ROWS]
            gram += rows.T @ rows
        return gram

    def standardise(self, features: Float[np.ndarray, "m d"], dtype: np.dtype) -> Float[np.ndarray, "m d"]:
        """Standardise rows with the mean and scale of the training rows."""
        return ((features - self.mean.astype(dtype)) / self.scale.astype(dtype)).astype(dtype, copy=False)

    def solve(
        self, columns: Float64[np.ndarray, "n t"], alpha: float
    ) -> tuple[Float64[np.ndarray, "d t"], Float64[np.ndarray, " t"]]:
        """Return ridge weights (d, t) on the standardised features, and intercepts (t,), which are not penalised.

        Args:
            columns: Target columns of the training rows, shape (n, t).
            alpha: Penalty on the squared weights, as in scikit-learn; above 0.
        """
        intercept = columns.mean(axis=0)
        rotated = self._project(columns - intercept) / (self.eigenvalues + alpha)[:, None]
        weights = self.vectors @ rotated
        return (weights if self.primal else self.features.T @ weights), intercept

    def predict(
        self,
        features: Float[np.ndarray, "m d"],
        weights: Float64[np.ndarray, "d t"],
        intercept: Float64[np.ndarray, " t"],
    ) -> Float64[np.ndarray, "m t"]:
        """Predict the columns at other rows, in chunks."""
        out = np.empty((len(features), weights.shape[1]))
        # The scale is applied to the weights, so that no standardised copy of the new rows is made, and single
        # precision stays single: a copy in double precision would cost more than the product.
        dtype = np.dtype(np.float32 if features.dtype == np.float32 else np.float64)
        scaled, mean = (weights / self.scale[:, None]).astype(dtype), self.mean.astype(dtype)
        for start in range(0, len(features), CHUNK_ROWS):
            rows = slice(start, start + CHUNK_ROWS)
            out[rows] = (features[rows] - mean) @ scaled + intercept
        return out

    def held_out(
        self, columns: Float64[np.ndarray, "n t"], alphas: Float64[np.ndarray, " a"], folds: Integer[np.ndarray, " n"]
    ) -> Iterator[tuple[Integer[np.ndarray, " f"], Float[np.ndarray, "a f t"]]]:
        """Predict each row by the ridge fitted without the row's fold; exact, without refitting.

        With residuals r = (I - H) y of the one fit on all rows, the residuals of the fit without fold F are
        (I - H_FF)^-1 r_F. Small folds are solved in this form; folds larger than the number of features by the Woodbury
        identity, with a d x d matrix.

        Args:
            columns: Target columns, shape (n, t).
            alphas: Penalties, shape (a,), above 0.
            folds: The fold of each row, shape (n,); at least two different folds.

        Yields:
            The rows of each fold (f,) and their held-out predictions for every alpha, shape (a, f, t).

        Source:
            Golub, Heath & Wahba (1979), Technometrics 21:215 (one row); Cook & Weisberg (1982), Residuals and
            Influence in Regression, section 3.6 (several rows at once).
        """
        centred = columns - columns.mean(axis=0)
        # One block of columns per alpha, so that one product gives the residuals of a fold.
        if self.primal:
            shrink = 1.0 / (self.eigenvalues + alphas[:, None])
        else:  # I - H without subtracting nearly equal numbers, which matters for small alpha
            shrink = alphas[:, None] / (self.eigenvalues + alphas[:, None])
        projected = (shrink.T[:, :, None] * self._project(centred)[:, None, :]).reshape(len(self.eigenvalues), -1)
        projected, small_shrink = projected.astype(self.work_dtype), shrink.astype(self.work_dtype)
        order = np.argsort(folds, kind="stable")
        fold_rows = np.split(order, np.flatnonzero(np.diff(folds[order])) + 1)
        for group in gather(fold_rows, CHUNK_ROWS):
            # One large product for many folds; then small systems on one thread, which is faster than several.
            parts = self.rotated[np.concatenate(group)]
            fitted = parts @ projected
            ends = np.cumsum([len(rows) for rows in group])[:-1]
            found = []
            with loaded_pools().limit(limits=1, user_api="blas"):
                for rows, part, own in zip(group, np.split(parts, ends), np.split(fitted, ends), strict=True):
                    residuals = own.reshape(len(rows), len(alphas), -1).transpose(1, 0, 2)
                    if self.primal:
                        residuals = centred[rows].astype(self.work_dtype) - residuals
                    if self.primal and len(rows) > self.num_columns:
                        errors = self._large_fold(part.astype(np.float64), shrink, residuals.astype(np.float64))
                    else:
                        errors = solve(self._residual_makers(part, small_shrink), residuals)
                    found.append((rows, columns[rows] - errors))
            yield from found

    def _large_fold(
        self,
        part: Float64[np.ndarray, "f k"],
        shrink: Float64[np.ndarray, "a k"],
        residuals: Float64[np.ndarray, "a f t"],
    ) -> Float64[np.ndarray, "a f t"]:
        """Return the held-out errors of a fold with more rows than features, by the Woodbury identity."""
        wide = np.concatenate([np.ones((len(part), 1)), part], axis=1)
        penalty = np.concatenate([np.full((len(shrink), 1), self.num_rows), 1.0 / shrink], axis=1)
        inner = penalty[:, :, None] * np.eye(penalty.shape[1]) - wide.T @ wide
        return residuals + wide @ solve(inner, wide.T @ residuals)

    def _residual_makers(
        self, part: Float[np.ndarray, "f k"], shrink: Float[np.ndarray, "a k"]
    ) -> Float[np.ndarray, "a f f"]:
        """Return I - H between the rows of one fold, for every alpha."""
        makers = (part * shrink[:, None, :]) @ part.T
        if self.primal:
            np.negative(makers, out=makers)
            makers[:, np.arange(len(part)), np.arange(len(part))] += 1.0
        makers -= 1.0 / self.num_rows
        return makers


@cache
def loaded_pools() -> ThreadpoolController:
    """Return the thread pools of the loaded libraries, NumPy's among them; searching for them takes milliseconds."""
    return ThreadpoolController()


def gather(folds: Sequence[Integer[np.ndarray, " _"]], rows: int) -> Iterator[list[Integer[np.ndarray, " _"]]]:
    """Group folds up to a number of rows; a larger fold is a group of its own."""
    group: list[np.ndarray] = []
    for fold in folds:
        if group and sum(map(len, group)) + len(fold) > rows:
            yield group
            group = []
        group.append(fold)
    yield group


def solve(matrices: Float[np.ndarray, "a f f"], right: Float[np.ndarray, "a f t"]) -> Float[np.ndarray, "a f t"]:
    """Solve linear systems, or all by least squares if rounding made one singular."""
    try:
        return np.linalg.solve(matrices, right)
    except np.linalg.LinAlgError:
        return np.stack([np.linalg.lstsq(m, r, rcond=None)[0] for m, r in zip(matrices, right, strict=True)])
