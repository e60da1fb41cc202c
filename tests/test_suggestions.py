"""Suggestions for mistyped names."""

import pytest

from geotether.suggestions import closest


@pytest.mark.parametrize(
    ("name", "known", "suggestion"),
    [
        ("rian", ["rain", "snow"], " Did you mean 'rain'?"),
        ("SNOW", ["rain", "snow"], " Did you mean 'snow'?"),
        ("tets", ("train", "test"), " Did you mean 'test'?"),
        ("batch", ["cache", "batch_size", "batch_size_of_tests"], " Did you mean 'batch_size'?"),
        ("learning_rates", ["learning_rate", "learning_rate_end"], " Did you mean 'learning_rate'?"),
        ("lat", ["latency", "lot"], " Did you mean 'lot'?"),
        (3, [1, 2], ""),
        (12, [11, 99], " Did you mean '11'?"),
        ("rain", [], ""),
    ],
)
def test_closest(name, known, suggestion):
    assert closest(name, known) == suggestion
