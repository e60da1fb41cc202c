"""Mirrors src/geotether/benchmark/store.py."""

import math
from dataclasses import replace

import numpy as np
import pytest

from geotether.benchmark.outcome import Outcome
from geotether.benchmark.store import Origin, ResultStore, array_hash, task_hash
from geotether.tasks.task import Task

ORIGIN = Origin("e", "t", "c", "test 50 50")


def make(value=0.5, fold=""):
    blocks, sums = np.array([3, 9], dtype=np.int64), np.array([[4.0, 3.0], [2.0, 2.0]])
    return Outcome("t", "e", "ridge", "own", 10, 0, fold, "accuracy", value, "alpha 1", blocks, sums)


def test_outcomes_come_back_whole(tmp_path):
    with ResultStore(tmp_path / "new" / "outcomes.sqlite") as store:
        store.put([("a", ORIGIN, make()), ("b", ORIGIN, make(math.nan, "Asia"))])
        found = store.get("a")
        assert found.row() == make().row()
        np.testing.assert_array_equal(found.blocks, make().blocks)
        np.testing.assert_array_equal(found.sums, make().sums)
        assert math.isnan(store.get("b").value)
        assert store.get("c") is None
    with ResultStore(tmp_path / "new" / "outcomes.sqlite") as store:
        assert len(store) == 2


def test_a_failed_batch_stores_nothing(tmp_path):
    def batch():
        yield "a", ORIGIN, make()
        raise OSError("killed")

    with ResultStore(tmp_path / "outcomes.sqlite") as store:
        with pytest.raises(OSError, match="killed"):
            store.put(batch())
        assert len(store) == 0


def test_the_key_contains_everything_that_affects_the_result():
    def key(**change):
        parts = {"encoder_hash": "e", "task_hash": "t", "code_hash": "c", "settings": "s"} | change
        return Origin(**parts).key("name", "ridge", "own", 10, 0, "")

    assert len({key(), key(encoder_hash="x"), key(task_hash="x"), key(code_hash="x"), key(settings="x")}) == 5
    assert key() == key()
    asked = [("n", "ridge", "own", 10, 0, ""), ("n", "ridge", "own", 10, 0, "Asia"), ("n", "ridge", "own", 10, 1, "")]
    assert len({ORIGIN.key(*one) for one in asked}) == 3


def test_a_foreign_file_is_named_and_unchanged(tmp_path):
    path = tmp_path / "outcomes.sqlite"
    path.write_text("these are no outcomes at all, but a long enough text to be looked at")
    with pytest.raises(ValueError, match=r"outcomes\.sqlite is not a store of outcomes"):
        ResultStore(path)
    assert path.read_text().startswith("these are")


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE outcomes SET row = '{}'",
        "UPDATE outcomes SET row = 'not JSON'",
        "UPDATE outcomes SET row = '[1]'",
        "UPDATE outcomes SET blocks = 'text'",
        "UPDATE outcomes SET blocks = x'0011'",
        "UPDATE outcomes SET sums = x'0011223344556677'",
        "ALTER TABLE outcomes RENAME COLUMN sums TO other",
    ],
)
def test_damaged_rows_are_refused_with_the_files_name(tmp_path, damage):
    with ResultStore(tmp_path / "outcomes.sqlite") as store:
        store.put([("a", ORIGIN, make())])
        with store.connection:
            store.connection.execute(damage)
        with pytest.raises(ValueError, match=r"outcomes\.sqlite is not a store of outcomes, or damaged"):
            store.get("a")


def test_bytes_flipped_anywhere_in_the_file_are_an_error_with_its_name_or_no_error(tmp_path):
    path, rng = tmp_path / "outcomes.sqlite", np.random.default_rng(0)
    with ResultStore(path) as store:
        store.put([(str(key), ORIGIN, make()) for key in range(30)])
    good = path.read_bytes()
    for _ in range(150):
        content = bytearray(good)
        for place in rng.integers(0, len(good), rng.integers(1, 30)):
            content[place] ^= int(rng.integers(1, 256))
        path.write_bytes(content[: rng.integers(1, len(good))] if rng.random() < 0.2 else content)
        try:
            with ResultStore(path) as store:
                len(store)
                store.get("7")
                store.put([("new", ORIGIN, make())])
        except (ValueError, OSError) as error:
            assert "outcomes.sqlite" in str(error)  # noqa: PT017


def test_a_full_disk_is_named_and_keeps_what_is_stored(tmp_path):
    """SQLite raises the same error for a page limit as for a full disk."""
    path = tmp_path / "outcomes.sqlite"
    with ResultStore(path) as store:
        store.put([("a", ORIGIN, make())])
        store.connection.execute("PRAGMA max_page_count = 1")
        with pytest.raises(OSError, match=r"outcomes\.sqlite: the disk is full"):
            store.put_rows("b", ORIGIN, [{"text": "x" * 100_000}])
    with ResultStore(path) as store:
        assert store.get("a").row() == make().row()
        assert len(store) == 1


def test_plain_rows_are_read_back(tmp_path):
    with ResultStore(tmp_path / "outcomes.sqlite") as store:
        store.put_rows("a", ORIGIN, [{"value": 0.5}, {"value": math.nan}])
        first, second = store.get_rows("a")
        assert (first["value"], math.isnan(second["value"]), store.get_rows("b")) == (0.5, True, None)


LONLAT = np.stack([np.arange(4.0), np.zeros(4)], axis=1)
TASK = Task("t", "regression", LONLAT, np.arange(4.0))


def test_content_shape_and_type_decide():
    base = np.arange(4.0)
    others = [base.astype(np.float32), base.reshape(2, 2), base + 1e-12, np.array(list("0123")), None]
    assert len({array_hash(one) for one in [base, *others]}) == 6
    assert array_hash(base) == array_hash(base.copy())
    assert array_hash(np.array(["a", "bc"])) != array_hash(np.array(["ab", "c"]))
    assert array_hash(np.array(["a", None], dtype=object)) == array_hash(np.array(["a", ""]))


@pytest.mark.parametrize(
    "change",
    [
        {"name": "u"}, {"transform": "log1p"}, {"lonlat": LONLAT + 1}, {"target": np.arange(4.0) + 1},
        {"split": np.array(["train"] * 3 + ["test"])}, {"continent": np.array(list("aabb"))},
    ],
)  # fmt: skip
def test_everything_that_can_change_a_score_changes_the_hash(change):
    assert task_hash(replace(TASK, **change)) != task_hash(TASK)


def test_the_key_excludes_code_that_only_draws():
    assert task_hash(replace(TASK, unit="m")) == task_hash(TASK)
