"""The number types that embeddings are stored in, and what rounding to them costs in similarity."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32, Shaped

from geotether.exporting.raster import Band
from geotether.suggestions import closest

DTYPES = ("float32", "float16", "int8")
INT8_NODATA = -128
_INT8_MOST = 127
_PAIRS = 10_000


@runtime_checkable
class Coding(Protocol):
    """How the embeddings of places become the numbers of a file."""

    @property
    def bands(self) -> tuple[Band, ...]:
        """Name, scale and offset of each number that is stored."""

    @property
    def dtype(self) -> str:
        """Number type of the file."""

    @property
    def nodata(self) -> float:
        """Stored where there is no embedding."""

    @property
    def colours(self) -> Mapping[int, tuple[int, int, int]] | None:
        """Colour table, of classes."""

    @property
    def notes(self) -> dict[str, Any]:
        """Facts for the file's metadata."""

    def stored(self, embeddings: Float32[np.ndarray, "n d"]) -> Shaped[np.ndarray, "n b"]:
        """Return the numbers to store, one row per place."""


@dataclass(frozen=True)
class Numbers:
    """Embeddings as they are, in a number type.

    Attributes:
        dtype: "float32", "float16" or "int8".
        bands: Called e0, e1, ...; of int8 with scale and offset such that the range of the sample fits.
        loss: How much cosine similarities of the sample change; empty for float32. `mean`, `p99` and `max` are
            absolute differences over `pairs` pairs of places.
    """

    dtype: str
    bands: tuple[Band, ...]
    loss: dict[str, float]

    @classmethod
    def fit(cls, dtype: str, sample: Float32[np.ndarray, "n d"]) -> "Numbers":
        """Choose scales for a sample of embeddings, and measure the loss on it.

        Raises:
            ValueError: If the number type is unknown.

        Example:
            >>> sample = np.array([[0.0, 1.0], [1.0, 0.0], [0.5, 0.5]], dtype=np.float32)
            >>> numbers = Numbers.fit("int8", sample)
            >>> numbers.stored(sample).tolist()
            [[-127, 127], [127, -127], [0, 0]]
        """
        check_dtype(dtype)
        scale, offset = np.ones(sample.shape[1]), np.zeros(sample.shape[1])
        if dtype == "int8":
            low, high = sample.min(axis=0).astype(np.float64), sample.max(axis=0).astype(np.float64)
            offset = (high + low) / 2
            scale = np.where(high > low, (high - low) / (2 * _INT8_MOST), 1.0)
        bands = tuple(
            Band(f"e{number}", scale=float(a), offset=float(b))
            for number, (a, b) in enumerate(zip(scale, offset, strict=True))
        )
        numbers = cls(dtype, bands, {})
        loss = {} if dtype == "float32" else similarity_loss(sample, numbers.restored(numbers.stored(sample)))
        return cls(dtype, bands, loss)

    @property
    def nodata(self) -> float:
        """NaN, or -128."""
        return INT8_NODATA if self.dtype == "int8" else np.nan

    @property
    def colours(self) -> None:
        """No colour table."""
        return None

    @property
    def notes(self) -> dict[str, Any]:
        """The measured loss."""
        return {"similarity_loss": self.loss} if self.loss else {}

    def stored(self, embeddings: Float32[np.ndarray, "n d"]) -> Shaped[np.ndarray, "n d"]:
        """Round; with int8, numbers outside the range of the sample become its ends."""
        if self.dtype != "int8":
            return embeddings.astype(self.dtype)
        scale, offset = self._scaling()
        levels = np.rint((embeddings - offset) / scale)
        return np.clip(levels, -_INT8_MOST, _INT8_MOST).astype(np.int8)

    def restored(self, stored: Shaped[np.ndarray, "n d"]) -> Float32[np.ndarray, "n d"]:
        """Return the embeddings that a reader of the file gets."""
        scale, offset = self._scaling()
        return (stored * scale + offset).astype(np.float32)

    def _scaling(self) -> tuple[np.ndarray, np.ndarray]:
        return np.array([band.scale for band in self.bands]), np.array([band.offset for band in self.bands])


def check_dtype(dtype: str) -> None:
    """Raise ValueError unless embeddings can be stored in a number type."""
    if dtype not in DTYPES:
        raise ValueError(f"dtype must be {', '.join(DTYPES)}; got {dtype!r}.{closest(dtype, DTYPES)}")


def similarity_loss(exact: Float[np.ndarray, "n d"], rounded: Float[np.ndarray, "n d"]) -> dict[str, float]:
    """Measure how much cosine similarities between places change by rounding.

    Args:
        exact: Embeddings, shape (n, d).
        rounded: The same after rounding.

    Returns:
        `mean`, `p99` (99th percentile) and `max` of the absolute differences over `pairs` random pairs of rows.

    Example:
        >>> similarity_loss(np.eye(2), np.eye(2))["max"]
        0.0
    """
    pairs = np.random.default_rng(0).integers(len(exact), size=(2, _PAIRS))
    cosines = []
    for rows in (exact.astype(np.float64), rounded.astype(np.float64)):
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        unit = rows / np.maximum(length, np.finfo(np.float64).tiny)
        cosines.append(np.einsum("nd,nd->n", unit[pairs[0]], unit[pairs[1]]))
    change = np.abs(cosines[0] - cosines[1])
    found = {"mean": change.mean(), "p99": np.quantile(change, 0.99), "max": change.max()}
    return {name: float(f"{value:.3g}") for name, value in found.items()} | {"pairs": float(_PAIRS)}
