"""The vectors of a grid of the whole Earth, from which layers and answers of one model come."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Float64

from geotether.regions import Grid, Region, grid_of, region_of
from geotether.searching import Answers, Candidates, Index, Query, open_index, search
from geotether.searching.candidates import SOUTH, on_land

KM_PER_DEGREE = 111.19


@dataclass(eq=False)
class Planet:
    """The pixel centres of a grid of the Earth and their vectors. This version is provisional."""

    encoder: Any
    grid: Grid
    index: Index

    @classmethod
    def of(cls, encoder: Any, resolution: float = 0.5, progress: Callable[[int, int], None] | None = None) -> "Planet":
        """Compute the vectors of a grid of a resolution in degrees."""
        grid = grid_of(region_of("world"), resolution)
        lonlat = grid.lonlat(slice(None), slice(None)).reshape(-1, 2)
        said = f"{len(lonlat):,} places on a grid of {resolution:g} degrees"
        index = open_index(encoder, Candidates(said, lonlat, spacing_km=resolution * KM_PER_DEGREE))
        index.vectors("place", progress)
        return cls(encoder, grid, index)

    @property
    def lonlat(self) -> Float64[np.ndarray, "n 2"]:
        """Places, degrees."""
        return self.index.candidates.lonlat

    @cached_property
    def land(self) -> Bool[np.ndarray, " n"]:
        """Which places are on land; Antarctica is not."""
        return on_land(self.lonlat) & (self.lonlat[:, 1] > SOUTH)

    def similarity(self, query: Query) -> Float32[np.ndarray, " n"]:
        """Compare all places with a query."""
        return self.index.similarity(query.space, query.vector)

    def answers(
        self, query: Query, top: int, within: Region | None = None, min_distance_km: float | None = None
    ) -> Answers:
        """Find the best places on land."""
        region: Any = SimpleNamespace(
            name=within.name if within else "on land",
            contains=lambda lonlat: self.land & (True if within is None else within.contains(lonlat)),
        )
        return search(self.index, query, top, region, min_distance_km)
