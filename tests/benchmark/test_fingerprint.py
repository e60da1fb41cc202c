"""Mirrors src/geotether/benchmark/fingerprint.py."""

from dataclasses import replace

import numpy as np
import pytest

from geotether.benchmark import fingerprint
from geotether.benchmark.fingerprint import array_hash, code_hash, task_hash
from geotether.tasks.task import Task

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
def test_whatever_can_change_a_score_changes_the_hash(change):
    assert task_hash(replace(TASK, **change)) != task_hash(TASK)


def test_what_is_for_figures_only_does_not():
    assert task_hash(replace(TASK, unit="m")) == task_hash(TASK)


def test_code_is_hashed_file_by_file(tmp_path, monkeypatch):
    (tmp_path / "probes").mkdir()
    (tmp_path / "probes" / "one.py").write_text("x = 1")
    monkeypatch.setattr(fingerprint, "PACKAGE", tmp_path)
    code_hash.cache_clear()
    before = code_hash(("probes",))
    (tmp_path / "probes" / "one.py").write_text("x = 2")
    code_hash.cache_clear()
    assert code_hash(("probes",)) != before
    with pytest.raises(FileNotFoundError):
        code_hash(("cellar",))
    code_hash.cache_clear()
