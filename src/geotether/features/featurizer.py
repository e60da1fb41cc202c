"""What all features have in common: fitted once, stored beside the table, applied to any new rows."""

from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32


@runtime_checkable
class Featurizer(Protocol):
    """From observations to vectors.

    The constructor takes plain values only, so that YAML can hold them. `transform` gives a row the same numbers, bit
    for bit, whatever rows come with it as long as the number of threads is one.

    Attributes:
        takes: The kind of observations: "columns", "texts", "images" or "vectors"; see `geotether.sources.source`.
        fit_rows: So many rows are enough to fit; the job draws that many at random from those for training.
    """

    takes: ClassVar[str]
    fit_rows: ClassVar[int]

    def fit(self, content: Any) -> "Featurizer":
        """Learn what has to be learned, from rows for training only."""
        ...

    def transform(self, content: Any) -> Float32[np.ndarray, "n d"]:
        """Turn observations into features, shape (n, d)."""
        ...

    def refuse(self, content: Any) -> dict[int, str]:
        """Say which rows `transform` cannot take (position to reason), such as images with other bands."""
        ...

    def settings(self) -> dict[str, Any]:
        """Give the constructor's arguments as plain values."""
        ...

    def fitted(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Give what was fitted, as plain values for JSON and as arrays for safetensors."""
        ...

    def restore(self, values: dict[str, Any], arrays: dict[str, np.ndarray]) -> "Featurizer":
        """Take back what `fitted` gave; the features are then the same bit for bit."""
        ...

    def names(self) -> list[str]:
        """Name the features in order, once fitted, such as ["log mass", "mass missing", "diet=seeds"]."""
        ...
