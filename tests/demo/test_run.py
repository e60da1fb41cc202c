"""Mirrors src/geotether/demo/run.py: the whole job, with few steps, on the real planet."""

import csv
import signal

import numpy as np
import pytest

from geotether.demo.run import demo_config, pretrain_or_resume, run_demo
from geotether.loading import load
from geotether.tables.table import Table
from geotether.training.state import RunInterrupted


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo")
    report = run_demo(out, quick=True)
    return out, report


def test_everything_that_was_promised_is_there(demo):
    out, report = demo
    assert report == out / "report.html"
    assert {"model", "metrics.jsonl", "scores.csv", "figures", "report.html"} <= {file.name for file in out.iterdir()}
    assert len(list((out / "figures").glob("*.png"))) == 7
    assert not (out / "state").exists()


def test_scores_are_tidy_and_hold_every_baseline(demo):
    out, _ = demo
    with (out / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {"task", "encoder", "probe", "split", "labels", "metric", "seed", "value"} <= set(rows[0])
    encoders = {row["encoder"] for row in rows}
    assert {
        "xyz",
        "raw encoding",
        "nearest in space",
        "inverse distance",
        "mean",
        "untrained",
        "MELT, all modalities",
    } <= encoders
    assert {f"{name} alone" for name in ("satellite", "night_lights", "place_texts")} <= encoders
    assert {row["task"] for row in rows} == {"country", "population_density", "elevation", "july_temperature"}
    assert {row["split"] for row in rows} == {"own", "random"}
    assert all(-50 < float(row["value"]) <= 1 for row in rows)


def test_the_report_needs_nothing_else(demo):
    text = demo[1].read_text()
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert text.count("data:image/png;base64,") == 7
    assert "What is a place like?" in text


def test_the_model_loads_and_its_card_shows_the_scores(demo):
    out, _ = demo
    model = load(out / "model")
    assert model.encode(lon=5.66, lat=51.97).shape == (1, model.dim)
    card = (out / "model" / "README.md").read_text()
    assert "| MELT, all modalities |" in card
    assert (out / "model" / "coverage.png").is_file()
    assert set(model.provenance["tables"]) == {"satellite", "night_lights", "place_texts"}


def test_an_interrupted_demo_goes_on_when_it_is_run_again(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    lonlat = np.stack([rng.uniform(-180, 180, 400), rng.uniform(-80, 80, 400)], -1)
    tables = {"satellite": Table.single("satellite", lonlat, rng.standard_normal((400, 4), np.float32))}
    config = demo_config(quick=True)
    pretrain_or_resume(config, tables, tmp_path / "whole")

    from geotether.training import loop

    def interrupt_at_step_five(seed, step, *rest):
        if step == 5:
            signal.raise_signal(signal.SIGINT)
        return seeded(seed, step, *rest)

    seeded = loop.seed_step
    monkeypatch.setattr(loop, "seed_step", interrupt_at_step_five)
    with pytest.raises(RunInterrupted, match="run the same command again"):
        pretrain_or_resume(config, tables, tmp_path / "cut")
    monkeypatch.setattr(loop, "seed_step", seeded)
    pretrain_or_resume(config, tables, tmp_path / "cut")
    weights = [(tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("whole", "cut")]
    assert weights[0] == weights[1]
