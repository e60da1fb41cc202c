"""Mirrors src/geotether/studies/contribution.py: the whole study, tiny."""

import csv

import numpy as np
import pytest

from geotether.benchmark.bench import Bench
from geotether.studies.contribution import measure_contribution
from geotether.studies.effects import ADDED, ALONE
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
def test_wrong_options_are_said_before_any_training(config, tables, tasks, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        measure_contribution(config(), tables, tasks, tmp_path / "out", **{"seeds": (0,), **options})
    assert not (tmp_path / "out").exists()


def test_one_modality_is_no_study(config, tables, tasks, tmp_path):
    with pytest.raises(ValueError, match="two or more, got text"):
        measure_contribution(config(), {"text": tables["text"]}, tasks, tmp_path)
