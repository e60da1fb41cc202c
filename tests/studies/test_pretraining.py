"""Mirrors src/geotether/studies/pretraining.py."""

import json
import signal

import numpy as np
import pytest

from geotether.studies import pretraining
from geotether.studies.pretraining import pretrain_variant, steps_of, variant_config
from geotether.tables.table import Table
from geotether.training import loop
from geotether.training.metrics import read_metrics
from geotether.training.state import RunInterrupted


@pytest.fixture
def counted(monkeypatch):
    """Count the steps that are really done, whatever is resumed or found."""
    steps = []
    seeded = loop.seed_step
    monkeypatch.setattr(loop, "seed_step", lambda seed, step, *rest: (steps.append(step), seeded(seed, step, *rest))[1])
    return steps


def test_all_variants_take_equal_steps_and_keep_their_rows(config, tables, tmp_path):
    rows, steps = {}, {}
    for names in (("image", "text", "sound"), ("image", "sound"), ("text",)):
        made = variant_config(config("batch_size=50"), tables, names, steps=3, equal="rows")
        run = pretrain_variant(made, tables, names, 0, tmp_path)
        steps[names] = len(read_metrics(run.folder))
        rows[names] = made.batch_size
    assert set(steps.values()) == {3}
    # 50 rows among three are 17, 17 and 16.
    assert rows == {("image", "text", "sound"): 50, ("image", "sound"): 33, ("text",): 17}


def test_equal_batches_leave_the_batch_as_it_is(config, tables):
    for names in (("image", "text", "sound"), ("text",)):
        assert variant_config(config(), tables, names, 3, "batch").batch_size == 48
    salt = variant_config(config("schedule={name: salt}"), tables, ("text",), 3, "batch")
    assert salt.batch_size == 48


@pytest.mark.parametrize(
    ("overrides", "equal", "message"),
    [
        ([], "epochs", "Unknown choice 'epochs'"),
        (["schedule={name: salt}"], "rows", "choose batch"),
        (["schedule={name: pairwise, modality: text}"], "batch", "takes melt or salt"),
    ],
)
def test_settings_that_prevent_equal_budgets_are_reported(config, tables, overrides, equal, message):
    with pytest.raises(ValueError, match=message):
        variant_config(config(*overrides), tables, ("text",), 3, equal)


def test_the_budget_is_divided_equally(config, tables):
    assert steps_of(config(), tables, runs=7, budget=7 * 33 + 6) == 33
    assert steps_of(config(), tables, runs=7) == 24
    # 270 rows in batches of 48: 5 steps an epoch.
    assert steps_of(config("steps=null", "epochs=4"), tables, runs=7) == 20
    with pytest.raises(ValueError, match=r"budget of 133 steps leaves 19 for each of 7 runs, fewer than 20.* 140 or"):
        steps_of(config(), tables, runs=7, budget=133)
    with pytest.raises(ValueError, match="fewer than 31"):
        steps_of(config("warmup_steps=30"), tables, runs=7, budget=210)
    assert steps_of(config("warmup_steps=30"), tables, runs=7, budget=217) == 31


def test_a_finished_run_is_found_and_not_repeated(config, tables, tmp_path, counted):
    names = ("image", "text")
    first = pretrain_variant(config(), tables, names, 0, tmp_path)
    weights = (first.model / "model.safetensors").read_bytes()
    assert pretrain_variant(config("save_every=7"), tables, names, 0, tmp_path) == first
    assert counted == list(range(24))
    assert (first.model / "model.safetensors").read_bytes() == weights
    record = json.loads((first.folder / "study.json").read_text())
    assert record["modalities"] == ["image", "text"]
    assert (record["code_hash"], record["data_hash"]) == (first.code_hash, first.data_hash)


def test_an_interrupted_run_continues_to_the_same_weights(config, tables, tmp_path, monkeypatch, counted):
    whole = pretrain_variant(config(), tables, ("text", "sound"), 1, tmp_path / "whole")
    counting = loop.seed_step

    def interrupt(seed, step, *rest):
        if step == 5:
            signal.raise_signal(signal.SIGINT)
        return counting(seed, step, *rest)

    counted.clear()
    monkeypatch.setattr(loop, "seed_step", interrupt)
    with pytest.raises(RunInterrupted, match="run the same command again"):
        pretrain_variant(config(), tables, ("text", "sound"), 1, tmp_path / "cut")
    monkeypatch.setattr(loop, "seed_step", counting)
    cut = pretrain_variant(config(), tables, ("text", "sound"), 1, tmp_path / "cut")
    assert counted == list(range(24))
    assert (cut.model / "model.safetensors").read_bytes() == (whole.model / "model.safetensors").read_bytes()


def test_results_of_other_settings_data_code_or_seeds_are_separate(config, tables, tmp_path, monkeypatch):
    quick = config("steps=2")
    names = ("image", "text")
    runs = [pretrain_variant(quick, tables, names, 0, tmp_path)]
    runs.append(pretrain_variant(quick, tables, names, 1, tmp_path))
    runs.append(pretrain_variant(config("steps=2", "learning_rate=3e-3"), tables, names, 0, tmp_path))
    moved = Table.single("text", tables["text"].lonlat + 1e-6, tables["text"].features)
    runs.append(pretrain_variant(quick, tables | {"text": moved}, names, 0, tmp_path))
    monkeypatch.setattr(pretraining, "code_hash", lambda module: "another code")
    runs.append(pretrain_variant(quick, tables, names, 0, tmp_path))
    assert len({run.folder for run in runs}) == 5
    assert all(run.model.is_dir() for run in runs)
    # What a run does not see does not count.
    other = Table.single("sound", tables["sound"].lonlat, np.square(tables["sound"].features))
    assert pretrain_variant(quick, tables | {"sound": other}, names, 0, tmp_path) == runs[-1]


def test_runs_of_other_code_are_found_on_request_and_never_trained_again(
    config, tables, tmp_path, monkeypatch, counted
):
    quick, names = config("steps=2"), ("image", "text")
    old = pretrain_variant(quick, tables, names, 0, tmp_path)
    monkeypatch.setattr(pretraining, "code_hash", lambda module: "later code")
    found = pretrain_variant(quick, tables, names, 0, tmp_path, trained_by=old.code_hash)
    assert found == old
    with pytest.raises(FileNotFoundError, match=r"no finished run of image, text \(seed 1\) by code"):
        pretrain_variant(quick, tables, names, 1, tmp_path, trained_by=old.code_hash)
    assert counted == [0, 1]
