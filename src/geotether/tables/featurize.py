"""Tables of images and texts, and the demo planet's tables."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from geotether.features.convolution import RandomConvolution
from geotether.features.ngrams import NgramFeatures
from geotether.sources.planet import CHIP_MODALITIES, TEXT_MODALITY, read_chips, read_place_texts
from geotether.tables.table import Table

PLANET_MODALITIES = (*CHIP_MODALITIES, TEXT_MODALITY)


def featurize_chips(
    name: str,
    lonlat: np.ndarray,
    chips: np.ndarray,
    features: RandomConvolution,
    split: np.ndarray | None = None,
    targets: Mapping[str, Any] | None = None,
) -> Table:
    """Turn image chips into a table.

    Args:
        name: Name of the modality.
        lonlat: Centres of the chips in degrees, shape (n, 2).
        chips: Shape (n, height, width, channels), uint8.
        features: What to compute. If not fitted yet, it is fitted to the rows whose split is "train", or to all rows
            without a split.
        split: One of `SPLITS` per row, shape (n,), or None.
        targets: Targets by name, as for `Table.single`.

    Raises:
        ValueError: If lengths differ or a value is wrong; see `Table`.
    """
    _check_lengths(name, len(lonlat), len(chips), split, "chips")
    if not hasattr(features, "filters_"):
        features.fit(chips if split is None else chips[split == "train"])
    return Table.single(
        name, lonlat, features.transform(chips), targets=targets, split=split, transform=("convolution", features)
    )


def featurize_texts(
    name: str,
    lonlat: np.ndarray,
    texts: Sequence[str],
    features: NgramFeatures,
    split: np.ndarray | None = None,
    targets: Mapping[str, Any] | None = None,
) -> Table:
    """Turn texts, one per place, into a table; the arguments are those of `featurize_chips`."""
    _check_lengths(name, len(lonlat), len(texts), split, "texts")
    if hasattr(features, "directions_"):
        matrix = features.transform(texts)
    else:
        matrix = features.fit_transform(texts, None if split is None else np.flatnonzero(split == "train"))
    return Table.single(name, lonlat, matrix, targets=targets, split=split, transform=("ngrams", features))


def planet_table(modality: str, seed: int = 0) -> Table:
    """Turn one modality of the demo planet into a table.

    Chips become random convolutional features, texts become character n-grams projected by an SVD; both are fitted to
    the training rows.

    Args:
        modality: One of `PLANET_MODALITIES`.
        seed: Seed of the filters and the projection.

    Raises:
        ValueError: If the planet has no such modality.

    Source:
        Rolf et al. (2021), Nature Communications 12:4392, for the chips.
    """
    if modality == TEXT_MODALITY:
        texts = read_place_texts()
        return featurize_texts(modality, texts.lonlat, texts.texts, NgramFeatures(dim=128, seed=seed), texts.split)
    if modality not in PLANET_MODALITIES:
        raise ValueError(f"The demo planet has no modality {modality!r}; it has {', '.join(PLANET_MODALITIES)}.")
    chips = read_chips(modality)
    features = RandomConvolution(num_filters=128, patch_size=3, seed=seed)
    return featurize_chips(modality, chips.lonlat, chips.chips, features, chips.split)


def planet_tables(modalities: Sequence[str] = PLANET_MODALITIES, seed: int = 0) -> dict[str, Table]:
    """Turn several modalities of the demo planet into tables, by name."""
    return {modality: planet_table(modality, seed) for modality in modalities}


def _check_lengths(name: str, places: int, observations: int, split: np.ndarray | None, kind: str) -> None:
    if places != observations or (split is not None and len(split) != places):
        parts = "" if split is None else f" and {len(split)} values of split"
        raise ValueError(f"Table {name!r}: {places} places, {observations} {kind}{parts}; the numbers must be equal.")
