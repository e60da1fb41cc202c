"""Mirrors src/geotether/tables/planet.py."""

import numpy as np
import pytest

from geotether.sources.planet import read_place_texts
from geotether.tables.featurize import PLANET_MODALITIES, planet_table


def test_the_text_table_keeps_places_and_split():
    table, texts = planet_table("place_texts"), read_place_texts()
    np.testing.assert_allclose(table.lonlat, texts.lonlat)
    np.testing.assert_array_equal(table.split.astype(str), texts.split.astype(str))
    assert table.features.shape == (20_000, 128)
    assert len(table.part("train")) == (texts.split == "train").sum()


def test_names_in_one_script_lie_closer_than_names_in_two():
    """What the features are for: they tell where a name is from."""
    table = planet_table("place_texts")
    unit = table.features / np.linalg.norm(table.features, axis=1, keepdims=True)
    lon, lat = table.lonlat.T
    arabia = (lon > 36) & (lon < 55) & (lat > 14) & (lat < 32)
    scandinavia = (lon > 5) & (lon < 30) & (lat > 56) & (lat < 70)
    within = (unit[arabia] @ unit[arabia].T).mean()
    between = (unit[arabia] @ unit[scandinavia].T).mean()
    assert within > between + 0.05


def test_unknown_modality():
    with pytest.raises(ValueError, match="no modality 'radar'; it has " + ", ".join(PLANET_MODALITIES)):
        planet_table("radar")
