"""The demo planet's three modalities as feature tables."""

from collections.abc import Sequence

from geotether.features.convolution import RandomConvolution
from geotether.features.ngrams import NgramFeatures
from geotether.sources.planet import CHIP_MODALITIES, TEXT_MODALITY, read_chips, read_place_texts
from geotether.tables.featurize import featurize_chips, featurize_texts
from geotether.tables.table import FeatureTable

PLANET_MODALITIES = (*CHIP_MODALITIES, TEXT_MODALITY)


def planet_table(modality: str, seed: int = 0) -> FeatureTable:
    """Turn one modality of the demo planet into a feature table.

    Chips become random convolutional features, texts become character n-grams projected by an SVD;
    both are fitted on the training rows.

    Args:
        modality: One of `PLANET_MODALITIES`.
        seed: Decides the filters and the projection.

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


def planet_tables(modalities: Sequence[str] = PLANET_MODALITIES, seed: int = 0) -> dict[str, FeatureTable]:
    """Turn several modalities of the demo planet into feature tables, by name."""
    return {modality: planet_table(modality, seed) for modality in modalities}
