"""Mirrors src/geotether/serving/together.py."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from geotether.serving.together import MOST_AT_ONCE, Together


@pytest.fixture
def slow_squares():
    """Squares that are computed only when `go` is set, with the calls that were made."""
    go, calls = threading.Event(), []

    def compute(numbers):
        go.wait(10)
        calls.append(list(numbers))
        return [number**2 for number in numbers]

    return go, calls, Together(compute, kept=100, worker=ThreadPoolExecutor(1))


def test_waiting_items_are_computed_together_and_once(slow_squares):
    go, calls, squares = slow_squares
    asked = [at % 40 for at in range(200)]
    with ThreadPoolExecutor(200) as pool:
        found = [pool.submit(squares.get, at, at) for at in asked]
        go.set()
        assert [one.result(10) for one in found] == [at**2 for at in asked]
    assert squares.get(7, 7) == 49
    assert Counter(number for call in calls for number in call) == dict.fromkeys(range(40), 1)
    assert max(map(len, calls)) <= MOST_AT_ONCE
    assert len(calls) < 20


def test_an_error_reaches_every_caller_and_is_not_kept():
    wrong = [ValueError("not now")]

    def compute(items):
        if wrong:
            raise wrong.pop()
        return items

    together = Together(compute, kept=1, worker=ThreadPoolExecutor(1))
    with pytest.raises(ValueError, match="not now"):
        together.get("a", 1)
    assert together.get("a", 1) == 1
