"""How near places are to what an encoder was trained on: leakage of test places, coverage of the Earth."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float64

from geotether.geodesy.coordinates import check_lonlat
from geotether.geodesy.distance import nearest_km

WITHIN_KM = (1.0, 10.0, 50.0, 100.0, 500.0)
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
# Rows that training may have seen; those of other parts of a split were kept from it.
SEEN_PARTS = ("train", "validation")


@dataclass(frozen=True, eq=False)
class Nearness:
    """Distance from places to the nearest pre-training place of one modality.

    Attributes:
        name: The modality.
        rows: Its number of pre-training places.
        lonlat: The places asked about, shape (n, 2).
        km: Distance of each, shape (n,); infinite if the modality has no places.
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

    @property
    def within(self) -> dict[str, float]:
        """Share of the places within 1, 10, 50, 100 and 500 km."""
        return {f"{km:g} km": float((self.km <= km).mean()) for km in WITHIN_KM}


def leakage(
    test_lonlat: Float[np.ndarray, "n 2"], tables: Mapping[str, Float[np.ndarray, "_ 2"]]
) -> dict[str, Nearness]:
    """Measure how near test places are to pre-training places, modality by modality.

    A test place beside a pre-training place is no leak of its label, for pre-training has no labels; but scores there
    are about places that the encoder has seen, and say little about places that it has not.

    Args:
        test_lonlat: Test places, degrees, shape (n, 2).
        tables: Modality to the lonlat of its pre-training rows; see `seen_places`.

    Returns:
        One entry a modality, and "any modality" where there are several.

    Raises:
        ValueError: If there are no test places, no modalities, or a row is no coordinate.
    """
    return nearness(test_lonlat, tables)


def coverage(lonlat: Float[np.ndarray, "n 2"], tables: Mapping[str, Float[np.ndarray, "_ 2"]]) -> dict[str, Nearness]:
    """Measure how far places spread over the Earth are from the nearest pre-training place, modality by modality.

    Args:
        lonlat: Places, degrees, shape (n, 2), such as `even_places` or `land_places`.
        tables: Modality to the lonlat of its pre-training rows; see `seen_places`.

    Returns:
        As `leakage`.

    Raises:
        ValueError: As `leakage`.
    """
    return nearness(lonlat, tables)


def nearness(lonlat: Float[np.ndarray, "n 2"], tables: Mapping[str, Float[np.ndarray, "_ 2"]]) -> dict[str, Nearness]:
    """The distances behind `leakage` and `coverage`."""
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
    """The places of a feature table that training may have seen.

    Args:
        table: A Table, or anything with `lonlat` and `split`.

    Returns:
        Its rows marked "train" or "validation" (which decides when to stop); all rows where it has no split.
    """
    if table.split is None:
        return table.lonlat
    return table.lonlat[np.isin(table.split, SEEN_PARTS)]
