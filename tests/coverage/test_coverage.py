"""Mirrors src/geotether/coverage/coverage.py."""

import numpy as np

from geotether.coverage.coverage import Coverage

KM = {"night lights": np.float32([1, 50, 900, 10]), "rain": np.float32([9, 2000, 800, 70])}
SHARE = {"context_rasters_30km": np.float32([1, 0.5, 0, 1])}


def test_a_place_is_outside_by_dissimilarity_or_by_distance():
    found = Coverage(KM, SHARE, np.float32([0, 0.5, 0.1, 0.7]), threshold=0.5, threshold_km=100.0)
    assert found.nearest_km.tolist() == [1, 50, 800, 10]
    assert found.outside.tolist() == [False, False, True, True]
    columns = ["outside", "dissimilarity", "km_to_night_lights", "km_to_rain", "context_rasters_30km"]
    assert list(found.columns) == found.table().column_names == columns
    assert found.table().num_rows == 4


def test_what_is_not_known_is_left_out():
    old, alone = Coverage({}, SHARE), Coverage(KM, {})
    assert old.nearest_km is old.outside is old.dissimilarity is alone.outside is None
    assert list(old.columns) == ["context_rasters_30km"]
    assert list(alone.columns) == ["km_to_night_lights", "km_to_rain"]
    assert not Coverage({}, {}).columns
