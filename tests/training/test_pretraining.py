"""Mirrors src/geotether/training/pretraining.py."""

import json
import signal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from geotether.encoder import Encoder
from geotether.loading import load
from geotether.predict import load_paired
from geotether.probes.scores import paired_scores
from geotether.tables.store import write_table
from geotether.tables.table import Table
from geotether.training.colearning import ColearningMethod, DistilledMethod, SupervisedMethod
from geotether.training.config import load_config
from geotether.training.metrics import read_metrics
from geotether.training.paired_method import labelled_rows
from geotether.training.pretraining import PAIRED_METHODS, open_tables, pretrain, table_folder, trained_tables
from geotether.training.state import RunInterrupted


@pytest.fixture
def configure(small_pairing):
    def make(recipe="mdico", *overrides):
        return load_config(overrides=["target=crop", *small_pairing, *overrides], recipe=recipe)

    return make


@pytest.mark.parametrize("target", ["crop", "flags", "yield"])
def test_a_co_learned_target_is_predicted_from_any_single_sensor(make_fields, configure, tmp_path, target):
    table = make_fields(300)
    pretrain(table, config=configure("mdico", f"target={target}", "steps=60"), out=tmp_path, progress="none")
    model = load_paired(tmp_path / "model")
    assert model.predicts_from == ("radar", "optical")
    test = table.rows(np.flatnonzero(table.split == "test"))
    kind = table.target(target).kind
    for name in model.predicts_from:
        rows = np.flatnonzero(test.target(target).known & test.modality(name).present)
        found = model.predict(name, test.modality(name).values[rows]).scores
        scores = paired_scores(kind, test.target(target).values[rows], found)
        assert scores[{"classes": "accuracy", "labels": "macro mAP", "numbers": "R2"}[kind]] > 0.5


@pytest.mark.parametrize("recipe", ["mdico", "mosaic"])
def test_an_interrupted_and_resumed_run_is_identical(make_fields, configure, tmp_path, default_sigint, recipe):
    table, config = make_fields(), configure(recipe, "augment=true", "keep=best")
    whole = pretrain(table, config=config, progress="none").module.state_dict()
    stop = SimpleNamespace(on_step=lambda step, values: signal.raise_signal(signal.SIGINT) if step == 7 else None)
    with pytest.raises(RunInterrupted):
        pretrain(table, config=config, out=tmp_path, progress="none", callbacks=[stop])
    resumed = pretrain(table, config=config, out=tmp_path, resume=True, progress="none").module.state_dict()
    assert all(torch.equal(weights, resumed[name]) for name, weights in whole.items())


def test_test_rows_are_never_looked_at(make_fields, configure):
    """Whatever the test rows hold, the model is the same."""
    table, other = make_fields(), make_fields()
    test = table.split == "test"
    for sensor in other.modalities.values():
        sensor.values[test] = 1e6
    other.target("crop").values[test] = 0
    for recipe in ("mdico", "mosaic", "fused"):
        config = configure(recipe, "keep=best")
        one, two = pretrain(table, config=config, progress="none"), pretrain(other, config=config, progress="none")
        for name, weights in one.module.state_dict().items():
            assert torch.equal(weights, two.module.state_dict()[name]), name


def test_every_term_is_in_the_metrics_and_can_be_switched_off(make_fields, configure, tmp_path):
    pretrain(make_fields(), config=configure(), out=tmp_path / "all", progress="none")
    line = read_metrics(tmp_path / "all")[0]
    terms = {key.removeprefix("loss/") for key in line if key.startswith("loss/")}
    assert terms == {"task", "auxiliary", "contrast", "discrimination"}
    assert line["loss"] == pytest.approx(sum(line[f"loss/{term}"] for term in terms), rel=1e-5)
    for term in terms - {"task"}:
        pretrain(make_fields(), config=configure("mdico", f"colearning.{term}=0"), out=tmp_path / term, progress="none")
        assert f"loss/{term}" not in read_metrics(tmp_path / term)[0]


def test_learned_weights_of_terms_are_not_saved(make_fields, configure, tmp_path):
    pretrain(make_fields(), config=configure("mdico", "colearning.weighting=corrected"), out=tmp_path, progress="none")
    assert load_paired(tmp_path / "model").predicts_from == ("radar", "optical")
    assert not [name for name in load_paired(tmp_path / "model").module.state_dict() if "variance" in name]


def test_wirings_differ_in_what_reaches_the_unused_part(make_fields, configure):
    """The figure's wiring teaches the unused part by discrimination alone, the released code's not at all."""
    table = make_fields()
    for wiring, terms, reached in (
        ("figure", {}, True),
        ("figure", {"discrimination": 0}, False),
        ("code", {}, False),
    ):
        overrides = [f"colearning.wiring={wiring}", *(f"colearning.{key}={value}" for key, value in terms.items())]
        course = ColearningMethod(configure("mdico", *overrides), table)
        model = course.build(torch.device("cpu"))
        course.losses(model, 0)[0].backward()
        half = model.dim // 2
        gradient = model.unique["radar"].network.output.weight.grad
        assert (gradient[half:].abs().sum() > 0) == reached
        assert gradient[:half].abs().sum() > 0


def test_a_distilled_student_learns_from_its_teacher_without_labels(make_fields, configure):
    """With all weight on the teacher, the student answers as the teacher does more than as an untaught one."""
    table = make_fields(300, gaps=False)
    config = configure("distilled", "modality=radar", "distillation.weight=1", "steps=150", "validate_every=null",
                       "keep=last", "patience=null")  # fmt: skip
    course = DistilledMethod(config, table)
    model = course.build(torch.device("cpu"))
    assert not any(weight.requires_grad for weight in course.teacher.parameters())
    loss, parts = course.losses(model, 0)
    assert loss.item() == pytest.approx(parts["loss/distillation"].item())
    trained = pretrain(table, config=config, progress="none")
    test = table.rows(np.flatnonzero(table.split == "test"))
    with torch.no_grad():
        taught = trained.module({"radar": torch.tensor(test.modality("radar").values)}).argmax(1)
        teacher = course.teacher({n: torch.tensor(s.values) for n, s in test.modalities.items()}).argmax(1)
    assert (taught == teacher).float().mean() > 0.6


def test_a_fused_model_takes_only_rows_with_all_sensors(make_fields, configure, tmp_path):
    table = make_fields()
    course = SupervisedMethod(configure("fused"), table)
    course.prepare(torch.device("cpu"))
    assert all(sensor.present.all() for sensor in course.training.modalities.values())
    pretrain(table, config=configure("fused"), out=tmp_path, progress="none")
    model = load_paired(tmp_path / "model")
    assert model.predicts_from == ()
    with pytest.raises(ValueError, match="needs all its sensors at once"):
        model.predict("radar", table.modality("radar").values)
    whole = {name: sensor.values[:3] for name, sensor in table.modalities.items()}
    np.testing.assert_allclose(model.predict_fused(whole).scores.sum(1), 1, rtol=1e-6)


def test_the_card_says_what_the_model_does(make_fields, configure, tmp_path):
    pretrain(make_fields(), config=configure(), out=tmp_path, progress="none")
    card = (tmp_path / "model" / "README.md").read_text()
    assert "Predicts `crop` (classes: maize, rye, wheat) from any one of radar, optical." in card
    assert 'model.predict("radar", values)  # values of shape (n, 6, 2)' in card


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["modalities=[radar, sonar]"], "has no modality 'sonar'"),
        (["target=crops"], "has no target 'crops'.*Did you mean 'crop'"),
        (["encoders={optical: {name: resnet}}"], "'resnet' does not take a series"),
        (["encoders={sonar: {name: tempcnn}}"], "has no modality 'sonar'"),
        (["modalities=[radar]", "encoders={optical: {name: tempcnn}}"], "Co-learning needs two modalities"),
        (["modalities=[radar]", "encoders={}"], "Co-learning needs two modalities or more, got radar"),
    ],
)
def test_wrong_input_is_named(make_fields, small_pairing, overrides, message):
    given = (
        [*small_pairing, "target=crop", *overrides] if "encoders" not in overrides[-1] else ["target=crop", *overrides]
    )
    with pytest.raises(ValueError, match=message):
        pretrain(make_fields(), config=load_config(overrides=given), progress="none")


def test_no_validation_rows_and_early_stopping_do_not_go_together(make_fields, configure):
    with pytest.raises(ValueError, match="keep=last"):
        pretrain(make_fields(split=False), config=configure(), progress="none")


def test_supervised_batches_hold_only_the_rows_whose_labels_may_be_seen(make_fields, small_pairing):
    """The same rows as a probe gets, though one row lacks a sensor."""
    table = make_fields(200)
    training = table.part("train")
    drawn = labelled_rows(training.target("crop"), 0.2, seed=0)
    whole = np.flatnonzero(training.modality("optical").present)
    wanted = {"fused": np.intersect1d(drawn, whole), "mdico": np.arange(len(training)), "distilled": whole}
    for recipe, rows in wanted.items():
        overrides = ["target=crop", *small_pairing, "labels=0.2"]
        overrides += ["modality=radar"] if recipe == "distilled" else []
        course = PAIRED_METHODS[recipe](load_config(overrides=overrides, recipe=recipe), table)
        course.build(torch.device("cpu"))
        assert course.training.id.tolist() == training.id[rows].tolist()
        seen = training.id[rows][(course.targets >= 0).numpy()]
        assert set(seen) == set(training.id[np.intersect1d(drawn, rows)])


@pytest.fixture
def raw(tmp_path):
    """A folder with a CSV of wells, a ready table, and a configuration that names both."""
    rng = np.random.default_rng(0)
    lonlat = np.stack([rng.uniform(-180, 180, 200), np.degrees(np.arcsin(rng.uniform(-1, 1, 200)))], axis=1)
    rows = [f"{lon:.4f},{lat:.4f},{abs(lat):.3f},{'salty' if lon > 0 else 'fresh'}" for lon, lat in lonlat]
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "wells.csv").write_text("\n".join(["lon,lat,depth,kind", *rows]))
    write_table(Table.single("ready", lonlat, rng.standard_normal((200, 3))), tmp_path / "ready.parquet")
    (tmp_path / "run.yaml").write_text(
        "data: raw\ncache: kept\nsteps: 2\nbatch_size: 32\nvalidate_every: null\ntables:\n  ready: ready.parquet\n"
        "  wells: {path: wells.csv, licence: CC0, origin: Well Survey, url: 'https://example.org/wells', split: null}\n"
    )
    return tmp_path


def test_ready_tables_are_read_and_others_built(raw):
    config = load_config(raw / "run.yaml")
    tables = open_tables(config, workers=1, progress="none")
    assert list(tables) == ["ready", "wells"]
    assert len(tables["wells"]) == 200
    assert tables["wells"].origin.licence == "CC0"
    assert (table_folder(config, "wells") / "wells.parquet").is_file()
    assert table_folder(config, "wells").parent == raw / "kept"


def test_the_tables_of_a_model_are_found_again(raw):
    made = pretrain(config=raw / "run.yaml", out=raw / "out", progress="none")
    assert list(trained_tables(made)) == ["ready", "wells"]
    loaded = load(raw / "out" / "model")
    assert (loaded.tables, str(raw) in json.dumps(loaded.provenance)) == ({}, False)
    found = trained_tables(loaded)
    assert {name: table.content_hash for name, table in found.items()} == {
        name: facts["sha256"] for name, facts in loaded.provenance["tables"].items()
    }
    assert loaded.provenance["tables"]["wells"]["features"] == ["depth", "kind=salty", "kind=fresh"]
    write_table(Table.single("ready", found["ready"].lonlat, found["ready"].features + 1), raw / "ready.parquet")
    (raw / "out" / "config.yaml").write_text("plugins: [evil.py]\n" + (raw / "out" / "config.yaml").read_text())
    assert list(trained_tables(loaded)) == ["wells"]
    assert trained_tables(Encoder(loaded.module)) == {}


def test_nothing_is_built_a_second_time(raw):
    config = load_config(raw / "run.yaml")
    open_tables(config, workers=1, progress="none")
    built = table_folder(config, "wells") / "wells.parquet"
    before = built.stat().st_mtime_ns
    open_tables(config, workers=1, progress="none")
    assert built.stat().st_mtime_ns == before
    (raw / "raw" / "wells.csv").write_text((raw / "raw" / "wells.csv").read_text() + "\n1.0,2.0,3.0,fresh")
    assert len(open_tables(config, workers=1, progress="none")["wells"]) == 201


def test_other_specifications_do_not_overwrite_each_other(raw):
    config = load_config(raw / "run.yaml")
    other = load_config(raw / "run.yaml", ["tables.wells.features={name: columns, max_levels: 3}"])
    assert table_folder(config, "wells") != table_folder(other, "wells")


def test_paths_and_removed_tables(raw, monkeypatch):
    assert list(load_config(raw / "run.yaml", ["tables.wells=null"]).tables) == ["ready"]
    (raw / "plain.yaml").write_text("tables: {wells: {path: raw/wells.csv}}")
    assert load_config(raw / "plain.yaml").data == raw
    monkeypatch.chdir(raw / "raw")
    assert load_config(raw / "run.yaml", ["data=."]).data == raw / "raw"
    assert len(pretrain({"wells": {"path": "wells.csv"}}, steps=1, cache=str(raw / "kept")).history) == 1


def test_tables_of_a_configuration_are_accepted(raw):
    """Paths and specifications as `config.tables` holds them, beside the configuration itself."""
    config = load_config(raw / "run.yaml")
    made = pretrain(config.tables, config=config, progress="none")
    assert made.modalities == ("ready", "wells")


def test_licences_reach_provenance_and_card(raw):
    config = load_config(raw / "run.yaml")
    pretrain(open_tables(config, workers=1, progress="none"), config=config, out=raw / "out", progress="none")
    facts = json.loads((raw / "out" / "model" / "provenance.json").read_text())["tables"]
    assert facts["wells"]["origin"]["licence"] == "CC0"
    assert facts["wells"]["origin"]["made"]["specification"]["path"] == "wells.csv"
    assert "origin" not in facts["ready"]
    card = (raw / "out" / "model" / "README.md").read_text()
    assert "| wells | CC0 | [Well Survey](https://example.org/wells) |  |" in card
    assert "Not stated for ready." in card
    assert str(raw) not in card


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("tables.wells.path=nothing.csv", "Modality 'wells'.*nothing.csv"),
        ("tables.wells.sourc=columns", "Modality 'wells'.*'sourc'.*Did you mean 'source'"),
        ("tables.ready=absent.parquet", "Modality 'ready'.*absent.parquet"),
    ],
)
def test_an_error_names_the_modality(raw, override, message):
    config = load_config(raw / "run.yaml", [override])
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        open_tables(config, workers=1, progress="none")


@pytest.mark.parametrize("columns", [{"id": ["a"] * 3}, {"split": ["train", "test", "somewhere"]}])
def test_a_fault_in_a_table_names_its_file(tmp_path, columns):
    values = {"lon": [1.0, 2.0, 3.0], "lat": [1.0, 2.0, 3.0], "features": [[1.0], [2.0], [3.0]]}
    pq.write_table(pa.table(values | columns), tmp_path / "birds.parquet")
    with pytest.raises(ValueError, match=rf"Modality 'colour'.*{tmp_path}/birds\.parquet"):
        open_tables(load_config(overrides=[f"tables.colour={tmp_path}/birds.parquet"]))


def test_a_file_of_rows_named_as_a_table_is_told_from_a_damaged_one(tmp_path):
    (tmp_path / "towns.csv").write_text("lon,lat,height\n5.66,51.97,10\n")
    with pytest.raises(ValueError, match=r"'towns'.*towns: \{path: .*towns\.csv\}.*geotether table build .*towns\.csv"):
        open_tables(load_config(overrides=[f"tables.towns={tmp_path}/towns.csv"]))


def test_a_specification_without_a_path_is_refused_at_once(raw):
    with pytest.raises(ValueError, match=r"tables: mine: A table's specification needs `path`.*it has licence"):
        load_config(raw / "run.yaml", ["tables.mine={licence: CC0}"])


WORLD = Path(__file__).parents[2] / "recipes" / "world.yaml"


def test_the_world_recipe_goes_from_raw_files_to_a_model(shared_data, tmp_path):
    """The quickest of its nine modalities, for two steps of a small network without rasters.

    docs/results.md has the whole.
    """
    large = ("satellite", "night_lights", "text", "places", "birds", "languages", "fossils")
    without = [f"tables.{name}=null" for name in large]
    without += ["context.rasters=null", "encoder.positional.l_max=8", "encoder.network.hidden_dim=64"]
    settings = [f"data={shared_data}", f"cache={tmp_path}", "steps=2", "batch_size=64", "validate_every=null", *without]
    config = load_config(WORLD, settings)
    tables = open_tables(config, workers=1, progress="none")
    assert set(tables) == {"climate", "mammals"}
    pretrain(tables, config=config, out=tmp_path / "run", progress="none")
    card = (tmp_path / "run" / "model" / "README.md").read_text()
    assert "CC BY 4.0" in card
    assert not any("lat" in name.split("_") for name in tables["mammals"].origin.made["features"])


def test_the_world_recipe_names_a_licence_for_each_modality_and_raster():
    config = load_config(WORLD)
    tables, rasters = config.tables, config.context.rasters
    assert (len(tables), len(rasters)) == (9, 2)
    assert all(one.licence and one.origin for one in [*rasters.values(), config.context.land])
    assert all(isinstance(given, dict) and given["licence"] and given["origin"] for given in tables.values())
