"""The places that a model was trained on, as its folder keeps them, and the thresholds of what is near to them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64, UInt8

from geotether.coverage.cells import OccupiedCells
from geotether.geodesy.blocks import block_center, block_id
from geotether.geodesy.distance import nearest_in_tree, sphere_tree

if TYPE_CHECKING:  # loading and encoding needs no probes
    from geotether.probes.applicability import Applicability

CELL_KM = 10.0
"""Side of the cells that a model folder keeps instead of coordinates."""

REFERENCE_PLACES = 4000
_NUM_FOLDS = 5
# Blocks of the folds: the largest of these sides of which there are enough.
_BLOCKS_KM = (1000.0, 500.0, 250.0, 100.0, 50.0, 20.0)
_FEWEST_BLOCKS = 15
_SEED = 0
_CHUNK_ROWS = 4096

Encode = Callable[[np.ndarray], np.ndarray]


@dataclass(eq=False)
class SeenPlaces:
    """Places of each modality as occupied cells, and how far places of unseen blocks are from them.

    Embeddings are compared with those of up to 4,000 cells, the reference places, which are drawn with a fixed seed,
    and with that of the nearest cell. The thresholds say what is usual for blocks of up to 1,000 km that are left out:
    the upper whisker (see `Applicability`) of the dissimilarity of reference places to places of other folds, and
    the upper whisker of the distance of cells to those of other folds.

    Attributes:
        cells: Modality to its cells.
        cell_km: Side of the cells in km.
        threshold: Largest dissimilarity that is usual; None if it is not known: before `fit`, or if all places are in
            one block or have equal embeddings.
        threshold_km: Largest usual distance to the nearest training place of any modality, in km, likewise.
    """

    cells: Mapping[str, OccupiedCells]
    cell_km: float = CELL_KM
    threshold: float | None = None
    threshold_km: float | None = None
    _area: "Applicability | None" = field(default=None, repr=False)

    @classmethod
    def of(cls, places: Mapping[str, Float[np.ndarray, "_ 2"]], cell_km: float = CELL_KM) -> "SeenPlaces":
        """Find the cells of the places of each modality, degrees.

        Raises:
            ValueError: If there are no places, or a row is not a coordinate.
        """
        if not sum(map(len, places.values())):
            raise ValueError("There are no training places; give at least one, as {'modality': lonlat}.")
        return cls({name: OccupiedCells.of(lonlat, cell_km) for name, lonlat in places.items()}, cell_km)

    def fit(self, encode: Encode) -> None:
        """Fit the thresholds to the embeddings that a model has now.

        Args:
            encode: From lonlat (n, 2) to embeddings (n, d).
        """
        from geotether.probes.applicability import upper_whisker

        folds = _folds(self.centers)
        self.threshold = self.threshold_km = self._area = None
        try:
            area = self._fitted_area(encode, folds)
        except ValueError:  # all places are in one block, or all embeddings are equal
            return
        away, nearest = np.empty(len(folds)), np.empty(len(folds), dtype=np.int64)
        for fold in np.unique(folds):
            rows, others = folds == fold, np.flatnonzero(folds != fold)
            away[rows], found = nearest_in_tree(sphere_tree(self.centers[others]), self.centers[rows])
            nearest[rows] = others[found]
        chosen = _reference_rows(len(folds))
        beside = area.dissimilarity_of_pairs(encode(self.centers[chosen]), encode(self.centers[nearest[chosen]]))
        self._area = area
        self.threshold = upper_whisker(np.minimum(area.left_out, beside))
        self.threshold_km = upper_whisker(away)

    def dissimilarity(
        self,
        lonlat: Float64[np.ndarray, "n 2"],
        encode: Encode,
        embeddings: Callable[[slice], Float32[np.ndarray, "_ d"]] | None = None,
    ) -> Float32[np.ndarray, " n"] | None:
        """Return how much the embeddings of places differ from those of training places.

        Args:
            lonlat: Places, degrees, shape (n, 2).
            encode: As for `fit`.
            embeddings: Returns the embeddings of some of the places, if they are known already.

        Returns:
            Dissimilarity (see `Applicability`) to the reference places or to the nearest cell, whichever is less,
            shape (n,); None where no threshold is known.
        """
        if self.threshold is None:
            return None
        if self._area is None:
            self._area = self._fitted_area(encode, _folds(self.centers))
        found = np.empty(len(lonlat), dtype=np.float32)
        for start in range(0, len(lonlat), _CHUNK_ROWS):
            part = slice(start, start + _CHUNK_ROWS)
            cells, which = np.unique(nearest_in_tree(self._tree, lonlat[part])[1], return_inverse=True)
            if embeddings is None:
                both = encode(np.concatenate([lonlat[part], self.centers[cells]]))
                vectors, of_cells = both[: len(which)], both[len(which) :]
            else:
                vectors, of_cells = embeddings(part), encode(self.centers[cells])
            beside = self._area.dissimilarity_of_pairs(vectors, of_cells[which])
            found[part] = np.minimum(self._area.dissimilarity(vectors), beside)
        return found

    @cached_property
    def centers(self) -> Float64[np.ndarray, "n 2"]:
        """Centres of the cells of all modalities, each once, degrees, shape (n, 2)."""
        return block_center(np.unique(np.concatenate([one.ids for one in self.cells.values()])), self.cell_km)

    @cached_property
    def _tree(self) -> Any:
        return sphere_tree(self.centers)

    def _fitted_area(self, encode: Encode, folds: Int64[np.ndarray, " n"]) -> "Applicability":
        """Fit the dissimilarity to the embeddings of the reference places."""
        from geotether.probes.applicability import Applicability

        chosen = _reference_rows(len(folds))
        return Applicability().fit(encode(self.centers[chosen]), folds[chosen])

    def km_to(self, lonlat: Float[np.ndarray, "n 2"]) -> dict[str, Float64[np.ndarray, " n"]]:
        """Return the distance of places to the nearest cell of each modality, in km; see `OccupiedCells.km_to`."""
        return {name: cells.km_to(lonlat) for name, cells in self.cells.items()}

    def describe(self) -> dict[str, Any]:
        """Return everything but the cells' numbers as plain values."""
        return {
            "cell_km": self.cell_km,
            "cells": {name: len(cells) for name, cells in self.cells.items()},
            "threshold": self.threshold,
            "threshold_km": self.threshold_km,
        }

    def pack(self) -> dict[str, UInt8[np.ndarray, " _"]]:
        """Return the cells of each modality as compressed bytes."""
        return {name: cells.pack() for name, cells in self.cells.items()}

    @classmethod
    def unpack(cls, about: Mapping[str, Any], packed: Mapping[str, UInt8[np.ndarray, " _"]]) -> "SeenPlaces":
        """Restore them from `describe` and `pack`.

        Raises:
            KeyError, TypeError, ValueError: If one of them is damaged.
        """
        cell_km = float(about["cell_km"])
        cells = {
            name: OccupiedCells.unpack(packed[name], int(count), cell_km) for name, count in about["cells"].items()
        }
        seen = cls(cells, cell_km)
        seen.threshold, seen.threshold_km = (
            None if about[key] is None else float(about[key]) for key in ("threshold", "threshold_km")
        )
        return seen


def _folds(centers: Float64[np.ndarray, "n 2"]) -> Int64[np.ndarray, " n"]:
    """Assign cells to folds of blocks, the largest blocks of which there are enough; all 0 if there is one block."""
    from geotether.probes.spatial_cv import block_folds

    for block_km in _BLOCKS_KM:
        if len(np.unique(block_id(centers, block_km))) >= _FEWEST_BLOCKS:
            break
    return block_folds(centers, _NUM_FOLDS, block_km, _SEED)


def _reference_rows(cells: int) -> Int64[np.ndarray, " n"]:
    """Draw the numbers of the cells that are reference places."""
    return np.sort(np.random.default_rng(_SEED).permutation(cells)[:REFERENCE_PLACES])
