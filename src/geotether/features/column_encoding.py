"""What the encodings of columns share: their names, their gaps, and how values are read."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float64

from geotether.features.column_kinds import UnsuitedError

# A gap is told of by a feature of its own where more of the fitted rows than this have one.
MISSING_SHARE = 0.001
Read = tuple[Bool[np.ndarray, " n"], Bool[np.ndarray, " n"]]


class Encoding(ABC):
    """How one column becomes numbers; a subclass is a frozen dataclass of plain values.

    Attributes:
        kind: What the column holds.
        name: Of the column.
        flag: Is a gap told of by a feature of its own?
    """

    kind: ClassVar[str]
    name: str
    flag: bool

    def names(self) -> list[str]:
        """Name the features."""
        return [*self._names(), *[f"{self.name} missing"] * self.flag]

    def encode(self, column: pa.ChunkedArray) -> Float64[np.ndarray, "n k"]:
        """Compute them."""
        parts, gap = self._parts(column)
        return np.column_stack([np.asarray(part, dtype=np.float64) for part in [*parts, *[gap] * self.flag]])

    @abstractmethod
    def read(self, column: pa.ChunkedArray) -> Read:
        """Tell gaps and values that cannot be read."""

    @abstractmethod
    def _names(self) -> list[str]:
        """Name the features, but for that of gaps."""

    @abstractmethod
    def _parts(self, column: pa.ChunkedArray) -> tuple[Sequence[np.ndarray], np.ndarray]:
        """Compute these, of shape (n,) or (n, k) each, and where the gaps are."""


class ValueEncoding(Encoding):
    """An encoding of cells that hold one value each; what is not finite is a gap.

    Attributes:
        values_of: Reads them: values, not finite where there is none, and where something is that cannot be read.
        wanted: What they are, in words.
    """

    values_of: ClassVar[Callable[..., tuple[np.ndarray, np.ndarray]]]
    wanted: ClassVar[str]

    def read(self, column: pa.ChunkedArray) -> Read:
        """Tell gaps and values that cannot be read."""
        values, bad = self.values_of(column)
        return ~np.isfinite(values), bad

    def _parts(self, column: pa.ChunkedArray) -> tuple[Sequence[np.ndarray], np.ndarray]:
        values, _ = self.values_of(column)
        gap = ~np.isfinite(values)
        return self._features(values, gap), gap

    @abstractmethod
    def _features(self, values: np.ndarray, gap: np.ndarray) -> list[np.ndarray]:
        """Compute the features of values, shape (n,) each."""

    @classmethod
    def _given(cls, name: str, column: pa.ChunkedArray) -> tuple[np.ndarray, bool]:
        """Read the values to fit on; and are gaps frequent enough to be told of?

        Raises:
            UnsuitedError: If there are none.
            ValueError: If most cannot be read. Single ones cost their rows; so many mean a wrong declaration.
        """
        values, bad = cls.values_of(column)
        if bad.sum() * 2 > (~np.isnan(values) | bad).sum():
            raise ValueError(f"Column {name!r} must hold {cls.wanted}, but {bad.sum()} of {len(bad)} values are none.")
        given = values[np.isfinite(values)]
        if len(given) == 0:
            raise UnsuitedError("it has no values")
        return given, 1 - len(given) / len(values) > MISSING_SHARE
