"""Vectors that are features already, such as the embeddings of another encoder."""

from typing import ClassVar

import numpy as np
from jaxtyping import Float32

from geotether.features.featurizer import PlainSettings
from geotether.moments import mean_and_scale, principal_directions, project


class VectorFeatures(PlainSettings):
    """Vectors as they are, or standardised, scaled to unit length and projected, in this order.

    Args:
        standardise: Whether to subtract the mean of the fitted rows and divide by their standard deviation.
        normalise: Whether to scale vectors to length 1; a vector of zeros stays zero.
        dim: Number of principal directions of the fitted rows to project on. None: no projection.

    Example:
        >>> vectors = np.array([[3.0, 4.0], [0.0, 2.0]], dtype=np.float32)
        >>> VectorFeatures(normalise=True).fit(vectors).transform(vectors)
        array([[0.6, 0.8],
               [0. , 1. ]], dtype=float32)
    """

    takes: ClassVar[str] = "vectors"
    fit_rows: ClassVar[int] = 50_000
    plain_state = ("width",)
    array_state = ("mean", "spread", "centre", "directions")

    def __init__(self, standardise: bool = False, normalise: bool = False, dim: int | None = None) -> None:
        if dim is not None and dim < 1:
            raise ValueError(f"dim must be 1 or more, or None, got {dim}.")
        self.standardise = standardise
        self.normalise = normalise
        self.dim = dim

    def fit(self, vectors: np.ndarray) -> "VectorFeatures":
        """Fit width, mean, scale and directions to vectors of shape (n, d)."""
        matrix = self._checked(vectors)
        if matrix.size == 0:
            raise ValueError(f"There are no vectors to fit to: shape {matrix.shape}.")
        self.width_ = matrix.shape[1]
        if self.standardise:
            self.mean_, self.spread_ = mean_and_scale(matrix)
        if self.dim is not None:
            scaled = self._scaled(matrix)
            self.centre_ = scaled.mean(axis=0)
            self.directions_ = principal_directions(scaled - self.centre_, self.dim)
        return self

    def transform(self, vectors: np.ndarray) -> Float32[np.ndarray, "n d"]:
        """Compute the features, shape (n, dim), or (n, d) without projection."""
        self.check_fitted()
        matrix = self._checked(vectors)
        if matrix.shape[1] != self.width_:
            raise ValueError(f"The vectors have {matrix.shape[1]} numbers; the fitted ones had {self.width_}.")
        scaled = self._scaled(matrix)
        return scaled.astype(np.float32) if self.dim is None else project(scaled - self.centre_, self.directions_)

    def refuse(self, vectors: np.ndarray) -> dict[int, str]:
        """Refuse vectors with NaN or infinity."""
        bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        return dict.fromkeys(bad.tolist(), "vector with NaN or infinity")

    def names(self) -> list[str]:
        """Return the names of the features: "v0", "v1", or after projection "direction 1" and so on."""
        if self.dim is not None:
            return [f"direction {number + 1}" for number in range(self.dim)]
        return [f"v{number}" for number in range(self.width_)]

    def _scaled(self, matrix: np.ndarray) -> np.ndarray:
        if self.standardise:
            matrix = (matrix - self.mean_) / self.spread_
        if self.normalise:
            length = np.sqrt(np.square(matrix).sum(axis=1, keepdims=True))
            matrix = matrix / np.where(length > 0, length, 1.0)
        return matrix

    @staticmethod
    def _checked(vectors: np.ndarray) -> np.ndarray:
        if not isinstance(vectors, np.ndarray) or vectors.ndim != 2 or vectors.dtype.kind not in "fiu":
            shape = getattr(vectors, "shape", None)
            raise TypeError(f"Vectors must be numbers of shape (n, d), got {type(vectors).__name__} {shape}.")
        return vectors.astype(np.float64)
