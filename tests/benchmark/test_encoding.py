"""Mirrors src/geotether/benchmark/encoding.py."""

import numpy as np
import pytest

from geotether.benchmark.encoding import encode

LONLAT = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])


def with_nan(lonlat):
    out = np.ones((len(lonlat), 4))
    out[1, 2] = np.nan
    return out


@pytest.mark.parametrize(
    ("encoder", "error", "message"),
    [
        (with_nan, ValueError, "NaN or infinity for 1 of 3 places, first for row 1 at lon=3, lat=4"),
        (lambda lonlat: np.ones((2, 4)), ValueError, r"shape \(2, 4\) for 3 places"),
        (lambda lonlat: np.ones(3), ValueError, r"wanted \(n, d\)"),
        (lambda lonlat: np.full((3, 1), "x"), TypeError, "wanted real numbers"),
        ("encoder.pt", TypeError, "is a str; give a function"),
    ],
)
def test_wrong_answers_are_named(encoder, error, message):
    with pytest.raises(error, match=message):
        encode("mine", encoder, LONLAT)


@pytest.mark.parametrize(("given", "kept"), [("float32", "float32"), ("float64", "float64"), ("int64", "float32")])
def test_dtype(given, kept):
    assert encode("mine", lambda lonlat: np.ones((3, 4), dtype=given), LONLAT).dtype == kept
