"""How two feature tables lie to each other in space, and whether their splits contradict."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from geotether.geodesy.blocks import block_id
from geotether.geodesy.distance import nearest_km
from geotether.tables.table import Table

WITHIN_KM = (1.0, 10.0, 100.0)
BLOCK_KM = 500.0
ASKED = 20_000
HELD_OUT = ("validation", "test")


@dataclass(frozen=True, eq=False)
class Nearby:
    """How near rows of one table are to those of another.

    Attributes:
        lonlat: The rows asked about, shape (n, 2): all, or some drawn at random.
        km: Distance of each to the nearest row of the other table, shape (n,); infinite if there is none.
    """

    lonlat: Float[np.ndarray, "n 2"]
    km: Float64[np.ndarray, " n"]

    @property
    def within(self) -> dict[float, float]:
        """Share of the rows within 1, 10 and 100 km; empty if nothing was asked."""
        return {km: float((self.km <= km).mean()) for km in WITHIN_KM} if len(self.km) else {}


@dataclass(frozen=True, eq=False)
class Overlap:
    """Two tables side by side.

    Attributes:
        names: Of both.
        forth: Rows of the first, and how near the second is.
        back: Rows of the second, and how near the first is.
        blocks: Number of blocks of 500 km with rows of the first, of the second, and of both.
        seen_forth: Held-out rows (validation, test) of the second, and how near training rows of the first are.
        seen_back: Held-out rows of the first, and how near training rows of the second are.
    """

    names: tuple[str, str]
    forth: Nearby
    back: Nearby
    blocks: tuple[int, int, int]
    seen_forth: Nearby
    seen_back: Nearby


def overlap(table: Table, other: Table, asked: int = ASKED, seed: int = 0) -> Overlap:
    """Measure how two tables overlap in space.

    A held-out row of one table beside a training row of the other is a place that training sees: scores there do not
    speak of unseen places. Rows of a table without a split count as training rows.

    Args:
        table: The first table.
        other: The second.
        asked: At most so many rows of a table are asked about, drawn at random; they are held against all rows of the
            other.
        seed: Decides which.

    Returns:
        What was found.

    Example:
        >>> values = np.array([[0.0], [1.0]], dtype=np.float32)
        >>> towns = Table.single("towns", np.array([[5.66, 51.97], [151.21, -33.87]]), values)
        >>> rivers = Table.single("rivers", np.array([[5.70, 51.97], [-60.0, -3.0]]), values)
        >>> overlap(towns, rivers).forth.within
        {1.0: 0.0, 10.0: 0.5, 100.0: 0.5}
    """
    rng = np.random.default_rng(seed)
    mine, theirs = (np.unique(block_id(one.lonlat, BLOCK_KM)) for one in (table, other))
    return Overlap(
        names=(table.name, other.name),
        forth=_nearby(table.lonlat, other.lonlat, asked, rng),
        back=_nearby(other.lonlat, table.lonlat, asked, rng),
        blocks=(len(mine), len(theirs), len(np.intersect1d(mine, theirs))),
        seen_forth=_nearby(_held_out(other), _trained(table), asked, rng),
        seen_back=_nearby(_held_out(table), _trained(other), asked, rng),
    )


def _nearby(
    lonlat: Float[np.ndarray, "n 2"], others: Float[np.ndarray, "m 2"], asked: int, rng: np.random.Generator
) -> Nearby:
    if len(lonlat) > asked:
        lonlat = lonlat[np.sort(rng.choice(len(lonlat), asked, replace=False))]
    return Nearby(lonlat, nearest_km(lonlat, others))


def _held_out(table: Table) -> Float[np.ndarray, "_ 2"]:
    return table.lonlat[:0] if table.split is None else table.lonlat[np.isin(table.split, HELD_OUT)]


def _trained(table: Table) -> Float[np.ndarray, "_ 2"]:
    return table.lonlat if table.split is None else table.lonlat[table.split == "train"]
