"""What a model knows of places: how near and how similar they are to what it was trained on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float32

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, eq=False)
class Coverage:
    """Coverage of n places.

    Attributes:
        km: Modality to the distance to its nearest training place in km, each of shape (n,), up to the side of a cell
            (see `Encoder.seen`); empty if the model does not say where it was trained.
        context: Level of the local context, such as "context_rasters_30km", to the share of it that has data, from 0
            (the embedding depends on the position alone there) to 1, each of shape (n,); empty without a context.
        dissimilarity: Dissimilarity of the embedding to those of training places, shape (n,): 0 for an equal one,
            about 1 for one as far from all of them as they are from one another; None if it is not known.
        threshold: Largest dissimilarity that is usual on blocks that were left out; None likewise.
        threshold_km: Largest usual distance to the nearest training place of any modality; None likewise.

    Example:
        >>> found = Coverage({"lights": np.float32([3, 900])}, {}, np.float32([0.1, 0.4]), 0.5, 600.0)
        >>> found.outside.tolist(), list(found.columns)
        ([False, True], ['outside', 'dissimilarity', 'km_to_lights'])
    """

    km: Mapping[str, Float32[np.ndarray, " n"]]
    context: Mapping[str, Float32[np.ndarray, " n"]]
    dissimilarity: Float32[np.ndarray, " n"] | None = None
    threshold: float | None = None
    threshold_km: float | None = None

    def at(self, row: int) -> "Coverage":
        """Return the coverage of one of the places."""
        km, context = ({name: one[row : row + 1] for name, one in part.items()} for part in (self.km, self.context))
        dissimilarity = None if self.dissimilarity is None else self.dissimilarity[row : row + 1]
        return Coverage(km, context, dissimilarity, self.threshold, self.threshold_km)

    @property
    def nearest_km(self) -> Float32[np.ndarray, " n"] | None:
        """Distance to the nearest training place of any modality in km, shape (n,); None if it is not known."""
        return np.min(list(self.km.values()), axis=0) if self.km else None

    @property
    def outside(self) -> Bool[np.ndarray, " n"] | None:
        """Whether a place is outside of what the model saw: dissimilarity or distance above its threshold.

        Scores on blocks that were left out do not hold there. None if it is not known.
        """
        if self.dissimilarity is None or self.nearest_km is None:
            return None
        return (self.dissimilarity > self.threshold) | (self.nearest_km > self.threshold_km)

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """All that is known, as columns by name: `frame.assign(**coverage.columns)`."""
        found = {"outside": self.outside, "dissimilarity": self.dissimilarity}
        named = {f"km_to_{name.replace(' ', '_')}": km for name, km in self.km.items()}
        return {name: values for name, values in found.items() if values is not None} | named | dict(self.context)

    def table(self) -> "pa.Table":
        """Return the columns as an Arrow table; `.table().to_pandas()` is a data frame."""
        import pyarrow as pa

        return pa.table(self.columns)
