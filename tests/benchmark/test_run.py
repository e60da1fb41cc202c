"""Mirrors src/geotether/benchmark/run.py."""

import itertools
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge, RidgeCV
from sklearn.metrics import r2_score
from sklearn.preprocessing import StandardScaler

from geotether.benchmark import bench
from geotether.benchmark.baselines import judged_only, xyz
from geotether.benchmark.bench import Bench
from geotether.benchmark.bootstrap import score
from geotether.benchmark.plan import draw, plan_tasks
from geotether.benchmark.probing import PROBES
from geotether.benchmark.run import evaluate
from geotether.benchmark.score_table import markdown_table
from geotether.benchmark.splitting import part_rows
from geotether.benchmark.store import ResultStore
from geotether.geodesy.blocks import block_id
from geotether.geodesy.coordinates import unit_vectors
from geotether.probes import decomposition, linear, mlp
from geotether.probes.linear import ALPHAS
from geotether.tasks.task import Task

ALL = tuple(PROBES)
QUICK = {"splits": ("own",), "labels": (100,), "seeds": (0,)}


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


class Said(NamedTuple):
    """One prediction of a probe, before it is scored."""

    task: str
    probe: str
    fold: str
    chosen: str
    rows: np.ndarray
    values: np.ndarray


def predictions(encoder, tasks, probes, split="own", labels=(100,), seeds=(0, 1)):
    for plan in plan_tasks(tasks, (split,), labels, seeds, "test", 50.0):
        bench = Bench("e", encoder(plan.group[0].lonlat), plan.group, probes, "", 250, None)
        for problem in plan.problems:
            for count, parting in itertools.product(problem.labels, problem.partings):
                for task, probe, answer in bench.predict(split, parting, count, problem.seed, probes, plan.group):
                    yield Said(task.name, probe, parting.fold, answer.chosen, parting.judged, answer.values)


def test_rows_are_tidy_and_right():
    rows = evaluate({"xyz": xyz}, make_tasks(), ("ridge", "logistic"), ("own", "random"), (100,), (0, 1))
    found = {(r.task, r.probe, r.split, r.metric) for r in rows}
    assert found == {
        (task, probe, split, metric)
        for task, probe, metric in [
            ("height", "ridge", "R2"), ("zone", "ridge", "accuracy"), ("zone", "logistic", "accuracy")
        ]
        for split in ("own", "random")
    }  # fmt: skip
    assert len(rows) == 12
    assert min(row.value for row in rows if row.task == "height") > 0.9


@pytest.fixture(autouse=True)
def one_thread():
    """Problems are tiny: threads would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_changed_test_labels_change_no_prediction_and_no_choice(monkeypatch):
    """Nothing is ever tuned on test rows: other labels there leave everything but the score as it was."""
    monkeypatch.setattr(mlp, "TunedMlpProbe", partial(mlp.TunedMlpProbe, max_epochs=5))
    runs = [list(predictions(xyz, make_tasks(poison), ALL)) for poison in (False, True)]
    assert len(runs[0]) == 2 * (len(ALL) * 2 - 1)  # two seeds; logistic answers classes only
    for clean, poisoned in zip(*runs, strict=True):
        assert clean.chosen == poisoned.chosen
        np.testing.assert_array_equal(clean.values, poisoned.values)
        np.testing.assert_array_equal(clean.rows, poisoned.rows)


def test_changed_test_labels_change_no_score_on_validation():
    runs = [
        evaluate({"xyz": xyz}, make_tasks(poison), ("ridge",), ("own", "random"), (100,), (0,), on="validation")
        for poison in (False, True)
    ]
    assert [one.row() for one in runs[0]] == [one.row() for one in runs[1]]


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


def test_an_encoder_may_have_its_own_probe():
    rows = evaluate({"nearest": judged_only(xyz, ("neighbors_in_space",))}, make_tasks(), ("ridge",), **QUICK)
    assert {row.probe for row in rows} == {"neighbors_in_space"}
    assert next(r.value for r in rows if r.task == "zone") > 0.6


def test_tasks_with_different_missing_rows_are_evaluated_separately():
    tasks = make_tasks()
    gappy = tasks[0].target.copy()
    gappy[::7] = np.nan
    tasks.append(Task("gappy", "regression", tasks[0].lonlat, gappy, tasks[0].split))
    rows = evaluate({"xyz": xyz}, tasks, ("ridge",), **QUICK)
    assert {row.task for row in rows} == {"height", "zone", "gappy"}


@pytest.mark.parametrize(("asked", "taken"), [((100, 5000), 100), ((5000,), None)])
def test_label_counts_beyond_the_rows_are_skipped_and_all_rows_taken_where_none_fits(caplog, asked, taken):
    rows = evaluate({"xyz": xyz}, make_tasks()[:1], ("ridge",), ("own",), asked, (0,))
    assert {row.labels for row in rows} == {taken or len(make_tasks()[0].rows("train"))}
    assert "5000 skipped" in caplog.text
    assert ("all of which are taken" in caplog.text) == (taken is None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"probes": ("rigde",)}, "unknown probe 'rigde'; there are .* Did you mean 'ridge'"),
        ({"seeds": ()}, "at least one encoder, task, split, label count and seed"),
        ({"splits": ("continent",)}, "splits are own, random"),
        ({"tasks": make_tasks()[:1] * 2}, "different names"),
    ],
)
def test_wrong_options_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        evaluate({"xyz": xyz}, **({"tasks": make_tasks(), "probes": ("ridge",), **QUICK} | change))


def test_changing_widths_are_refused():
    other = make_tasks(seed=5)[0]
    renamed = Task("other", "regression", other.lonlat, other.target, other.split)
    widths = iter([4, 5])
    with pytest.raises(ValueError, match="returned 4 columns before and 5 now"):
        evaluate(
            {"odd": lambda lonlat: np.random.default_rng(0).standard_normal((len(lonlat), next(widths)))},
            [make_tasks()[0], renamed], ("ridge",), **QUICK,
        )  # fmt: skip


@pytest.mark.parametrize("split", ["blocks-40", "continents", "random"])
def test_changed_test_labels_change_no_choice_on_any_split(split):
    """As above where rows are parted anew: whatever the seed judges is poisoned for it."""
    tasks = make_tasks()
    continent = np.where(tasks[0].lonlat[:, 0] > 0, "east", "west")
    clean = [replace(task, continent=continent, split=None) for task in tasks]
    quick = ("ridge", "neighbors", "inverse_distance", "mean")  # the others are poisoned above
    for found in predictions(xyz, clean, quick, split, seeds=(1,)):
        poisoned = []
        for task in clean:
            target = task.target.copy()
            target[found.rows] = "poison" if task.kind == "classification" else 1e6 * np.arange(len(found.rows))
            poisoned.append(replace(task, target=target))
        again = predictions(xyz, poisoned, (found.probe,), split, seeds=(1,))
        same = next(one for one in again if (one.task, one.fold) == (found.task, found.fold))
        assert same.chosen == found.chosen
        np.testing.assert_array_equal(same.values, found.values)


def test_scores_are_those_of_scikit_learn_on_the_same_folds():
    """RidgeCV over the same inner folds, refitted, scored on the same rows; to 1e-3."""
    (height, _) = make_tasks()
    features = np.random.default_rng(5).standard_normal((500, 12)) + 3 * unit_vectors(height.lonlat)[:, [0, 1, 2] * 4]
    for split in ("own", "blocks-40", "random"):
        for seed in (0, 1):
            (got,) = evaluate({"e": lambda _: features}, [height], ("ridge",), (split,), (150,), (seed,))
            (parting,) = part_rows(height, split, "test", seed)
            drawn = draw(height, split, parting, 150, seed, 50)
            scaler = StandardScaler().fit(features[drawn.train])
            x, y = scaler.transform(features[drawn.train]), height.values[drawn.train]
            rows = np.arange(150)
            inner = [(rows[drawn.folds != f], rows[drawn.folds == f]) for f in np.unique(drawn.folds)]
            # Every held-out row counts alike, in folds of different size: errors are added up, not averaged by fold.
            errors = [
                sum(((Ridge(alpha=a).fit(x[i], y[i]).predict(x[j]) - y[j]) ** 2).sum() for i, j in inner)
                for a in ALPHAS
            ]
            best = Ridge(alpha=ALPHAS[int(np.argmin(errors))]).fit(x, y)
            judged = parting.judged
            reference = r2_score(height.values[judged], best.predict(scaler.transform(features[judged])))
            assert got.value == pytest.approx(reference, abs=1e-3)
            if split == "random":  # folds of equal size, where RidgeCV's own mean over folds is the same thing
                cv = RidgeCV(ALPHAS, cv=inner, scoring="neg_mean_squared_error").fit(x, y)
                reference = r2_score(height.values[judged], cv.predict(scaler.transform(features[judged])))
                assert got.value == pytest.approx(reference, abs=1e-3)


def test_logistic_scores_are_those_of_scikit_learn():
    zone = make_tasks()[1]
    features = np.random.default_rng(5).standard_normal((500, 6)) + 2 * unit_vectors(zone.lonlat)[:, [0, 1, 2] * 2]
    (got,) = evaluate({"e": lambda _: features}, [zone], ("logistic",), ("own",), (200,), (0,))
    (parting,) = part_rows(zone, "own", "test", 0)
    drawn = draw(zone, "own", parting, 200, 0, 50)
    scaler = StandardScaler().fit(features[drawn.train])
    reference = LogisticRegression(C=1 / float(got.chosen.split()[1]), tol=1e-8, max_iter=10_000)
    reference.fit(scaler.transform(features[drawn.train]), zone.values[drawn.train])
    right = reference.score(scaler.transform(features[parting.judged]), zone.values[parting.judged])
    assert got.value == pytest.approx(right, abs=1e-3)


def test_multilabel_tasks_are_evaluated_by_the_probes_that_support_them():
    height = make_tasks()[0]
    lat = height.lonlat[:, 1]
    labels = np.stack([lat > 0, np.abs(lat) < 30], axis=1).astype(float)
    task = Task("zones", "multilabel", height.lonlat, labels, height.split)
    found = {one.probe: one for one in evaluate({"xyz": xyz}, [task], ALL, **QUICK)}
    assert set(found) == set(ALL) - {"logistic"}
    assert {one.metric for one in found.values()} == {"micro F1"}
    assert found["neighbors_in_space"].value > 0.8
    assert found["mean"].value < found["ridge"].value


def test_classes_that_only_test_rows_have_are_counted_and_reported(caplog):
    zone = make_tasks(poison=True)[1]
    judged = len(zone.rows("test"))
    target = zone.target.copy()
    target[zone.rows("test")[0]] = "north"
    (one,) = evaluate({"xyz": xyz}, [replace(zone, target=target)], ("ridge",), **QUICK)
    assert one.value <= 1 / judged
    assert f"up to {judged - 1} of {judged} judged rows" in caplog.text


def test_stored_results_are_not_computed_again(tmp_path, monkeypatch):
    with ResultStore(tmp_path / "outcomes.sqlite") as store:
        first = evaluate({"xyz": xyz}, make_tasks(), ("ridge", "mean"), **QUICK, store=store)
        assert len(store) == 4
        monkeypatch.setattr(Bench, "judge", lambda *_: pytest.fail("judged again"))
        second = evaluate({"xyz": xyz}, make_tasks(), ("ridge", "mean"), **QUICK, store=store)
    assert [one.row() for one in first] == [one.row() for one in second]
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.sums, other.sums)


@pytest.mark.parametrize("changed", ["encoder", "labels of the task", "code", "buffer"])
def test_results_of_other_code_or_data_are_not_taken_from_the_store(tmp_path, monkeypatch, changed):
    def noisy(lonlat):
        return xyz(lonlat) + 1e-6

    with ResultStore(tmp_path / "outcomes.sqlite") as store:
        evaluate({"e": xyz}, make_tasks(), ("ridge",), **QUICK, store=store)
        if changed == "code":
            monkeypatch.setattr(bench, "judging_hash", lambda: "other")
        tasks = make_tasks(seed=1) if changed == "labels of the task" else make_tasks()
        encoder = noisy if changed == "encoder" else xyz
        more = {"buffer_km": 60.0} if changed == "buffer" else {}
        evaluate({"e": encoder}, tasks, ("ridge",), **QUICK, store=store, **more)
        assert len(store) == 4


def test_progress_is_logged_at_most_every_few_seconds(caplog, monkeypatch):
    caplog.set_level("INFO", logger="geotether")
    for seconds, lines in ((1e9, 0), (-1.0, 2)):
        monkeypatch.setattr("geotether.benchmark.run.SILENT_SECONDS", seconds)
        evaluate({"xyz": xyz, "also": xyz}, make_tasks()[:1], probes=("ridge",), **QUICK)
        assert sum("of 2" in record.message for record in caplog.records) == lines


def presence(test_class):
    """Seldom present, in the north-west corner only; the judged part of the own split has one class, or both."""
    height = make_tasks()[0]
    present = np.where((height.lonlat[:, 0] < -90) & (height.lonlat[:, 1] > 30), "yes", "no")
    if test_class:
        present[height.split == "test"] = test_class
    return Task("owl", "classification", height.lonlat, present, height.split)


@pytest.mark.parametrize("test_class", ["no", "yes"])
def test_test_rows_of_one_class_have_a_note_and_no_score(caplog, tmp_path, test_class):
    task = presence(test_class)
    with ResultStore(tmp_path / "outcomes.sqlite") as store:
        for _ in range(2):  # from the store, too
            found = evaluate({"xyz": xyz}, [task], ("ridge", "mean"), ("own",), (100,), (0, 1), store=store)
            assert np.isnan([one.value for one in found]).all()
            assert np.isnan([score([one]).mean for one in found]).all()
    assert f"all {len(task.rows('test'))} judged rows have one class, '{test_class}'" in caplog.text
    table = markdown_table(found, "ridge", "own", 100)
    assert "undefined" in table
    assert "**" not in table
    assert "1.000" not in table


def test_folds_of_one_class_keep_their_scores_and_are_counted(caplog):
    """The shares of the majority are those of pandas, fold by fold."""
    task = replace(presence(None), split=None)
    found = evaluate({"xyz": xyz}, [task], ("mean",), ("blocks-40",), (100,), range(5))
    wanted = []
    for seed in range(5):
        (parting,) = part_rows(task, "blocks-40", "test", seed)
        wanted.append((task.values[parting.judged] == "no").mean())
    assert [one.value for one in found] == pytest.approx(wanted)
    assert 1 <= wanted.count(1.0) < 5
    assert f"{wanted.count(1.0)} of 5 judged parts have one class ('no')" in caplog.text
