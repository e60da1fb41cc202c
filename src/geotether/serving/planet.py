"""The vectors of a grid of the whole Earth, from which layers and answers of one model come."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from geotether.regions import Grid, Region
from geotether.searching import Answers, Index, Query, grid_candidates, open_index, search
from geotether.searching.candidates import SOUTH, on_land
from geotether.searching.query import PLACE, SHARED
from geotether.serving.comparison import Comparison
from geotether.serving.landmask import near_land
from geotether.user_folders import keyed_path

RESOLUTION = 0.5  # degrees
FINEST = 0.1
# Vectors of more places are kept in the user's cache.
_KEPT_FROM = 20_000


@dataclass(eq=False)
class Planet:
    """The pixel centres of a grid of the Earth, and their vectors by one model.

    Safe for several threads.

    Args:
        encoder: The `Encoder`.
        grid: A grid in degrees around the whole Earth; places are its pixel centres, row by row from the north-west.
        index: The vectors of all places.

    Example:
        >>> from geotether.encoder import Encoder
        >>> from geotether.encoders.build import build_location_encoder
        >>> parts = {"positional": {"name": "cartesian"}, "network": {"name": "linear"}, "embed_dim": 8}
        >>> planet = Planet.of(Encoder(build_location_encoder(parts, seed=0)), resolution=5.0)
        >>> len(planet), planet.grid.rows, int(planet.land.sum())
        (2592, 36, 622)
    """

    encoder: Any
    grid: Grid
    index: Index

    @classmethod
    def of(
        cls,
        encoder: Any,
        resolution: float = RESOLUTION,
        progress: Callable[[int, int], None] | None = None,
        folder: str | Path | None = None,
    ) -> "Planet":
        """Compute the vectors of a grid, or take them from the user's cache.

        A computation that was interrupted goes on where it stopped.

        Args:
            encoder: The `Encoder`.
            resolution: Side of a pixel in degrees, 0.1 to 90; adjusted so that whole pixels cover the Earth.
            progress: Called with the number of places done and of all, now and then.
            folder: Where the vectors are kept; by default in the user's cache, and in memory if they are few.

        Raises:
            ValueError: If the resolution is out of range.
            OSError: If the folder cannot be written to.
        """
        grid = world_grid(resolution)
        count = grid.rows * grid.columns
        if folder is None and count >= _KEPT_FROM:
            folder = keyed_path("search", "planet", [encoder.content_hash, grid.rows])
        candidates = grid_candidates(grid, f"{count:,} places, one every {grid.step:.3g} degrees")
        planet = cls(encoder, grid, open_index(encoder, candidates, folder))
        spaces = [PLACE, SHARED] if encoder.transforms else [PLACE]
        for number, space in enumerate(spaces):
            shown = progress and _part(progress, number, len(spaces))
            planet.index.vectors(space, shown)
        return planet

    def __post_init__(self) -> None:
        self.worker = ThreadPoolExecutor(1, thread_name_prefix="planet")
        self._comparison = Comparison(self.index, self.worker)

    def __len__(self) -> int:
        """Count the places."""
        return len(self.index)

    @property
    def lonlat(self) -> Float64[np.ndarray, "n 2"]:
        """Longitude and latitude of the places in degrees, shape (n, 2)."""
        return self.index.candidates.lonlat

    @cached_property
    def land(self) -> Bool[np.ndarray, " n"]:
        """Which places are on land, shape (n,); Antarctica is not counted."""
        return on_land(self.lonlat) & (self.lonlat[:, 1] > SOUTH)

    @cached_property
    def land_rows(self) -> Int64[np.ndarray, " l"]:
        """Numbers of the places on land, or of all places if there are none."""
        return np.flatnonzero(self.land) if self.land.any() else np.arange(len(self))

    @cached_property
    def near_land(self) -> Bool[np.ndarray, " n"]:
        """Which places a map of land needs: pixels with land and their neighbours, shape (n,); see `landmask`."""
        return near_land(self.grid)

    @cached_property
    def model(self) -> str:
        """SHA-256 of what decides the model's vectors."""
        return self.encoder.content_hash

    @property
    def version(self) -> str:
        """A short text that differs between models and resolutions, for addresses that may be kept for long."""
        return f"{self.model[:12]}-{self.grid.rows}"

    def row_of(self, lon: float, lat: float) -> int:
        """Return the number of the pixel that a place in degrees is in."""
        grid = self.grid
        row = min(int((grid.north - lat) // grid.step), grid.rows - 1)
        return row * grid.columns + int((lon - grid.west) % 360.0 // grid.step) % grid.columns

    def features(self, rows: Any = slice(None)) -> Float32[np.ndarray, "k d"]:
        """Return embeddings as `Encoder.encode` does, to half precision.

        Args:
            rows: A slice, or numbers or a mask of places.
        """
        lengths = self.index.lengths(PLACE)[rows]
        return self.index.vectors(PLACE)[rows].astype(np.float32) * lengths[:, None]

    def similarity(self, query: Query) -> Float32[np.ndarray, " n"]:
        """Return the cosine similarity of every place with a query, read-only, shape (n,); see `Comparison`."""
        return self._comparison.similarity(query)

    def answers(
        self, query: Query, top: int = 10, within: Region | None = None, min_distance_km: float | None = None
    ) -> Answers:
        """Find the places on land that are most similar to a query; arguments and errors as `searching.search`."""
        similarity = self.similarity(query)
        return search(self.index, query, top, within, min_distance_km, similarity=similarity, among=self.land)


def world_grid(resolution: float) -> Grid:
    """Return a grid around the Earth with pixels of about a side in degrees.

    Raises:
        ValueError: If the side is not 0.1 to 90 degrees.

    Example:
        >>> grid = world_grid(0.7)
        >>> grid.rows, grid.columns, grid.bounds
        (257, 514, (-180.0, -90.0, 180.0, 90.0))
    """
    if not FINEST <= resolution <= 90:
        raise ValueError(f"The resolution of a planet is {FINEST:g} to 90 degrees; got {resolution:g}. Usual: 0.5.")
    rows = round(180 / resolution)
    return Grid("EPSG:4326", -180.0, 90.0, 180 / rows, rows, 2 * rows, "world")


def _part(progress: Callable[[int, int], None], number: int, parts: int) -> Callable[[int, int], None]:
    """Return the progress of one of several parts, each of all places."""
    return lambda done, total: progress((number * total + done) // parts, total)
