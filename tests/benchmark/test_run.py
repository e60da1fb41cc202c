"""Mirrors src/geotether/benchmark/run.py."""

import logging

import numpy as np
import pytest
import torch

from geotether.benchmark.baselines import NearestInSpace, xyz
from geotether.benchmark.probing import PROBES
from geotether.benchmark.run import evaluate, predict_tasks
from geotether.geodesy.blocks import block_id
from geotether.probes import decomposition, linear
from geotether.tasks.task import Task

ALL = tuple(PROBES)
QUICK = {"splits": ("block",), "labels": (100,), "seeds": (0,)}


def make_tasks(poison: bool = False, seed: int = 0):
    rng = np.random.default_rng(seed)
    lonlat = np.stack([rng.uniform(-180, 180, 500), np.degrees(np.arcsin(rng.uniform(-1, 1, 500)))], axis=1)
    block = block_id(lonlat, 2000.0)
    split = np.array(["train", "train", "train", "validation", "test"])[
        np.random.default_rng(1).permutation(9999)[block] % 5
    ]
    height = np.sin(np.radians(lonlat[:, 1])) + 0.1 * rng.standard_normal(500)
    zone = np.where(lonlat[:, 1] > 30, "north", np.where(lonlat[:, 1] < -30, "south", "middle"))
    if poison:
        hidden = split == "test"
        height[hidden] = 1e6 * rng.standard_normal(hidden.sum())
        zone = np.where(hidden, "poison", zone)
    return [
        Task("height", "regression", lonlat, height, split),
        Task("zone", "classification", lonlat, zone, split),
    ]


def test_rows_are_tidy_and_right():
    rows = evaluate({"xyz": xyz}, make_tasks(), ("ridge", "logistic"), ("block", "random"), (100,), (0, 1))
    assert {tuple(row) for row in rows} == {("task", "encoder", "probe", "split", "labels", "metric", "seed", "value")}
    found = {(r["task"], r["probe"], r["split"], r["metric"]) for r in rows}
    assert found == {
        (task, probe, split, metric)
        for task, probe, metric in [
            ("height", "ridge", "R2"), ("zone", "ridge", "accuracy"), ("zone", "logistic", "accuracy")
        ]
        for split in ("block", "random")
    }  # fmt: skip
    assert len(rows) == 12
    assert min(row["value"] for row in rows if row["task"] == "height") > 0.9


@pytest.fixture(autouse=True)
def one_thread():
    """Problems are tiny: threads would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_poisoned_test_labels_change_no_prediction_and_no_choice():
    """Nothing is ever tuned on test rows: other labels there leave everything but the score as it was."""
    runs = [
        list(predict_tasks({"xyz": xyz}, make_tasks(poison), ALL, ("block",), (100,), (0, 1)))
        for poison in (False, True)
    ]
    assert len(runs[0]) == 2 * (len(ALL) * 2 - 1)
    for clean, poisoned in zip(*runs, strict=True):
        assert clean.chosen == poisoned.chosen
        np.testing.assert_array_equal(clean.values, poisoned.values)
        np.testing.assert_array_equal(clean.rows, poisoned.rows)


def test_poisoned_test_labels_change_no_score_on_validation():
    runs = [
        evaluate({"xyz": xyz}, make_tasks(poison), ("ridge",), ("block", "random"), (100,), (0,), on="validation")
        for poison in (False, True)
    ]
    assert runs[0] == runs[1]


def test_all_encoders_see_the_same_rows():
    encoders = {"xyz": xyz, "noise": lambda lonlat: np.random.default_rng(0).standard_normal((len(lonlat), 20))}
    seen = {}
    for split in ("block", "random"):
        for one in predict_tasks(encoders, make_tasks(), ("ridge",), (split,), (50, 100), (0, 1)):
            key = (one.task, one.split, one.labels, one.seed)
            np.testing.assert_array_equal(seen.setdefault(key, one.rows), one.rows)


def test_one_decomposition_serves_all_tasks_and_linear_probes(monkeypatch):
    made = []
    original = decomposition.RidgeDecomposition.__init__
    monkeypatch.setattr(
        decomposition.RidgeDecomposition,
        "__init__",
        lambda self, features: (made.append(1), original(self, features))[1],
    )
    evaluate({"xyz": xyz}, make_tasks(), ("ridge", "logistic"), **QUICK)
    assert len(made) == 1
    assert linear.RidgeDecomposition is decomposition.RidgeDecomposition


def test_an_encoder_may_bring_its_own_probe():
    rows = evaluate({"nearest": NearestInSpace()}, make_tasks(), ("ridge",), **QUICK)
    assert {row["probe"] for row in rows} == {"neighbors_in_space"}
    assert next(r["value"] for r in rows if r["task"] == "zone") > 0.6


def test_tasks_with_their_own_missing_rows_are_judged_apart():
    tasks = make_tasks()
    gappy = tasks[0].target.copy()
    gappy[::7] = np.nan
    tasks.append(Task("gappy", "regression", tasks[0].lonlat, gappy, tasks[0].split))
    rows = evaluate({"xyz": xyz}, tasks, ("ridge",), **QUICK)
    assert {row["task"] for row in rows} == {"height", "zone", "gappy"}


def test_a_class_seen_in_test_only_counts_as_wrong():
    tasks = make_tasks(poison=True)[1:]
    assert evaluate({"xyz": xyz}, tasks, ("ridge",), **QUICK)[0]["value"] == 0.0


def test_rungs_beyond_the_rows_are_skipped_and_said(caplog):
    with caplog.at_level(logging.WARNING):
        rows = evaluate({"xyz": xyz}, make_tasks(), ("ridge",), ("block",), (100, 5000), (0,))
    assert {row["labels"] for row in rows} == {100}
    assert "label counts 5000 skipped, there are" in caplog.text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"probes": ("rigde",)}, "unknown probe 'rigde'; there are .* Did you mean 'ridge'"),
        ({"labels": (5000,)}, "fewer than the smallest label count, 5000"),
        ({"seeds": ()}, "at least one encoder, task, split, label count and seed"),
        ({"splits": ("continent",)}, "splits are block, random"),
    ],
)
def test_wrong_options_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        evaluate({"xyz": xyz}, make_tasks(), **({"probes": ("ridge",), **QUICK} | change))


def test_two_tasks_of_one_name_are_refused():
    with pytest.raises(ValueError, match="different names"):
        evaluate({"xyz": xyz}, make_tasks()[:1] * 2, ("ridge",), **QUICK)


def test_changing_widths_are_refused():
    other = make_tasks(seed=5)[0]
    renamed = Task("other", "regression", other.lonlat, other.target, other.split)
    widths = iter([4, 5])
    with pytest.raises(ValueError, match="returned 4 columns before and 5 now"):
        evaluate(
            {"odd": lambda lonlat: np.random.default_rng(0).standard_normal((len(lonlat), next(widths)))},
            [make_tasks()[0], renamed], ("ridge",), **QUICK,
        )  # fmt: skip
