"""Cross-modal recall: how far from its own place a held-out observation leads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from geotether.geodesy.distance import great_circle_km
from geotether.searching.index import Index
from geotether.searching.query import SHARED, head_vectors
from geotether.tables.table import Table

# The scales of Im2GPS and its successors: a city, a region, a country, a continent (a street, 1 km, is out of reach).
WITHIN_KM = (25.0, 200.0, 750.0, 2500.0)
_DRAWS = 20
_AT_ONCE = 2048


@dataclass(frozen=True, eq=False)
class CrossModalRecall:
    """How far the best candidates for held-out observations of a modality are from where these were made.

    Attributes:
        modality: Name of the modality.
        km: Distance from each observation's place to the best candidate, shape (n,).
        chance_km: The same for candidates drawn at random, shape (k, n).
        others_km: The same for the best candidates of other observations: what is gained by knowing where
            observations are made, without reading the one at hand; shape (k, n).

    Source:
        Hays & Efros (2008), CVPR, IM2GPS; the distances of Vo et al. (2017), ICCV, arXiv:1705.04838.
    """

    modality: str
    km: Float64[np.ndarray, " n"]
    chance_km: Float64[np.ndarray, "k n"]
    others_km: Float64[np.ndarray, "k n"]

    @property
    def rows(self) -> int:
        """Number of observations."""
        return len(self.km)

    def plain(self) -> dict[str, Any]:
        """Return the numbers as plain values: rows, and for `model`, `others` and `chance` the median and recalls."""
        parts = {"model": self.km, "others": self.others_km, "chance": self.chance_km}
        return {"rows": self.rows, **{name: _summary(km) for name, km in parts.items()}}


def cross_modal_recall(
    encoder: Any, index: Index, modality: str, table: Table, split: str = "validation", seed: int = 0
) -> CrossModalRecall:
    """Search the place of each held-out observation of a modality.

    Args:
        encoder: An `Encoder` with the head of the modality.
        index: The candidates.
        modality: Name of the modality.
        table: Its table.
        split: The rows to ask with.
        seed: Of the draws of chance.

    Raises:
        ValueError: If the encoder has no such head, or the table has no such rows.
    """
    if modality not in encoder.heads:
        raise ValueError(f"The model has no head of {modality}; it has {', '.join(encoder.heads) or 'none'}.")
    rows = table.numbers(split)
    places, lonlat = table.lonlat[rows], index.candidates.lonlat
    vectors = index.vectors(SHARED)
    best = np.empty(len(rows), dtype=np.int64)
    queries = head_vectors(encoder, modality, table.features[rows])
    highest = np.full(len(rows), -np.inf, dtype=np.float32)
    for start in range(0, len(lonlat), _AT_ONCE):
        similarity = queries @ vectors[start : start + _AT_ONCE].astype(np.float32).T
        at = similarity.argmax(axis=1)
        found = similarity[np.arange(len(rows)), at]
        better = found > highest
        best[better], highest[better] = at[better] + start, found[better]
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(lonlat), size=(_DRAWS, len(rows)))
    shuffled = np.stack([best[rng.permutation(len(rows))] for _ in range(_DRAWS)])
    return CrossModalRecall(
        modality,
        np.asarray(great_circle_km(places, lonlat[best])),
        np.asarray(great_circle_km(places, lonlat[drawn])),
        np.asarray(great_circle_km(places, lonlat[shuffled])),
    )


def recall_rows(found: Sequence[CrossModalRecall]) -> list[list[str]]:
    """Return the rows of a table of recalls, with a heading: one for the model, for others and for chance each."""
    rows = [["asked by", "place by", "rows", "median km", *(f"within {km:g} km" for km in WITHIN_KM)]]
    words = {"model": "the model", "others": "another row's answer", "chance": "chance"}
    for one in found:
        plain = one.plain()
        for part, said in words.items():
            numbers: Mapping[str, Any] = plain[part]
            shares = [f"{numbers['within_km'][f'{km:g}']:.1%}" for km in WITHIN_KM]
            rows.append([one.modality, said, f"{one.rows:,}", f"{numbers['median_km']:,.0f}", *shares])
    return rows


def _summary(km: Float64[np.ndarray, "*k n"]) -> dict[str, Any]:
    shares = {f"{limit:g}": round(float((km <= limit).mean()), 5) for limit in WITHIN_KM}
    return {"median_km": round(float(np.median(km)), 1), "within_km": shares}
