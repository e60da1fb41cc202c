"""Mirrors src/geotether/studies/comparison.py."""

import csv
import logging
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from geotether.benchmark import bench
from geotether.encoder import Encoder
from geotether.encoders.build import build_location_encoder
from geotether.files.disk import writing
from geotether.geodesy.coordinates import unit_vectors
from geotether.loading import load_encoder
from geotether.studies.comparison import baselines_of, compare, origin_of
from geotether.tasks import read_tasks
from geotether.tasks.task import Task

QUICK = {"probes": ("ridge", "neighbors"), "splits": ("blocks-40", "random"), "labels": (60, 5000), "seeds": range(5)}
FEW = {"probes": ("ridge",), "splits": ("random",), "labels": (60,), "seeds": range(2)}
PARTS = {
    "positional": {"name": "spherical_harmonics", "l_max": 2},
    "network": {"name": "linear"},
    "embed_dim": 4,
    "readout": "output",
}


def make_tasks(count=600):
    rng = np.random.default_rng(0)
    lonlat = np.stack([rng.uniform(-180, 180, count), np.degrees(np.arcsin(rng.uniform(-1, 1, count)))], axis=1)
    height = np.sin(np.radians(lonlat[:, 1])) + 0.1 * rng.standard_normal(count)
    zone = np.where(lonlat[:, 1] > 20, "north", np.where(lonlat[:, 1] < -20, "south", "middle"))
    return [Task("height", "regression", lonlat, height), Task("zone", "classification", lonlat, zone)]


def useful(lon, lat):
    return np.stack([lat, lat**2, np.cos(np.radians(lon))], axis=1)


def useless(lon, lat):
    return np.stack([np.sin(40 * lon), np.sin(40 * lat)], axis=1)


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    out = tmp_path_factory.mktemp("comparison") / "new"
    return compare({"useful": useful, "useless": useless}, make_tasks(), out, **QUICK), out


def read(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_folder_contains_all_documented_files(comparison):
    found, out = comparison
    assert sorted(p.name for p in out.iterdir()) == [
        "coordbench.csv", "figures", "outcomes.sqlite", "report.html", "scores.csv", "summary.csv", "verdicts.csv"
    ]  # fmt: skip
    assert len(read(out / "scores.csv")) == len(found.outcomes)
    assert {one["encoder"] for one in read(out / "summary.csv")} == {*found.names, *found.baselines}
    assert sorted(p.name for p in (out / "figures").iterdir()) == sorted(
        f"scores_{split}_{probe}.png" for split in QUICK["splits"] for probe in QUICK["probes"]
    )


def test_every_baseline_is_evaluated_with_the_encoders(comparison):
    found, _ = comparison
    assert set(found.baselines) == {
        "mean", "nearest in space", "inverse distance", "xyz", "raw harmonics", "raw Fourier features",
        "raw encoding", "untrained", "useful + Fourier features", "useless + Fourier features",
    }  # fmt: skip
    assert {one.probe for one in found.outcomes if one.encoder == "useful + Fourier features"} == {"ridge"}


def test_a_better_encoder_is_distinguished_from_a_worse_one(comparison):
    _, out = comparison
    said = [
        one for one in read(out / "verdicts.csv")
        if (one["encoder"], one["other"], one["probe"], one["split"]) == ("useful", "useless", "ridge", "blocks-40")
    ]  # fmt: skip
    assert [one["task"] for one in said] == ["mean of tasks", "height, R2", "zone, accuracy"]
    assert all(one["verdict"].startswith("useful is better than useless by ") for one in said)
    assert all(float(one["low"]) > 0 for one in said)


def test_the_report_is_read_without_anything_else(comparison):
    _, out = comparison
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "http" not in page
    for heading in ("Ranks", "Verdicts: ridge, unseen blocks of 40 degrees", "Does pre-training add anything"):
        assert heading in page
    assert "useful is better than useless by" in page
    # What an encoder is part of is no baseline that it could beat.
    assert "best baseline, useful + Fourier features" not in page


def test_rows_in_coordbenchs_shape(comparison):
    _, out = comparison
    rows = read(out / "coordbench.csv")
    assert " ".join(rows[0]) == (
        "dataset task task_type method split metric_name metric_value ci_lower ci_upper n_folds cell_deg feature_dim "
        "n_samples n_test seed model_name model_target"
    )
    one = next(
        row for row in rows if (row["model_name"], row["method"], row["split"]) == ("useful", "linear", "spatial")
    )
    assert (one["dataset"], one["task"], one["metric_name"]) == ("height", "height @60", "r2")
    assert (one["n_folds"], one["cell_deg"], one["feature_dim"]) == ("5", "40.0", "3")
    assert (one["n_samples"], one["n_test"]) == ("600", "600")  # five seeds judge every row once
    assert float(one["ci_lower"]) < float(one["metric_value"]) < float(one["ci_upper"])


def test_the_same_command_again_computes_nothing(comparison, monkeypatch, caplog):
    found, out = comparison
    monkeypatch.setattr(bench.Bench, "judge", lambda *_: pytest.fail("judged again"))
    with caplog.at_level(logging.INFO):
        again = compare({"useful": useful, "useless": useless}, make_tasks(), out, **QUICK)
    assert [one.row() for one in again.outcomes] == [one.row() for one in found.outcomes]
    assert "useful: 40 outcomes, 40 of them from before" in caplog.text


def test_results_of_another_encoder_of_the_same_name_are_kept_apart(comparison, tmp_path):
    _, out = comparison
    other = compare({"useful": useless, "useless": useful}, make_tasks(), out, **FEW)
    fresh = compare({"useful": useless, "useless": useful}, make_tasks(), tmp_path, **FEW)
    assert [one.row() for one in other.outcomes] == [one.row() for one in fresh.outcomes]


STUDY = """
import sys, time, numpy as np
sys.path.insert(0, sys.argv[2])
import test_comparison as study
def slow(lon, lat):
    time.sleep(0.05)
    return study.useful(lon, lat)
encoders = {"useful": slow, "useless": study.useless}
study.compare(encoders, study.make_tasks(), sys.argv[1], **study.QUICK)
"""


def test_a_killed_comparison_continues(comparison, tmp_path, caplog):
    """Killed outright once some outcomes are there; the same call then finishes with the same scores."""
    found, _ = comparison
    out = tmp_path / "killed"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = [sys.executable, "-c", STUDY, str(out), os.path.dirname(__file__)]
    process = subprocess.Popen(run, env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None and count(out / "outcomes.sqlite") < 30:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = count(out / "outcomes.sqlite")
    assert 30 <= before < len(found.outcomes)
    with caplog.at_level(logging.INFO):
        resumed = compare({"useful": useful, "useless": useless}, make_tasks(), out, **QUICK)
    assert "from before" in caplog.text
    for one, other in zip(resumed.outcomes, found.outcomes, strict=True):
        assert one.value == pytest.approx(other.value, abs=1e-6)


GOLDEN = Path(__file__).parents[1] / "data" / "golden" / "compare"
OLD = {"probes": ("ridge",), "splits": ("blocks-20",), "labels": (60,), "seeds": (0, 1)}


def plain(lon, lat):
    """The encoder of the recorded comparison: arithmetic that is exact on every machine."""
    return np.stack([lon, lat, lon * lat, lat * lat], axis=1)


def test_the_scores_of_a_store_of_an_earlier_version_count(tmp_path, monkeypatch):
    """Made by commit 7f3391b. Encoders whose features differ in the last bit on another machine are judged again."""
    out, judged = shutil.copytree(GOLDEN, tmp_path / "out"), []
    judge = bench.Bench.judge
    monkeypatch.setattr(bench.Bench, "judge", lambda self, *rest: judged.append(self.name) or judge(self, *rest))
    before = {(one["task"], one["seed"]): one["value"] for one in read(out / "scores.csv") if one["encoder"] == "plain"}
    found = compare({"plain": plain}, read_tasks(GOLDEN / "tasks.yaml"), out, **OLD)
    assert "plain" not in judged
    own = {(one.task, str(one.seed)): str(one.value) for one in found.outcomes if one.encoder == "plain"}
    assert own == before
    # The earlier version drew larger blocks for the intervals of fine splits: those are judged again.
    compare({"plain": plain}, read_tasks(GOLDEN / "tasks.yaml"), out, **(OLD | {"splits": ("blocks-5",)}))
    assert "plain" in judged


def test_two_comparisons_do_not_write_one_folder(comparison, tmp_path):
    out = tmp_path / "out"
    with writing(out, folder=True), pytest.raises(BlockingIOError, match="out"):
        compare({"useful": useful}, make_tasks(), out, **QUICK)
    assert not (out / "outcomes.sqlite").exists()


def test_debris_of_a_killed_comparison_is_removed(tmp_path):
    debris = [tmp_path / ".scores.csv.4711-0123abcd.part", tmp_path / "figures" / ".labels.png.4711-0123abcd.part"]
    (tmp_path / "figures").mkdir()
    for path in debris:
        path.write_text("half")
    compare({"useful": useful}, make_tasks()[:1], tmp_path, **FEW)
    assert not any(path.exists() for path in debris)


def test_notes_are_in_the_report(tmp_path):
    tasks = [replace(task, lonlat=task.lonlat / 40) for task in make_tasks(300)]
    found = compare({"useful": useful}, tasks, tmp_path, **FEW)
    assert any("no interval can be given" in note for note in found.notes)
    assert "no interval can be given" in (tmp_path / "report.html").read_text()
    assert all(one["low"] == "nan" for one in read(tmp_path / "summary.csv"))
    said = {one["verdict"].split(" (")[0] for one in read(tmp_path / "verdicts.csv")}
    assert all("cannot be told apart" in one for one in said)


def count(path):
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
            return connection.execute("SELECT count(*) FROM outcomes").fetchone()[0]
    except sqlite3.Error:
        return 0


def test_each_architecture_is_included_untrained_once():
    models = {name: Encoder(build_location_encoder(PARTS, seed=i)) for i, name in enumerate("ab")}
    models["wide"] = Encoder(build_location_encoder(PARTS | {"embed_dim": 6}, seed=0))

    beside = baselines_of({name: load_encoder(model) for name, model in models.items()}, ("neighbors",), 60)
    assert {"untrained", "untrained (wide)", "raw encoding", "raw encoding (wide)"} <= set(beside)
    assert "untrained (b)" not in beside
    assert not any(name.endswith("Fourier features") and name != "raw Fourier features" for name in beside)
    place = np.array([[5.66, 51.97]])
    assert beside["untrained (wide)"](place).shape == (1, 6)


def test_encoders_from_every_kind_of_source():
    model = Encoder(build_location_encoder(PARTS, seed=0), provenance={"recipe": "default"})
    assert origin_of(model) == "Encoder(4 numbers per place, spherical_harmonics + linear) default"
    assert origin_of(useful) == "useful"


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (lambda lon, lat: np.full((len(lon), 2), np.nan), "encoder 'e' returned NaN or infinity for 600 of 600 places"),
        (lambda lon, lat: np.ones((3, 2)), r"encoder 'e' returned shape \(3, 2\) for 600 places"),
        (lambda lon, lat: np.ones((len(lon), 1 + len(lon) % 7)), "encoder 'e' returned 6 columns before and 4 now"),
    ],
)
def test_invalid_encoders_are_named(encoder, message, tmp_path):
    tasks = [make_tasks()[0], Task("few", "regression", unit_vectors(make_tasks(500)[0].lonlat)[:, :2] * 80,
             np.arange(500.0))]  # fmt: skip
    with pytest.raises(ValueError, match=message):
        compare({"e": encoder}, tasks, tmp_path, **FEW)


def test_an_encoder_cannot_have_the_name_of_a_baseline(tmp_path):
    with pytest.raises(ValueError, match="'xyz' is the name of a baseline; give the encoder another"):
        compare({"xyz": useful}, make_tasks(), tmp_path, **QUICK)
