"""Mirrors src/geotether/featurizing/transform.py: time as features; the oracle is Python's own calendar."""

import datetime
import math

import numpy as np
import pytest

from geotether.features.ngrams import NgramFeatures
from geotether.featurizing.transform import (
    Transform,
    fitted_features,
    save_transform,
    time_features,
    time_names,
    transform_bytes,
    transform_of_bytes,
    transform_path,
)
from geotether.tables.featurize import featurize_texts
from geotether.tables.store import read_table, write_table


def expected(text):
    moment = datetime.datetime.fromisoformat(text)
    first, following = datetime.datetime(moment.year, 1, 1), datetime.datetime(moment.year + 1, 1, 1)
    of_year = (moment - first) / (following - first)
    of_day = (moment - datetime.datetime(moment.year, moment.month, moment.day)) / datetime.timedelta(days=1)
    angles = [2 * math.pi * of_year, 2 * math.pi * of_day]
    waves = [wave(angle) for angle in angles for wave in (math.sin, math.cos)]
    return [*waves, (moment.year - 2000 + of_year) / 10, 0.0]


def test_against_the_calendar():
    texts = [
        "2020-02-29T13:30:00",
        "1899-12-31T23:59:59",
        "2000-01-01T00:00:00",
        "1969-07-20T20:17:40",
        "2100-06-30T06:00:00",
    ]
    times = np.array(texts, dtype="datetime64[s]")
    found = time_features(times, ["day_of_year", "hour", "year"])
    np.testing.assert_allclose(found, [expected(text) for text in texts], atol=1e-6)
    assert found.dtype == np.float32


def test_an_unknown_time_is_zeros_and_a_flag():
    found = time_features(np.array(["NaT", "2020-01-01"], dtype="datetime64[D]"), ["year", "hour"])
    np.testing.assert_array_equal(found[0], [0, 0, 0, 1])
    np.testing.assert_allclose(found[1], [2, 0, 1, 0], atol=1e-6)


@pytest.mark.parametrize("encode", [(), ("year",), ("hour", "day_of_year"), ("day_of_year", "hour", "year")])
def test_every_column_has_a_name(encode):
    names = time_names(encode)
    if encode:
        assert time_features(np.array(["NaT"], dtype="datetime64[ms]"), encode).shape == (1, len(names))
    assert len(set(names)) == len(names)


def test_a_model_keeps_the_features_of_its_tables_bit_for_bit_or_rounded(tmp_path):
    texts = [f"{town} {number}" for number in range(20) for town in ("Wageningen", "Nanjing", "Lima")]
    features = NgramFeatures(dim=8).fit(texts)
    lonlat = np.linspace([-90.0, -45.0], [90.0, 45.0], len(texts))
    table = featurize_texts("towns", lonlat, texts, features)
    exact = transform_of_bytes(fitted_features(table), "towns")
    np.testing.assert_array_equal(exact.featurizer.transform(texts), table.features)
    small = transform_bytes(exact, bits=8)
    assert len(small) < len(fitted_features(table))
    rounded = transform_of_bytes(small, "towns").featurizer.transform(texts)
    np.testing.assert_allclose(rounded, table.features, atol=0.02)

    write_table(table, tmp_path / "towns.parquet")
    assert fitted_features(read_table(tmp_path / "towns.parquet")) is None  # no transform beside it
    save_transform(exact, transform_path(tmp_path / "towns.parquet"))
    assert fitted_features(read_table(tmp_path / "towns.parquet")) == fitted_features(table)
    other = transform_of_bytes(transform_bytes(Transform("ngrams", NgramFeatures(dim=4).fit(texts), (), "", {})), "")
    save_transform(other, transform_path(tmp_path / "towns.parquet"))
    assert fitted_features(read_table(tmp_path / "towns.parquet")) is None  # it made other features
