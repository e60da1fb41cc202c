"""From chips or texts to a feature table."""

from collections.abc import Mapping, Sequence

import numpy as np

from geotether.features.convolution import RandomConvolution
from geotether.features.ngrams import NgramFeatures
from geotether.tables.table import FeatureTable


def featurize_chips(
    name: str,
    lonlat: np.ndarray,
    chips: np.ndarray,
    features: RandomConvolution,
    split: np.ndarray | None = None,
    labels: Mapping[str, np.ndarray] | None = None,
) -> FeatureTable:
    """Turn image chips into a feature table.

    Args:
        name: Name of the modality.
        lonlat: Centres of the chips in degrees, shape (n, 2).
        chips: Shape (n, height, width, channels), uint8.
        features: What to compute. If not fitted yet, it is fitted on the rows whose split is "train",
            or on all where there is no split.
        split: One of `SPLITS` a row, shape (n,), or None.
        labels: Label columns by name.

    Returns:
        One row a chip, ids "0" to "n-1".

    Raises:
        ValueError: If lengths differ or something is not as it should be; see `FeatureTable`.
    """
    _check_lengths(name, len(lonlat), len(chips), split, "chips")
    if not hasattr(features, "filters_"):
        features.fit(chips if split is None else chips[split == "train"])
    return FeatureTable(name, lonlat, features.transform(chips), labels=dict(labels or {}), split=split)


def featurize_texts(
    name: str,
    lonlat: np.ndarray,
    texts: Sequence[str],
    features: NgramFeatures,
    split: np.ndarray | None = None,
    labels: Mapping[str, np.ndarray] | None = None,
) -> FeatureTable:
    """Turn texts into a feature table.

    Args:
        name: Name of the modality.
        lonlat: Where the texts belong, in degrees, shape (n, 2).
        texts: One text a place.
        features: What to compute. If not fitted yet, it is fitted on the rows whose split is "train",
            or on all where there is no split.
        split: One of `SPLITS` a row, shape (n,), or None.
        labels: Label columns by name.

    Returns:
        One row a text, ids "0" to "n-1".

    Raises:
        ValueError: If lengths differ or something is not as it should be; see `FeatureTable`.
    """
    _check_lengths(name, len(lonlat), len(texts), split, "texts")
    if hasattr(features, "directions_"):
        matrix = features.transform(texts)
    else:
        matrix = features.fit_transform(texts, None if split is None else np.flatnonzero(split == "train"))
    return FeatureTable(name, lonlat, matrix, labels=dict(labels or {}), split=split)


def _check_lengths(name: str, places: int, observations: int, split: np.ndarray | None, kind: str) -> None:
    if places != observations or (split is not None and len(split) != places):
        parts = "" if split is None else f" and {len(split)} values of split"
        raise ValueError(f"Table {name!r}: {places} places, {observations} {kind}{parts}; they must be equally many.")
