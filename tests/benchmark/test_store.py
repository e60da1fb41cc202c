"""Mirrors src/geotether/benchmark/store.py."""

import math
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from geotether.benchmark.outcome import Outcome
from geotether.benchmark.store import Origin, OutcomeStore

ORIGIN = Origin("e", "t", "c", "test 50 50")


def make(value=0.5, fold=""):
    blocks, sums = np.array([3, 9], dtype=np.int64), np.array([[4.0, 3.0], [2.0, 2.0]])
    return Outcome("t", "e", "ridge", "own", 10, 0, fold, "accuracy", value, "alpha 1", blocks, sums)


def test_outcomes_come_back_whole(tmp_path):
    with OutcomeStore(tmp_path / "new" / "outcomes.sqlite") as store:
        store.put([("a", ORIGIN, make()), ("b", ORIGIN, make(math.nan, "Asia"))])
        found = store.get("a")
        assert found.row() == make().row()
        np.testing.assert_array_equal(found.blocks, make().blocks)
        np.testing.assert_array_equal(found.sums, make().sums)
        assert math.isnan(store.get("b").value)
        assert store.get("c") is None
    with OutcomeStore(tmp_path / "new" / "outcomes.sqlite") as store:
        assert len(store) == 2


def test_all_of_a_batch_or_none(tmp_path):
    with OutcomeStore(tmp_path / "outcomes.sqlite") as store:
        with pytest.raises(AttributeError):
            store.put([("a", ORIGIN, make()), ("b", ORIGIN, "no outcome")])
        assert len(store) == 0


def test_the_key_holds_all_that_decides():
    def key(**change):
        parts = {"encoder_hash": "e", "task_hash": "t", "code_hash": "c", "settings": "s"} | change
        return Origin(**parts).key("name", "ridge", "own", 10, 0, "")

    assert len({key(), key(encoder_hash="x"), key(task_hash="x"), key(code_hash="x"), key(settings="x")}) == 5
    assert key() == key()
    asked = [("n", "ridge", "own", 10, 0, ""), ("n", "ridge", "own", 10, 0, "Asia"), ("n", "ridge", "own", 10, 1, "")]
    assert len({ORIGIN.key(*one) for one in asked}) == 3


def test_a_foreign_file_is_named_and_left_alone(tmp_path):
    path = tmp_path / "outcomes.sqlite"
    path.write_text("these are no outcomes at all, but a long enough text to be looked at")
    with pytest.raises(ValueError, match=r"is not a store of outcomes: .*; move it away"):
        OutcomeStore(path)
    assert path.read_text().startswith("these are")


WRITER = """
import sys, numpy as np
from geotether.benchmark.outcome import Outcome
from geotether.benchmark.store import Origin, OutcomeStore
blocks, sums = np.arange(5000, dtype=np.int64), np.ones((5000, 4))
with OutcomeStore(sys.argv[1]) as store:
    for i in range(10**6):
        one = Outcome("t", "e", "ridge", "own", 10, i, "", "R2", 0.5, "", blocks, sums)
        store.put([(f"{i} a", Origin("e", "t", "c", "s"), one), (f"{i} b", Origin("e", "t", "c", "s"), one)])
"""


def test_a_killed_writer_leaves_whole_outcomes(tmp_path):
    path = tmp_path / "outcomes.sqlite"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)])
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (path.exists() and path.stat().st_size > 2_000_000):
        time.sleep(0.02)
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    with OutcomeStore(path) as store:
        count = len(store)
        assert count >= 2
        assert count % 2 == 0
        for i in range(count // 2):
            assert store.get(f"{i} a").sums.shape == store.get(f"{i} b").sums.shape == (5000, 4)
