"""Mirrors src/geotether/studies/contribution.py: the whole study, tiny."""

import csv
import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from geotether.benchmark.bench import Bench
from geotether.benchmark.outcome import Outcome, block_sums, score_of_sums
from geotether.benchmark.plan import plan_tasks
from geotether.benchmark.run import evaluate
from geotether.benchmark.splitting import BUFFER_KM
from geotether.benchmark.store import ResultStore
from geotether.benchmark.verdict import difference
from geotether.probes.scores import Score
from geotether.studies.contribution import (
    ADDED,
    ALONE,
    Effect,
    contribution_effects,
    effect_table,
    judge_variants,
    measure_contribution,
    of_task,
    paired_effect,
    variants,
)
from geotether.tasks.task import Task
from geotether.training import loop


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_study_from_tables_to_page(config, tables, tasks, tmp_path, monkeypatch):
    def study():
        return measure_contribution(
            config(),
            tables,
            tasks,
            tmp_path,
            seeds=(4,),
            budget=5 * 20,
            modalities=["image", "text"],
            labels=60,
            draws=1,
        )

    found = study()
    assert (found.steps, found.runs) == (20, 5)
    assert len(list((tmp_path / "runs").iterdir())) == 5
    assert {(e.task, e.modality, e.kind) for e in found.effects} == {
        (task, modality, kind)
        for task in ("height", "zone")
        for modality in ("image", "text")
        for kind in (ADDED, ALONE)
    }  # fmt: skip

    # The effects are what the scores say, worked out by hand here.
    scores = read(tmp_path / "scores.csv")

    def mean(name, task):
        return np.mean([float(r["value"]) for r in scores if r["encoder"] == name and r["task"] == task])

    for row in read(tmp_path / "contribution.csv"):
        ours, theirs = ("all", f"without {row['modality']}") if row["kind"] == ADDED else (
            f"only {row['modality']}", "untrained")  # fmt: skip
        assert float(row["mean"]) == pytest.approx(mean(ours, row["task"]) - mean(theirs, row["task"]), abs=1e-12)
        assert len(row["code_hash"]) == len(row["data_hash"]) == 64
        assert row["judging_hash"]
        assert row["task_hash"]
    hashes = {row["encoder"]: row["data_hash"] for row in scores}
    assert len(set(hashes.values())) == 6  # five choices of tables, and none for the untrained network

    page = found.page.read_text()
    assert "| height, R2 |" in page
    for figure in ("added.png", "alone.png"):
        assert f"(figures/{figure})" in page
        assert (tmp_path / "figures" / figure).read_bytes().startswith(b"\x89PNG")

    # Again: nothing is trained or judged, and the same comes out.
    before = (tmp_path / "contribution.csv").read_bytes()
    monkeypatch.setattr(loop, "seed_step", lambda *_: pytest.fail("a finished run was trained again"))
    monkeypatch.setattr(Bench, "predict", lambda *_: pytest.fail("a finished run was judged again"))
    study()
    assert (tmp_path / "contribution.csv").read_bytes() == before


def test_a_label_that_is_a_training_feature_is_on_the_page(config, tables, tasks, tmp_path):
    table = tables["image"]
    leaked = Task("brightness", "regression", table.lonlat, 2 - 3 * table.features[:, 1].astype(np.float64))
    options = {"seeds": (4,), "budget": 3 * 20, "modalities": ["image"], "labels": 20, "draws": 2}
    found = measure_contribution(config(), tables, [leaked, *tasks], tmp_path, split="random", **options)
    told = [line for line in found.page.read_text().splitlines() if "LEAK" in line]
    assert len(told) == 1
    assert "'brightness'" in told[0]
    assert "'image'" in told[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seeds": ()}, "one pre-training seed or more"),
        ({"seeds": (1, 1)}, "all different"),
        ({"budget": 100}, "set the budget to 140 or more"),
        ({"modalities": ["taste"]}, "Unknown modality 'taste'"),
        ({"equal": "hours"}, "Unknown choice 'hours'"),
        ({"probe": "rigde"}, "unknown probe 'rigde'"),
        ({"split": "contintents"}, "splits are own"),
        ({"draws": 0}, "draws and labels must be 1 or more"),
    ],
)
def test_wrong_options_are_reported_before_training(config, tables, tasks, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        measure_contribution(config(), tables, tasks, tmp_path / "out", **{"seeds": (0,), **options})
    assert not (tmp_path / "out").exists()


def test_one_modality_is_no_study(config, tables, tasks, tmp_path):
    with pytest.raises(ValueError, match="two or more, got text"):
        measure_contribution(config(), {"text": tables["text"]}, tasks, tmp_path)


BASE = {"all": 0.9, "without a": 0.6, "without b": 0.8, "without c": 0.9, "only a": 0.7, "only b": 0.4, "only c": 0.2,
        "untrained": 0.3}  # fmt: skip
ROWS, BLOCKS = 1000, 40


def make_outcome(name, task, right, seed):
    """The first `right` of every 25 rows are right; so is every block."""
    truth = np.zeros(ROWS)
    said = (np.arange(ROWS) % 25 >= round(25 * right)).astype(float)
    blocks, sums = block_sums("accuracy", truth, said, np.arange(ROWS) // 25)
    value = float(score_of_sums("accuracy", sums.sum(axis=0)))
    return Outcome(task, name, "ridge", "own", 2700, seed, "", "accuracy", value, "", blocks, sums)


def make_judged(base=BASE, seeds=2, draws=3):
    return {
        name: {
            seed: [make_outcome(name, task, value, draw) for task in ("country", "biome") for draw in range(draws)]
            for seed in range(seeds)
        }
        for name, value in base.items()
    }


def noisy(judged, scale, seed):
    """The same with a share of right rows of its own in every block, shared by nobody."""
    rng = np.random.default_rng(seed)
    return {
        p: [replace(o, sums=np.stack([o.sums[:, 0], o.sums[:, 1] + rng.normal(0, scale, BLOCKS)], 1)) for o in some]
        for p, some in judged.items()
    }


def test_effects_are_differences_of_the_right_variants():
    found = contribution_effects(make_judged(), variants(["a", "b", "c"]))
    means = {(e.modality, e.kind): e.score.mean for e in found if e.task == "country"}
    rounded = {name: round(25 * value) / 25 for name, value in BASE.items()}
    want = {(m, ADDED): rounded["all"] - rounded[f"without {m}"] for m in "abc"}
    want |= {(m, ALONE): rounded[f"only {m}"] - rounded["untrained"] for m in "abc"}
    assert means == pytest.approx(want)
    assert {e.task for e in found} == {"country", "biome"}
    assert {(e.score.seeds, e.score.blocks) for e in found} == {(2, BLOCKS)}


def test_of_two_modalities_the_run_without_one_is_the_other_alone():
    base = {"all": 0.96, "only a": 0.72, "only b": 0.4, "untrained": 0.32}
    found = contribution_effects(make_judged(base), variants(["a", "b"]))
    means = {(e.modality, e.kind): e.score.mean for e in found if e.task == "biome"}
    assert means == pytest.approx({("a", ADDED): 0.56, ("b", ADDED): 0.24, ("a", ALONE): 0.4, ("b", ALONE): 0.08})


def test_one_seed_is_the_difference_of_the_benchmark():
    judged = make_judged(seeds=1)
    ours, theirs = (noisy(of_task(judged[name], "country"), 2, i) for i, name in enumerate(("all", "only b")))
    want = difference(ours[0], theirs[0])
    found = paired_effect(ours, theirs)
    assert (found.mean, found.low, found.high) == pytest.approx((want.mean, want.low, want.high))
    assert (found.seeds, found.blocks) == (1, BLOCKS)
    assert found.low < found.mean < found.high


def test_seeds_that_differ_widen_the_interval():
    calm = {seed: [make_outcome("x", "country", 0.8, draw) for draw in range(3)] for seed in range(4)}
    wild = {s: [make_outcome("x", "country", 0.6 + 0.12 * s, draw) for draw in range(3)] for s in range(4)}
    base = {seed: [make_outcome("y", "country", 0.4, draw) for draw in range(3)] for seed in range(4)}
    found = paired_effect(calm, base)
    assert (found.low, found.high) == pytest.approx((0.4, 0.4))
    found = paired_effect(wild, base)
    shares = np.array([round(25 * (0.6 + 0.12 * s)) / 25 for s in range(4)]) - 0.4
    assert found.mean == pytest.approx(shares.mean())
    # By hand: the mean of four seeds drawn with replacement.
    means = np.random.default_rng(7).choice(shares, size=(20_000, 4)).mean(axis=1)
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(means, [2.5, 97.5])), abs=0.05)


def test_outcomes_of_other_settings_are_an_error():
    judged = make_judged()
    ours = of_task(judged["all"], "country")
    with pytest.raises(ValueError, match="same seeds"):
        paired_effect(ours, {0: ours[0]})
    with pytest.raises(ValueError, match="not judged on the same rows"):
        paired_effect(ours, {seed: some[:2] for seed, some in ours.items()})


def test_the_table_marks_what_is_clear():
    effects = [
        Effect("country", "accuracy", "a", ADDED, Score(0.012, 0.004, 0.02, 3, 40)),
        Effect("country", "accuracy", "b", ADDED, Score(-0.001, -0.01, 0.008, 3, 40)),
        Effect("height", "R2", "a", ADDED, Score(0.1, math.nan, math.nan, 3, 40)),
        Effect("height", "R2", "b", ADDED, Score(-0.2, -0.3, -0.1, 3, 40)),
    ]
    assert effect_table(effects, ADDED).splitlines() == [
        "| task | a | b |",
        "|---|---:|---:|",
        "| country, accuracy | **+1.2 [0.4, 2.0]** | -0.1 [-1.0, 0.8] |",
        "| height, R2 | +10.0 | **-20.0 [-30.0, -10.0]** |",
    ]
    with pytest.raises(ValueError, match="no effect of the kind"):
        effect_table(effects, ALONE)


def test_every_variant_and_seed_is_evaluated_on_the_same_draws(tasks):
    encoders = {
        "good": {seed: lambda p: np.sin(np.radians(p)) for seed in (3, 5)},
        "bad": {seed: lambda p: np.cos(np.radians(7 * p)) for seed in (3, 5)},
    }
    judged = judge_variants(encoders, plan_tasks(tasks, ("own",), (100,), range(2), "test", BUFFER_KM))
    assert {(name, seed): len(found) for name, of in judged.items() for seed, found in of.items()} == {
        (name, seed): 4 for name in encoders for seed in (3, 5)
    }
    good, bad = (np.mean([one.value for one in judged[name][3] if one.task == "height"]) for name in encoders)
    assert good > bad + 0.3
    assert paired_effect(of_task(judged["good"], "height"), of_task(judged["bad"], "height")).low > 0


def test_the_store_is_shared_with_evaluate(tasks, tmp_path):
    plans = plan_tasks(tasks, ("own",), (100,), (0,), "test", BUFFER_KM)
    with ResultStore(tmp_path / "outcomes.sqlite") as store:
        judged = judge_variants({"xy": {0: lambda p: p}}, plans, store=store)
        assert len(store) == 2
        again = evaluate({"xy": lambda p: p}, tasks, ("ridge",), ("own",), (100,), (0,), store=store)
        assert len(store) == 2
    assert [one.row() for one in again] == [one.row() for one in judged["xy"][0]]


@pytest.mark.parametrize("count", [3, 4, 10])
def test_every_required_choice_occurs_once(count):
    names = [f"m{i}" for i in range(count)]
    found = {variant.modalities for variant in variants(names)}
    every = {c for size in (1, count - 1, count) for c in itertools.combinations(names, size)}
    assert found == every
    assert len(variants(names)) == 2 * count + 1


def test_only_what_is_asked_for():
    assert [v.name for v in variants(["a", "b", "c"], ["c"])] == ["all", "without c", "only c"]


@pytest.mark.parametrize(
    ("names", "wanted", "message"),
    [
        (["image"], None, "two or more, got image"),
        ([], None, "two or more, got none"),
        (["image", "image"], None, "may be named once, got image, image"),
        (["image", "text"], ["imag"], "Unknown modality 'imag'; did you mean 'image'"),
    ],
)
def test_wrong_names_are_reported(names, wanted, message):
    with pytest.raises(ValueError, match=message):
        variants(names, wanted)
