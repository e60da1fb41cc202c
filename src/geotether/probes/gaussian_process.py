"""Gaussian process in space: a baseline like kriging, which knows places and labels alone."""

import warnings
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Integer

from geotether.geodesy.coordinates import unit_vectors
from geotether.probes.target import TargetProbe

# Range and noise are fitted on some rows and classes: the cost of a step grows with the cube of the number of rows.
TUNING_ROWS = 500
TUNING_COLUMNS = 16
MOST_ROWS = 3000
CHUNK_ROWS = 4096


@dataclass(eq=False)
class GaussianProcessProbe(TargetProbe):
    """Gaussian process on the sphere with an exponential covariance and noise; kriging with a constant mean.

    The exponential of the chord between places is a valid covariance on the sphere. Variance, range and noise are those
    of the highest likelihood on 500 rows; up to 3,000 rows predict. Classes are predicted by columns of 0 and 1 with
    one covariance (indicator kriging), that of the 16 most frequent classes. `features` are lonlat in degrees, shape
    (n, 2).

    Args:
        kind: "regression", "classification" or "multilabel".
        seed: Seed of the draws of rows, where there are more.

    Attributes:
        kernel_: The fitted covariance, after `fit`; lengths in Earth radii.

    Source:
        Rasmussen & Williams (2006), Gaussian Processes for Machine Learning, sections 2.2 and 5.4; scikit-learn.

    Example:
        >>> lonlat = np.stack([np.linspace(-170, 170, 60), np.zeros(60)], axis=1)
        >>> probe = GaussianProcessProbe().fit(lonlat, np.sin(np.radians(lonlat[:, 0])))
        >>> round(float(probe.predict(np.array([[90.0, 0.0]]))[0]), 1)
        1.0
    """

    kind: str = "regression"
    seed: int = 0

    def _fit(self, features: Float[np.ndarray, "n 2"], folds: Integer[np.ndarray, " n"] | None) -> None:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

        order = np.random.default_rng(self.seed).permutation(len(features))[:MOST_ROWS]
        places, columns = unit_vectors(features[order].astype(np.float64)), self.target_.columns[order]
        start = ConstantKernel(1.0, (1e-2, 1e2)) * Matern(0.3, (1e-4, 3.0), nu=0.5) + WhiteKernel(0.3, (1e-5, 10.0))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a range or noise at its bound is an answer
            tuned = GaussianProcessRegressor(start, normalize_y=True)
            frequent = np.argsort(-columns.sum(axis=0), kind="stable")[:TUNING_COLUMNS]
            tuned.fit(places[:TUNING_ROWS], columns[:TUNING_ROWS, frequent])
        self.kernel_ = tuned.kernel_
        self.model_ = GaussianProcessRegressor(self.kernel_, optimizer=None, normalize_y=True).fit(places, columns)

    def columns(self, features: Float[np.ndarray, "m 2"]) -> Float64[np.ndarray, "m t"]:
        """Return the number, or one score per class or label."""
        out = np.empty((len(features), self.target_.columns.shape[1]))
        for start in range(0, len(features), CHUNK_ROWS):
            part = features[start : start + CHUNK_ROWS]
            found = self.model_.predict(unit_vectors(part.astype(np.float64)))
            out[start : start + len(part)] = found.reshape(len(part), -1)
        return out
