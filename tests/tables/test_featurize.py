"""Mirrors src/geotether/tables/featurize.py."""

import numpy as np
import pytest

from geotether.features.convolution import RandomConvolution
from geotether.features.ngrams import NgramFeatures
from geotether.tables.featurize import featurize_chips, featurize_texts

LONLAT = np.stack([np.linspace(-180, 179, 12), np.linspace(-90, 90, 12)], axis=1)
SPLIT = np.array(["train"] * 8 + ["validation"] * 4)
CHIPS = np.random.default_rng(0).integers(0, 256, (12, 6, 6, 3), dtype=np.uint8)
TEXTS = [f"{word} town {row}" for row, word in enumerate(["Berg", "Stad", "Dorp", "Kerk"] * 3)]


def test_chips_become_a_table():
    labels = {"height": np.arange(12.0)}
    table = featurize_chips("photo", LONLAT, CHIPS, RandomConvolution(num_filters=4), SPLIT, labels)
    want = RandomConvolution(num_filters=4).fit(CHIPS[:8]).transform(CHIPS)
    np.testing.assert_array_equal(table.features, want)
    assert table.labels["height"].tolist() == labels["height"].tolist()
    assert table.split.tolist() == SPLIT.tolist()


def test_texts_become_a_table():
    table = featurize_texts("names", LONLAT, TEXTS, NgramFeatures(dim=3), SPLIT)
    want = NgramFeatures(dim=3).fit(TEXTS[:8]).transform(TEXTS)
    np.testing.assert_array_equal(table.features, want)


def test_fitted_features_are_used_as_they_are():
    fitted = NgramFeatures(dim=3).fit(TEXTS[:10])
    np.testing.assert_array_equal(featurize_texts("n", LONLAT, TEXTS, fitted).features, fitted.transform(TEXTS))
    filters = RandomConvolution(num_filters=4).fit(CHIPS[:2])
    np.testing.assert_array_equal(featurize_chips("p", LONLAT, CHIPS, filters).features, filters.transform(CHIPS))


def test_lengths_that_differ_are_named():
    with pytest.raises(ValueError, match="'p': 12 places, 11 chips; they must be equally many"):
        featurize_chips("p", LONLAT, CHIPS[:11], RandomConvolution(num_filters=4))
    with pytest.raises(ValueError, match="'n': 12 places, 12 texts and 3 values of split"):
        featurize_texts("n", LONLAT, TEXTS, NgramFeatures(dim=3), SPLIT[:3])
