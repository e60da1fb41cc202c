"""Mirrors src/geotether/demo/run.py: the whole job, with few steps, on the real planet."""

import base64
import csv
import io
import itertools
import json
import signal
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geotether.demo.run import COMPARED, TIED, demo_config, pretrain_or_resume, run_demo
from geotether.loading import load
from geotether.tables.table import Table
from geotether.training.state import RunInterrupted

GOLDEN = Path(__file__).parents[1] / "data" / "golden" / "demo_scores.csv"
TASKS = {"country", "population_density", "elevation", "july_temperature"}
ALONE = {"satellite alone", "night_lights alone", "place_texts alone"}
BASELINES = {"xyz", "raw harmonics", "raw Fourier features", "raw encoding", "context alone", "untrained"}
NEIGHBORS = {"mean", "nearest in space", "inverse distance"}


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo")
    report = run_demo(out, quick=True)
    return out, report


def scores(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_folder_is_complete_and_figures_are_not_blank(demo):
    out, report = demo
    assert report == out / "report.html"
    assert {"model", "single", "metrics.jsonl", "scores.csv", "figures"} <= {file.name for file in out.iterdir()}
    assert not (out / "state").exists()
    recall = json.loads((out / "recall.json").read_text())
    assert set(recall) == {"satellite", "night_lights", "place_texts"}
    assert "## Search" in (out / "model" / "README.md").read_text()
    figures = sorted((demo[0] / "figures").glob("*.png"))
    assert {figure.stem for figure in figures} == {f"map_{task}" for task in TASKS} | {
        "accuracy_against_labels", "coverage", "losses",
    }  # fmt: skip
    for figure in figures:
        with Image.open(figure) as image:
            pixels = np.asarray(image.convert("RGB"), dtype=np.float64)
        assert min(pixels.shape[:2]) > 300, figure.name
        assert pixels.std() > 10, figure.name
        assert len(np.unique(pixels @ [65536, 256, 1])) > 50, figure.name


def test_scores_contain_every_encoder_task_and_seed(demo):
    rows = scores(demo[0] / "scores.csv")
    for split, encoders in (
        ("own", {TIED, f"{TIED} + Fourier features"} | ALONE | BASELINES | NEIGHBORS),
        ("random", set(COMPARED)),
    ):
        found = [(row["encoder"], row["task"], row["seed"]) for row in rows if row["split"] == split]
        assert set(found) == set(itertools.product(encoders, TASKS, ("0", "1")))
        assert len(found) == len(set(found))
    assert all(-50 < float(row["value"]) <= 1 for row in rows)


def test_the_report_is_one_file_with_all_figures(demo):
    images = []

    class Images(HTMLParser):
        def handle_starttag(self, tag, attributes):
            images.extend(value for name, value in attributes if tag == "img" and name == "src")

    text = demo[1].read_text()
    Images().feed(text)
    assert len(images) == 7
    for image in images:
        kind, data = image.split(",", 1)
        assert kind == "data:image/png;base64"
        Image.open(io.BytesIO(base64.b64decode(data))).verify()
    assert "http://" not in text.replace("http://www.w3.org", "")


@pytest.mark.parametrize("task", sorted(TASKS))
def test_melt_is_better_than_the_mean_in_the_recorded_demo(task):
    rows = [row for row in scores(GOLDEN) if (row["task"], row["split"], row["labels"]) == (task, "own", "2700")]
    means = {
        name: np.mean([float(row["value"]) for row in rows if row["encoder"] == name])
        for name in {row["encoder"] for row in rows}
    }
    assert {TIED} | ALONE | BASELINES | NEIGHBORS <= set(means)
    assert means[TIED] > means["mean"] + 0.2
    assert means[TIED] > means["untrained"]


def test_the_model_loads_and_its_card_shows_the_scores(demo):
    out, _ = demo
    model = load(out / "model")
    assert model.encode(lon=5.66, lat=51.97).shape == (1, model.dim)
    card = (out / "model" / "README.md").read_text()
    assert "| MELT, all modalities |" in card
    assert (out / "model" / "coverage.png").is_file()
    assert set(model.provenance["context"]["rasters"]) == {"satellite", "night_lights"}
    assert set(model.provenance["tables"]) == {"satellite", "night_lights", "place_texts"}


def test_an_interrupted_demo_continues_when_it_is_run_again(tmp_path, monkeypatch):
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
