"""Mirrors src/geotether/studies/adaptation.py."""

import json
from dataclasses import replace

import numpy as np
import pytest

from geotether.encoder import Encoder
from geotether.probes.decomposition import RidgeDecomposition
from geotether.probes.linear import fit_ridges, predict_ridges
from geotether.probes.target import ProbeTarget
from geotether.studies import adaptation
from geotether.studies.adaptation import NEW, OLD, adapt, judge
from geotether.tables.table import Table
from geotether.tasks.task import Task
from geotether.training.pretraining import pretrain
from geotether.training.state import FinishedRunError

BOX = (0, -30, 60, 30)
FAST = {"steps": 8, "batch_size": 32, "validate_every": 2, "device": "cpu", "learning_rate": 0.01}

OPTIONS = {**FAST, "adapt": {"heads_steps": 4, "keep_rows": 32, "block_km": 700}}


@pytest.fixture
def base(tables, config, tmp_path):
    pretrain(tables, config=config(), progress="none").save(tmp_path / "base")
    return tmp_path / "base"


@pytest.fixture
def own():
    rng = np.random.default_rng(3)
    lonlat = np.stack([rng.uniform(0, 60, 600), rng.uniform(-30, 30, 600)], axis=1)
    seen = np.stack([np.cos(lonlat[:, 0] / 9), np.sin(lonlat[:, 1] / 9)], axis=1)
    return {"sites": Table.single("sites", lonlat, (seen + 0.1 * rng.standard_normal((600, 2))).astype(np.float32))}


@pytest.fixture
def labels(own):
    lonlat = 0.99 * own["sites"].lonlat + [0.2, 0]
    height = np.cos(lonlat[:, 0] / 9)
    return [
        Task("height", "regression", lonlat, height),
        Task("zone", "classification", lonlat, np.where(height > 0, "wet", "dry")),
    ]


@pytest.fixture
def few_places(monkeypatch):
    """Use a fraction of the planet's places, of one task."""
    task = adaptation.planet_tasks()[2]
    few = replace(task, lonlat=task.lonlat[::25], target=task.target[::25], split=task.split[::25])
    monkeypatch.setattr(adaptation, "planet_tasks", lambda: [few])


@pytest.fixture
def quick(monkeypatch):
    """Leave out the planet's tasks; they are judged by the benchmark, which has its own tests."""
    monkeypatch.setattr(adaptation, "_outside_scores", lambda method, encoders: [])


def test_one_call_adapts_judges_and_writes(base, own, labels, few_places, tmp_path):
    found = adapt(base, own, BOX, labels=labels, out=tmp_path / "run", progress="none", **OPTIONS)
    saved = json.loads((tmp_path / "run" / "adapt.json").read_text())
    assert [name.split(",")[0] for name in saved["inside"]] == ["sites", "height", "height", "zone", "zone"]
    assert set(saved["outside"]) == {"elevation"}
    assert list(saved["inside"].values())[4]["metric"] == "accuracy"
    assert saved["similarity"][0]["places"] > 1000
    assert saved["similarity"][0]["to_km"] == 0
    assert set(saved["retrieval"]["sites"]) == {"recall_before", "recall_after", "error_before", "error_after"}
    loaded = Encoder.load(tmp_path / "run" / "model")
    np.testing.assert_array_equal(loaded.encode([[30.0, 0.0]]), found.encoder.encode([[30.0, 0.0]]))
    assert str(found) in loaded.card
    assert loaded.provenance["adapted"]["model"] == "base"
    (tmp_path / "run" / "adapt.json").unlink()  # as after a kill while the report was made
    again = adapt(base, own, BOX, labels=labels, out=tmp_path / "run", progress="none", **OPTIONS)
    assert again.numbers() == found.numbers()
    with pytest.raises(FinishedRunError):
        adapt(base, own, BOX, labels=labels, out=tmp_path / "run", progress="none", **OPTIONS)
    for name, old in saved["outside"].items():
        low, high = old["difference"][1:]
        assert low <= old["difference"][0] <= high, name


def test_scores_are_those_of_a_probe_by_hand(base, own, labels, quick):
    found = adapt(base, own, BOX, labels=labels, progress="none", adapt={"heads_steps": 4, "block_km": 700}, **FAST)
    method = adaptation.location_method(own, adaptation.load_config(None, [_layer(base)], "adapt"))
    split = method.parts_of(labels[0].lonlat)
    train, held = split == "train", split == "validation"
    vectors = method.base.encode(labels[0].lonlat).astype(float)
    folds = adaptation.block_folds(labels[0].lonlat[train], 20, 700, 0)
    probe = fit_ridges(RidgeDecomposition(vectors[train]), [ProbeTarget("regression", labels[0].target[train])], folds)
    wanted, got = labels[0].target[held], predict_ridges(probe, vectors[held])[0]
    by_hand = 1 - ((wanted - got) ** 2).sum() / ((wanted - wanted.mean()) ** 2).sum()
    old = [one for one in found.inside if (one.task[:6], one.encoder) == ("height", OLD)]
    assert [(one.labels, one.seed) for one in old] == [(train.sum(), 0), *((300, seed) for seed in range(5))]
    outcome = old[0]
    assert outcome.value == pytest.approx(by_hand)
    assert len(outcome.blocks) == len(np.unique(adaptation.block_id(labels[0].lonlat[held], 700)))


def _layer(base):
    return {"adapt": {"model": str(base), "region": " ".join(map(str, BOX)), "block_km": 700}}


def test_an_encoder_compared_with_itself_has_no_difference(base, own, labels, quick):
    method = adaptation.location_method(own, adaptation.load_config(None, [_layer(base)], "adapt"))
    method.build(adaptation.torch.device("cpu"))
    found = judge(method, method.base, labels)
    for name in {one.task for one in found.inside}:
        one, other = ([out.value for out in found.inside if (out.task, out.encoder) == (name, e)] for e in (OLD, NEW))
        assert one == other
    assert all(row["median"] == pytest.approx(1) for row in found.similarity)
    assert found.retrieval == {}


def test_too_few_rows_are_said_and_labels_elsewhere_refused(base, own, labels, quick):
    few = {"sites": own["sites"].rows(np.arange(12)), "more": own["sites"]}
    method = adaptation.location_method(few, adaptation.load_config(None, [_layer(base)], "adapt"))
    method.build(adaptation.torch.device("cpu"))
    assert "sites" in judge(method, method.base).notes[0]
    elsewhere = Task("far", "regression", labels[0].lonlat + np.array([90, 0]), labels[0].target)
    with pytest.raises(ValueError, match=r"'far' is known at 0 places in"):
        adapt(base, own, BOX, labels=[elsewhere], progress="none", adapt={"heads_steps": 4}, **FAST)
