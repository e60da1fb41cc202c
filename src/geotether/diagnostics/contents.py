"""Contents of a feature table: places, times, splits, labels, and the distribution of its features."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float64

from geotether.geodesy.blocks import block_count, block_id
from geotether.tables.table import SPLITS, Table

BLOCK_KM = 500.0
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
MAX_ROWS = 20_000
MISSING = " missing"
_BYTES_AT_MOST = 2**28
# A feature is nearly constant if this share of the rows has one value.
NEARLY_ALL = 0.999
MOSTLY = 0.9


@dataclass(frozen=True, eq=False)
class Spread:
    """Distribution of each feature, over some of the rows.

    Attributes:
        names: Names of the d features, or "0" to "d-1" if the table has none.
        rows: Number of rows used.
        mean, deviation: Of each feature, shape (d,).
        quantiles: At `QUANTILES`, shape (7, d).
        zero, same: Share of the rows that are 0, and that have the median value, shape (d,).
    """

    names: list[str]
    rows: int
    mean: Float64[np.ndarray, " d"]
    deviation: Float64[np.ndarray, " d"]
    quantiles: Float64[np.ndarray, "q d"]
    zero: Float64[np.ndarray, " d"]
    same: Float64[np.ndarray, " d"]

    @property
    def nearly_constant(self) -> list[int]:
        """Indices of features that nearly always have one value."""
        return np.flatnonzero((self.same >= NEARLY_ALL) | (self.deviation == 0)).tolist()

    @property
    def mostly_zero(self) -> list[int]:
        """Indices of features that are 0 in most rows, without the nearly constant ones."""
        found = np.flatnonzero(self.zero >= MOSTLY).tolist()
        return [number for number in found if number not in self.nearly_constant]

    @property
    def missing(self) -> dict[str, float]:
        """Share of the rows with a missing value, by name; taken from the flag features called "... missing"."""
        return {
            name.removesuffix(MISSING): float(self.mean[number])
            for number, name in enumerate(self.names)
            if name.endswith(MISSING)
        }


@dataclass(frozen=True, eq=False)
class Contents:
    """Contents of a feature table.

    Attributes:
        name: Name of the modality.
        rows, dim: Number of rows, and of features.
        bounds: West, south, east, north in degrees; west is greater than east if the rows lie across 180 degrees.
        blocks: Number of blocks of 500 km that contain rows, and of all blocks.
        duplicated: Number of rows that share a place with others, and of such places.
        time: First and last time, and the number of rows without one; or None.
        split: Number of rows by part; empty if the table has no split.
        labels: Facts by name: classes or least and greatest value, unknown rows.
        spread: Distribution of the features.
        origin: Licence, source, citation, url, and how it was made, as far as known.
        content_hash: Hash of the table's content.
    """

    name: str
    rows: int
    dim: int
    bounds: tuple[float, float, float, float]
    blocks: tuple[int, int]
    duplicated: tuple[int, int]
    time: tuple[str, str, int] | None
    split: dict[str, int]
    labels: dict[str, dict[str, Any]]
    spread: Spread
    origin: dict[str, Any]
    content_hash: str


def contents(table: Table, max_rows: int = MAX_ROWS, seed: int = 0) -> Contents:
    """Summarise a table. Features of a large table are summarised over some rows, everything else over all.

    Args:
        table: The table; its features may be a memory map.
        max_rows: Number of rows whose features are used, at most, drawn at random.
        seed: Seed of the draw.

    Example:
        >>> lonlat = np.array([[179.0, 0.0], [-178.0, 10.0], [-178.0, 10.0]])
        >>> found = contents(Table.single("rain", lonlat, np.array([[0.0, 1], [1, 1], [2, 1]], np.float32)))
        >>> found.bounds, found.duplicated, found.spread.nearly_constant
        ((179.0, 0.0, -178.0, 10.0), (2, 1), [1])
    """
    occupied = len(np.unique(block_id(table.lonlat, BLOCK_KM)))
    parts = {} if table.split is None else {part: int((table.split == part).sum()) for part in SPLITS}
    origin = getattr(table, "origin", None)
    return Contents(
        name=table.name,
        rows=len(table),
        dim=table.dim,
        bounds=bounds(table.lonlat),
        blocks=(occupied, block_count(BLOCK_KM)),
        duplicated=duplicated(table.lonlat),
        time=_times(table.time),
        split={part: count for part, count in parts.items() if count},
        labels={name: _label(target.column) for name, target in table.targets.items()},
        spread=spread(table, max_rows, seed),
        origin={} if origin is None else origin.plain(),
        content_hash=table.content_hash,
    )


def spread(table: Table, max_rows: int = MAX_ROWS, seed: int = 0) -> Spread:
    """Measure the distribution of the features over `max_rows` rows at most, fewer for very wide tables."""
    most = min(len(table), max_rows, max(100, _BYTES_AT_MOST // (8 * table.dim)))
    features = table.features
    if most < len(table):
        features = features[np.sort(np.random.default_rng(seed).choice(len(table), most, replace=False))]
    features = np.asarray(features, dtype=np.float64)
    median = np.quantile(features, 0.5, axis=0, method="lower")
    made = getattr(getattr(table, "origin", None), "made", {})
    names = [str(name) for name in made.get("features", ())]
    return Spread(
        names=names if len(names) == table.dim else [str(number) for number in range(table.dim)],
        rows=most,
        mean=features.mean(axis=0),
        deviation=features.std(axis=0),
        quantiles=np.quantile(features, QUANTILES, axis=0),
        zero=(features == 0).mean(axis=0),
        same=(features == median).mean(axis=0),
    )


def bounds(lonlat: Float[np.ndarray, "n 2"]) -> tuple[float, float, float, float]:
    """Return west, south, east and north of places; across 180 degrees if that is narrower than half the Earth.

    Example:
        >>> bounds(np.array([[170.0, -20.0], [-175.0, -10.0]]))
        (170.0, -20.0, -175.0, -10.0)
    """
    lon = np.unique(lonlat[:, 0])
    gaps = np.diff(np.append(lon, lon[0] + 360))
    widest = int(gaps.argmax())
    # Rows all around the Earth keep the usual west and east.
    across = widest < len(lon) - 1 and gaps[widest] > 180.0
    west, east = (lon[widest + 1], lon[widest]) if across else (lon[0], lon[-1])
    return float(west), float(lonlat[:, 1].min()), float(east), float(lonlat[:, 1].max())


def duplicated(lonlat: Float[np.ndarray, "n 2"]) -> tuple[int, int]:
    """Count the rows that share a place with others, and the shared places."""
    _, counts = np.unique(np.ascontiguousarray(lonlat) + 0.0, axis=0, return_counts=True)
    return int(counts[counts > 1].sum()), int((counts > 1).sum())


def _times(time: np.ndarray | None) -> tuple[str, str, int] | None:
    if time is None:
        return None
    known = time[~np.isnat(time)]
    ends = (str(known.min()), str(known.max())) if len(known) else ("", "")
    return (*ends, int(len(time) - len(known)))


def _label(values: np.ndarray) -> dict[str, Any]:
    if values.dtype.kind in "OUS":
        counts = Counter(str(text) for text in values.tolist())
        unknown = counts.pop("", 0)
        # The first by name of equally frequent ones.
        largest = min(counts, key=lambda text: (-counts[text], text), default="")
        return {"classes": len(counts), "largest": largest, "count": counts[largest], "unknown": unknown}
    if values.dtype.kind == "b":
        return {"classes": 2, "largest": "true", "count": int(values.sum()), "unknown": 0}
    known_values = values[np.isfinite(values.astype(np.float64))]
    ends = (float(known_values.min()), float(known_values.max())) if len(known_values) else (None, None)
    return {"least": ends[0], "greatest": ends[1], "unknown": int(len(values) - len(known_values))}
