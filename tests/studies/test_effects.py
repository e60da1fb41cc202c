"""Mirrors src/geotether/studies/effects.py."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import ttest_rel

from geotether.studies.effects import (
    ADDED,
    ALONE,
    Effect,
    contribution_effects,
    effect_table,
    judge_variants,
    paired_effect,
)
from geotether.studies.variants import variants

BASE = {"all": 0.9, "without a": 0.6, "without b": 0.8, "without c": 0.9, "only a": 0.7, "only b": 0.4, "only c": 0.2,
        "untrained": 0.3}  # fmt: skip


def make_rows(base=BASE, seeds=2, draws=3):
    return [
        {"task": task, "metric": metric, "encoder": name, "pretraining_seed": seed, "seed": draw,
         "value": value + shift + 0.1 * seed - 0.05 * draw}
        for task, metric, shift in (("country", "accuracy", 0.0), ("height", "R2", -0.1))
        for name, value in base.items()
        for seed, draw in itertools.product(range(seeds), range(draws))
    ]  # fmt: skip


def test_effects_are_differences_of_the_right_variants():
    found = contribution_effects(make_rows(), variants(["a", "b", "c"]))
    means = {(e.modality, e.kind): e.mean for e in found if e.task == "country"}
    want = {("a", ADDED): 0.3, ("b", ADDED): 0.1, ("c", ADDED): 0.0, ("a", ALONE): 0.4, ("b", ALONE): 0.1,
            ("c", ALONE): -0.1}  # fmt: skip
    assert means == pytest.approx(want)
    assert {e.task for e in found} == {"country", "height"}
    assert {e.count for e in found} == {6}


def test_of_two_modalities_the_other_alone_stands_for_being_without():
    base = {"all": 0.9, "only a": 0.7, "only b": 0.4, "untrained": 0.3}
    found = contribution_effects(make_rows(base), variants(["a", "b"]))
    means = {(e.modality, e.kind): e.mean for e in found if e.task == "height"}
    assert means == pytest.approx({("a", ADDED): 0.5, ("b", ADDED): 0.2, ("a", ALONE): 0.4, ("b", ALONE): 0.1})


def test_only_those_asked_for():
    base = {name: value for name, value in BASE.items() if name in ("all", "without c", "only c", "untrained")}
    found = contribution_effects(make_rows(base), variants(["a", "b", "c"], ["c"]))
    assert {e.modality for e in found} == {"c"}


def test_the_interval_is_that_of_a_paired_t_test():
    rng = np.random.default_rng(0)
    pairs = list(itertools.product(range(3), range(4)))
    ours, theirs = (dict(zip(pairs, rng.normal(size=12), strict=True)) for _ in range(2))
    mean, low, high, count = paired_effect(ours, theirs)
    want = ttest_rel(list(ours.values()), list(theirs.values())).confidence_interval(0.95)
    assert (low, high) == pytest.approx((want.low, want.high))
    assert mean == pytest.approx(np.mean(list(ours.values())) - np.mean(list(theirs.values())))
    assert count == 12


def test_one_pair_has_no_interval_and_other_draws_are_refused():
    mean, low, high, _ = paired_effect({(0, 0): 0.5}, {(0, 0): 0.25})
    assert mean == 0.25
    assert math.isnan(low)
    assert math.isnan(high)
    with pytest.raises(ValueError, match="same seeds and draws"):
        paired_effect({(0, 0): 0.5}, {(1, 0): 0.25})


def test_the_table_marks_what_is_clear():
    effects = [
        Effect("country", "accuracy", "a", ADDED, 0.012, 0.004, 0.02, 6),
        Effect("country", "accuracy", "b", ADDED, -0.001, -0.01, 0.008, 6),
        Effect("height", "R2", "a", ADDED, 0.1, math.nan, math.nan, 1),
        Effect("height", "R2", "b", ADDED, -0.2, -0.3, -0.1, 6),
    ]
    assert effect_table(effects, ADDED).splitlines() == [
        "| task | a | b |",
        "|---|---:|---:|",
        "| country, accuracy | **+1.2 [0.4, 2.0]** | -0.1 [-1.0, 0.8] |",
        "| height, R2 | +10.0 | **-20.0 [-30.0, -10.0]** |",
    ]
    with pytest.raises(ValueError, match="no effect of the kind"):
        effect_table(effects, ALONE)


def test_every_variant_and_seed_is_judged_on_the_same_draws(tasks):
    encoders = {
        "good": {seed: lambda p: np.sin(np.radians(p)) for seed in (3, 5)},
        "bad": {seed: lambda p: np.cos(np.radians(7 * p)) for seed in (3, 5)},
    }
    rows = judge_variants(encoders, tasks, labels=100, draws=2)
    assert len(rows) == 2 * 2 * 2 * 2
    assert {row["pretraining_seed"] for row in rows} == {3, 5}
    mean = {n: np.mean([r["value"] for r in rows if r["encoder"] == n and r["task"] == "height"]) for n in encoders}
    assert mean["good"] > mean["bad"] + 0.3


def test_tasks_with_few_rows_take_all_that_they_have(tasks):
    rows = judge_variants({"xy": {0: lambda p: p}}, tasks, labels=2700, draws=1)
    assert {row["labels"] for row in rows} == {len(tasks[0].rows("train"))}
