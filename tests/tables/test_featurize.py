"""Mirrors src/geotether/tables/featurize.py."""

import numpy as np
import pytest

from geotether.features.convolution import RandomConvolution
from geotether.features.ngrams import NgramFeatures
from geotether.sources.planet import read_place_texts
from geotether.tables.featurize import PLANET_MODALITIES, featurize_chips, featurize_texts, planet_table

LONLAT = np.stack([np.linspace(-180, 179, 12), np.linspace(-90, 90, 12)], axis=1)
SPLIT = np.array(["train"] * 8 + ["validation"] * 4)
CHIPS = np.random.default_rng(0).integers(0, 256, (12, 6, 6, 3), dtype=np.uint8)
TEXTS = [f"{word} town {row}" for row, word in enumerate(["Berg", "Stad", "Dorp", "Kerk"] * 3)]


def test_chips_and_texts_become_tables():
    labels = {"height": np.arange(12.0)}
    table = featurize_chips("photo", LONLAT, CHIPS, RandomConvolution(num_filters=4), SPLIT, labels)
    want = RandomConvolution(num_filters=4).fit(CHIPS[:8]).transform(CHIPS)
    np.testing.assert_array_equal(table.features, want)
    assert table.target("height").values.tolist() == labels["height"].tolist()
    assert table.split.tolist() == SPLIT.tolist()
    texts = featurize_texts("names", LONLAT, TEXTS, NgramFeatures(dim=3), SPLIT)
    np.testing.assert_array_equal(texts.features, NgramFeatures(dim=3).fit(TEXTS[:8]).transform(TEXTS))


def test_fitted_features_are_used_as_they_are():
    fitted = NgramFeatures(dim=3).fit(TEXTS[:10])
    np.testing.assert_array_equal(featurize_texts("n", LONLAT, TEXTS, fitted).features, fitted.transform(TEXTS))
    filters = RandomConvolution(num_filters=4).fit(CHIPS[:2])
    np.testing.assert_array_equal(featurize_chips("p", LONLAT, CHIPS, filters).features, filters.transform(CHIPS))


def test_lengths_that_differ_are_named():
    with pytest.raises(ValueError, match="'p': 12 places, 11 chips"):
        featurize_chips("p", LONLAT, CHIPS[:11], RandomConvolution(num_filters=4))
    with pytest.raises(ValueError, match="'n': 12 places, 12 texts and 3 values of split"):
        featurize_texts("n", LONLAT, TEXTS, NgramFeatures(dim=3), SPLIT[:3])


def test_text_features_predict_the_region_of_a_name():
    table, texts = planet_table("place_texts"), read_place_texts()
    np.testing.assert_allclose(table.lonlat, texts.lonlat)
    np.testing.assert_array_equal(table.split.astype(str), texts.split.astype(str))
    unit = table.features / np.linalg.norm(table.features, axis=1, keepdims=True)
    lon, lat = table.lonlat.T
    arabia = (lon > 36) & (lon < 55) & (lat > 14) & (lat < 32)
    scandinavia = (lon > 5) & (lon < 30) & (lat > 56) & (lat < 70)
    within = (unit[arabia] @ unit[arabia].T).mean()
    between = (unit[arabia] @ unit[scandinavia].T).mean()
    assert within > between + 0.05
    with pytest.raises(ValueError, match="no modality 'radar'; it has " + ", ".join(PLANET_MODALITIES)):
        planet_table("radar")
