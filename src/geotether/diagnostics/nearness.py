"""Distances to the nearest row of a table: coverage of the Earth, leakage of test places, overlap of two tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float64

from geotether.geodesy.blocks import block_id
from geotether.geodesy.coordinates import check_lonlat
from geotether.geodesy.distance import nearest_km
from geotether.tables.table import Table

WITHIN_KM = (1.0, 10.0, 50.0, 100.0, 500.0)
OVERLAP_KM = (1.0, 10.0, 100.0)
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
# Rows that training may have used; rows of other parts of a split were kept from it.
SEEN_PARTS = ("train", "validation")
HELD_OUT = ("validation", "test")
BLOCK_KM = 500.0
MAX_ROWS = 20_000


@dataclass(frozen=True, eq=False)
class Nearness:
    """Distances from places to the nearest row of one table.

    Attributes:
        name, rows: Of the table or modality.
        lonlat: The places, shape (n, 2).
        km: Distance of each place, shape (n,); infinite if the table has no rows.
    """

    name: str
    rows: int
    lonlat: Float[np.ndarray, "n 2"]
    km: Float64[np.ndarray, " n"]

    @property
    def quantiles_km(self) -> dict[str, float]:
        """Quantiles of the distance, by name such as "50%"."""
        values = np.quantile(self.km, QUANTILES) if np.isfinite(self.km).all() else np.full(len(QUANTILES), np.inf)
        return {f"{share:.0%}": float(value) for share, value in zip(QUANTILES, values, strict=True)}

    def within(self, limits: tuple[float, ...] = WITHIN_KM) -> dict[float, float]:
        """Return the share of the places within each limit in km; empty if there are no places."""
        return {km: float((self.km <= km).mean()) for km in limits} if len(self.km) else {}


@dataclass(frozen=True, eq=False)
class Overlap:
    """Overlap of two tables in space.

    Attributes:
        names: Names of the two tables.
        forth: Rows of the first table, and their distances to the second.
        back: Rows of the second table, and their distances to the first.
        blocks: Number of blocks of 500 km with rows of the first table, of the second, and of both.
        seen_forth: Held-out rows (validation, test) of the second table, and their distances to training rows of the
            first.
        seen_back: Held-out rows of the first table, and their distances to training rows of the second.
    """

    names: tuple[str, str]
    forth: Nearness
    back: Nearness
    blocks: tuple[int, int, int]
    seen_forth: Nearness
    seen_back: Nearness


def nearness(lonlat: Float[np.ndarray, "n 2"], tables: Mapping[str, Float[np.ndarray, "_ 2"]]) -> dict[str, Nearness]:
    """Measure how near places are to pre-training places, modality by modality.

    For places spread over the Earth this is the coverage of pre-training; for test places it is the leakage. A test
    place beside a pre-training place does not leak its label, because pre-training has no labels; but scores there
    are about places that the encoder has seen, and say little about places that it has not.

    Args:
        lonlat: Places, degrees, shape (n, 2), such as `even_places`, `land_places` or test places.
        tables: Modality to the lonlat of its pre-training rows; see `seen_places`.

    Returns:
        One entry per modality, and "any modality" if there are several.

    Raises:
        ValueError: If there are no places or no modalities, or a row is not a coordinate.
    """
    check_lonlat(lonlat)
    if not len(lonlat) or not tables:
        raise ValueError(f"{len(lonlat)} places and {len(tables)} modalities; at least one of each is needed.")
    found = {}
    for name, places in tables.items():
        check_lonlat(places)
        found[name] = Nearness(name, len(places), lonlat, nearest_km(lonlat, places))
    if len(found) > 1:
        name, rows = "any modality", sum(one.rows for one in found.values())
        found[name] = Nearness(name, rows, lonlat, np.min([one.km for one in found.values()], axis=0))
    return found


def seen_places(table: Any) -> Float64[np.ndarray, "m 2"]:
    """Return the places that training may have used: rows marked "train" or "validation", or all without a split."""
    return table.lonlat if table.split is None else table.lonlat[np.isin(table.split, SEEN_PARTS)]


def overlap(table: Table, other: Table, max_rows: int = MAX_ROWS, seed: int = 0) -> Overlap:
    """Measure how two tables overlap in space.

    A held-out row of one table beside a training row of the other is a place that training sees, so scores there are
    not about unseen places. Rows of a table without a split count as training rows. Distances of `max_rows` rows at
    most are measured, to all rows of the other table.

    Example:
        >>> values = np.array([[0.0], [1.0]], dtype=np.float32)
        >>> towns = Table.single("towns", np.array([[5.66, 51.97], [151.21, -33.87]]), values)
        >>> rivers = Table.single("rivers", np.array([[5.70, 51.97], [-60.0, -3.0]]), values)
        >>> overlap(towns, rivers).forth.within((1.0, 10.0, 100.0))
        {1.0: 0.0, 10.0: 0.5, 100.0: 0.5}
    """
    rng = np.random.default_rng(seed)
    mine, theirs = (np.unique(block_id(one.lonlat, BLOCK_KM)) for one in (table, other))

    def distances(lonlat: Any, name: str, others: Any) -> Nearness:
        if len(lonlat) > max_rows:
            lonlat = lonlat[np.sort(rng.choice(len(lonlat), max_rows, replace=False))]
        return Nearness(name, len(others), lonlat, nearest_km(lonlat, others))

    return Overlap(
        names=(table.name, other.name),
        forth=distances(table.lonlat, other.name, other.lonlat),
        back=distances(other.lonlat, table.name, table.lonlat),
        blocks=(len(mine), len(theirs), len(np.intersect1d(mine, theirs))),
        seen_forth=distances(_held_out(other), table.name, _trained(table)),
        seen_back=distances(_held_out(table), other.name, _trained(other)),
    )


def _held_out(table: Table) -> Float[np.ndarray, "_ 2"]:
    return table.lonlat[:0] if table.split is None else table.lonlat[np.isin(table.split, HELD_OUT)]


def _trained(table: Table) -> Float[np.ndarray, "_ 2"]:
    return table.lonlat if table.split is None else table.lonlat[table.split == "train"]
