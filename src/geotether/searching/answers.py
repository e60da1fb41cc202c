"""The places most similar to a query, exactly, thinned by distance, with what makes them alike."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int64

from geotether.geodesy.coordinates import unit_vectors
from geotether.geodesy.distance import chord_of_km
from geotether.regions import Region
from geotether.searching.alikeness import alikeness
from geotether.searching.index import Index
from geotether.searching.query import SHARED, Query

TOP = 10
SPACINGS_APART = 10.0  # the usual least distance between two answers on a grid, in distances of neighbours
_BLOCK = 4096


@dataclass(frozen=True, eq=False)
class Answers:
    """The best candidates of a search, the most similar first.

    Attributes:
        query: The question.
        among: What was searched among, in words.
        row: Number of each answer among the candidates, shape (k,).
        lonlat: Degrees, WGS 84, shape (k, 2).
        similarity: Cosine similarity with the query, from -1 to 1, shape (k,).
        alike: Of a place: modality to how alike each answer is in it, from -1 to 1, shape (k,); see `alikeness`.
        columns: Columns of the answers, if the candidates come from a file: an Arrow table of k rows.
        min_distance_km: Least distance between two answers.
    """

    query: Query
    among: str
    row: Int64[np.ndarray, " k"]
    lonlat: Float64[np.ndarray, "k 2"]
    similarity: Float32[np.ndarray, " k"]
    alike: Mapping[str, Float32[np.ndarray, " k"]] = field(default_factory=dict)
    columns: Any = None
    min_distance_km: float = 0.0

    def __len__(self) -> int:
        """Count the answers."""
        return len(self.row)

    def table(self) -> Any:
        """Return the answers as an Arrow table: rank, lon, lat, similarity, alike_MODALITY, and the file's columns.

        A column of the file with one of these names gets the prefix `given_`, unless it is the longitude or latitude.
        """
        import pyarrow as pa

        found: dict[str, Any] = {
            "rank": np.arange(1, len(self) + 1),
            "lon": self.lonlat[:, 0],
            "lat": self.lonlat[:, 1],
            "similarity": self.similarity,
            **{f"alike_{name}": values for name, values in self.alike.items()},
        }
        columns = {name: pa.array(np.ascontiguousarray(values)) for name, values in found.items()}
        for name in [] if self.columns is None else self.columns.column_names:
            if name in ("lon", "lat") and self.columns[name].to_pylist() == found[name].tolist():
                continue
            columns[f"given_{name}" if name in found else name] = self.columns[name]
        return pa.table(columns)


def search(
    index: Index,
    query: Query,
    top: int = TOP,
    within: Region | None = None,
    min_distance_km: float | None = None,
    *,
    similarity: Float32[np.ndarray, " n"] | None = None,
    among: Bool[np.ndarray, " n"] | None = None,
) -> Answers:
    """Find the candidates most similar to a query.

    Every candidate is compared, in half precision as they are stored and in float32 arithmetic.

    Args:
        index: The candidates.
        query: The question.
        top: Number of answers, 1 or more; there may be fewer candidates.
        within: Only candidates in this region.
        min_distance_km: Leave out candidates closer than this to a better answer, or to the place that is asked for.
            None: ten times the distance of neighbours of a grid, 0 for points of a file.
        similarity: Similarity of each candidate with the query, if it is known already, shape (n,).
        among: Only candidates that are marked here, shape (n,), such as those on land.

    Returns:
        At most `top` answers.

    Raises:
        ValueError: If `top` is below 1, the distance is negative, or no candidate is in the region.
    """
    if top < 1:
        raise ValueError(f"The number of answers (top) must be 1 or more, got {top}.")
    if min_distance_km is None:
        min_distance_km = SPACINGS_APART * (index.candidates.spacing_km or 0.0)
    if not min_distance_km >= 0:
        raise ValueError(f"The least distance between answers must be 0 km or more, got {min_distance_km:g}.")
    lonlat = index.candidates.lonlat
    if similarity is None:
        similarity = index.similarity(query.space, query.vector)
    rows = np.arange(len(lonlat)) if among is None else np.flatnonzero(among)
    if within is not None:
        rows = rows[within.contains(lonlat[rows])]
    if not len(rows):
        raise ValueError(f"None of {index.candidates.said} is in the region {within.name if within else ''}.")
    if min_distance_km:
        count = 64 * top + _BLOCK
        while True:  # few of the best may be apart
            chosen = thinned(lonlat, rows[best(similarity[rows], count)], top, min_distance_km, query.lonlat)
            if len(chosen) == top or count >= len(rows):
                break
            count *= 8
    else:
        chosen = rows[best(similarity[rows], top)]
    columns = index.candidates.columns
    alike = {} if query.lonlat is None else _alike(index, query, chosen)
    return Answers(
        query,
        index.candidates.said,
        chosen,
        lonlat[chosen],
        similarity[chosen],
        alike,
        None if columns is None else columns.take(chosen),
        min_distance_km,
    )


def _alike(index: Index, query: Query, rows: Int64[np.ndarray, " k"]) -> dict[str, Float32[np.ndarray, " k"]]:
    """Compute how alike candidates and the place of a query are, from stored embeddings if there are any."""
    assert query.lonlat is not None
    embeddings = None
    if query.shared is not None and index.has(SHARED):
        others = index.vectors(SHARED)[rows].astype(np.float32) * index.lengths(SHARED)[rows, None]
        embeddings = np.concatenate([query.shared, others])
    return alikeness(index.encoder, query.lonlat, index.candidates.lonlat[rows], embeddings)


def best(similarity: Float32[np.ndarray, " n"], top: int) -> Int64[np.ndarray, " k"]:
    """Return the positions of the `top` largest values, the largest first; equal ones in their order.

    Example:
        >>> best(np.array([0.1, 0.9, 0.5, 0.9], dtype=np.float32), 3).tolist()
        [1, 3, 2]
    """
    top = min(top, len(similarity))
    least = np.partition(similarity, len(similarity) - top)[len(similarity) - top]
    above = np.flatnonzero(similarity > least)
    level = np.flatnonzero(similarity == least)[: top - len(above)]
    found = np.sort(np.concatenate([above, level]))
    return found[np.argsort(-similarity[found], kind="stable")]


def thinned(
    lonlat: Float[np.ndarray, "n 2"],
    order: Int64[np.ndarray, " m"],
    top: int,
    min_distance_km: float,
    apart_from: Float[np.ndarray, "_ 2"] | None = None,
) -> Int64[np.ndarray, " k"]:
    """Choose the first rows in some order that are at least a distance from all rows chosen before them.

    Args:
        lonlat: Places, degrees, shape (n, 2).
        order: Row numbers, the best first.
        top: Number of rows to choose.
        min_distance_km: Least great-circle distance.
        apart_from: Places that the chosen ones must be as far from, shape (k, 2).

    Example:
        >>> places = np.array([[179.9, 0.0], [-179.9, 0.0], [0.0, 0.0]])
        >>> thinned(places, np.arange(3), 2, 100.0).tolist()
        [0, 2]
    """
    chord = chord_of_km(min_distance_km)
    most = 1 - chord**2 / 2  # the cosine of the angle
    taken = np.empty((0, 3)) if apart_from is None else unit_vectors(apart_from.astype(np.float64))
    chosen: list[int] = []
    for start in range(0, len(order), _BLOCK):
        rows = order[start : start + _BLOCK]
        points = unit_vectors(lonlat[rows].astype(np.float64))
        free = (points @ taken.T <= most).all(axis=1) if len(taken) else np.ones(len(rows), dtype=bool)
        for at in np.flatnonzero(free).tolist():
            if free[at]:
                chosen.append(int(rows[at]))
                if len(chosen) == top:
                    return np.array(chosen, dtype=np.int64)
                taken = np.concatenate([taken, points[at : at + 1]])
                free &= points @ points[at] <= most
    return np.array(chosen, dtype=np.int64)
