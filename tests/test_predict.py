"""Mirrors src/geotether/predict.py and src/geotether/checkpoint/model.py."""

import json

import numpy as np
import pytest
import torch

from geotether.cli.describe import describe_model
from geotether.encoder import Encoder
from geotether.loading import load
from geotether.predict import load_paired
from geotether.training.config import load_config
from geotether.training.pretraining import pretrain
from geotether.training.state import FinishedRunError


@pytest.fixture
def folder(make_fields, small_pairing, tmp_path):
    config = load_config(overrides=["target=crop", *small_pairing])
    pretrain(make_fields(), config=config, out=tmp_path / "run", progress="none")
    return tmp_path / "run" / "model"


def test_predictions_are_those_of_the_network(folder, make_fields):
    model, radar = load_paired(folder), make_fields().modality("radar").values
    found = model.predict("radar", radar)
    with torch.no_grad():
        expected = model.module.predict("radar", torch.tensor(radar)).double().softmax(1).numpy()
    np.testing.assert_allclose(found.scores, expected, atol=1e-6)
    assert found.best.tolist() == [found.names[at] for at in expected.argmax(1)]
    assert repr(model) == "PairedModel(radar, optical; predicts crop (classes) from any of radar, optical)"


def test_predictions_of_a_table_carry_the_ids_and_places_of_the_rows_that_have_the_sensor(folder, make_fields):
    model, table = load_paired(folder), make_fields()
    present = np.flatnonzero(table.modality("optical").present)
    assert len(present) == 119
    found = model.predict("optical", table)
    assert found.id.tolist() == table.id[present].tolist()
    np.testing.assert_array_equal(found.lonlat, table.lonlat[present])
    np.testing.assert_allclose(
        found.scores, model.predict("optical", table.modality("optical").values[present]).scores, atol=1e-6
    )
    lacking = table.rows(np.setdiff1d(np.arange(120), present))
    with pytest.raises(ValueError, match="None of 1 rows has optical"):
        model.predict("optical", lacking)


def test_values_of_any_number_type_give_the_same_and_others_are_errors(folder, make_fields):
    model, radar = load_paired(folder), make_fields().modality("radar").values[:9].copy()
    radar[3, 2:] = np.nan
    want = model.predict("radar", radar).scores
    for given in (torch.tensor(radar, requires_grad=True), torch.tensor(radar).double(), radar.astype(np.float64)):
        np.testing.assert_allclose(model.predict("radar", given).scores, want, atol=1e-6)
    masked, dates = np.ma.masked_invalid(radar), np.full(radar.shape, "2020-01-01", "datetime64[D]")
    for wrong in (masked, dates, radar.astype(str), radar.astype(complex)):
        with pytest.raises(TypeError, match=r"values of radar (must be numbers|is a masked array)"):
            model.predict("radar", wrong)


def test_it_is_described(folder):
    said = describe_model(folder)
    assert "A model of paired sensors, method mdico: radar, optical." in said
    assert "radar: series of 6 steps x 2 bands; tempcnn (channels 8" in said
    assert "crop: 3 classes (maize, rye, wheat)" in said
    assert "predicts from        any one of radar, optical" in said
    assert "fields: 120 rows (24 test, 72 train, 24 validation); 120 with radar, 119 with optical" in said
    assert "12 steps, seed 0" in said


@pytest.mark.parametrize(
    ("overrides", "target", "needs"),
    [
        (["target=flags", "method=fused"], "flags: 4 labels (low, high, odd, late)", "all of its sensors at once"),
        (["target=yield", "method=single", "modality=radar"], "yield: a number (yield (t/ha))", "radar"),
        (["method=ties", "ties.label=0", "target=null"], "target               none", None),
    ],
)
def test_the_requirements_are_described(make_fields, small_pairing, tmp_path, overrides, target, needs):
    config = load_config(overrides=[*small_pairing, *overrides])
    pretrain(make_fields(), config=config, out=tmp_path / "run", progress="none")
    said = describe_model(tmp_path / "run" / "model")
    assert target in said
    if needs:
        assert f"predicts from        {needs}\n" in said


def test_rows_do_not_depend_on_each_other_and_no_rows_give_none(folder, make_fields):
    model, radar = load_paired(folder), make_fields(1100).modality("radar").values
    whole = model.predict("radar", radar).scores
    np.testing.assert_allclose(model.predict("radar", radar[700:703]).scores, whole[700:703], atol=1e-5)
    assert model.predict("radar", radar[:0]).scores.shape == (0, 3)
    assert model.embed("radar", radar[:0]).shape == (0, 16)
    assert model.embed("optical", make_fields().modality("optical").values).shape == (120, 16)


def test_a_shorter_series_is_cut_where_it_ends(folder, make_fields):
    model, radar = load_paired(folder), make_fields().modality("radar").values.copy()
    radar[:, 4:] = np.nan
    np.testing.assert_allclose(
        model.predict("radar", radar[:, :4]).scores, model.predict("radar", radar).scores, atol=1e-6
    )


@pytest.mark.parametrize(
    ("modality", "shape", "message"),
    [
        ("sonar", (3, 6, 2), r"cannot predict from 'sonar'; .*radar, optical"),
        ("radar", (3, 6, 5), r"5 bands|2 bands"),
        ("radar", (3, 9, 2), r"9 .*6|6 .*9"),
        ("radar", (3, 6), "shape"),
    ],
)
def test_inputs_that_do_not_fit_are_reported(folder, modality, shape, message):
    with pytest.raises(ValueError, match=message):
        load_paired(folder).predict(modality, np.zeros(shape))


def test_a_model_of_single_sensors_takes_no_fusion(folder, make_fields):
    whole = {name: sensor.values for name, sensor in make_fields().modalities.items()}
    with pytest.raises(ValueError, match="predicts from single sensors: radar, optical"):
        load_paired(folder).predict_fused(whole)


def test_numbers_come_in_their_own_unit(make_fields, small_pairing, tmp_path):
    config = load_config(overrides=["target=yield", *small_pairing, "steps=60"])
    pretrain(make_fields(300), config=config, out=tmp_path, progress="none")
    found = load_paired(tmp_path / "model").predict("optical", make_fields(300).modality("optical").values[:50])
    assert found.kind == "numbers"
    assert 5.5 < found.scores.mean() < 8.5  # yields are 5, 7 and 9
    assert found.best is found.scores


def test_a_folder_of_another_kind_is_named(folder, tmp_path):
    from geotether.encoders.build import build_location_encoder

    encoder = build_location_encoder({"positional": {"name": "cartesian"}, "network": {"name": "linear"}}, seed=0)
    Encoder(encoder).save(tmp_path / "places")
    with pytest.raises(ValueError, match="is a location encoder, not a model of paired sensors"):
        load_paired(tmp_path / "places")
    with pytest.raises(ValueError, match="has no location encoder"):
        Encoder.load(folder)
    with pytest.raises(ValueError, match="computes on a CPU; leave out device='cuda'"):
        load(folder, "cuda")


def test_a_changed_description_is_noticed(folder):
    about = json.loads((folder / "config.json").read_text())
    about["paired"]["settings"]["dim"] = 32
    (folder / "config.json").write_text(json.dumps(about))
    with pytest.raises(ValueError, match="was edited or is damaged"):
        load_paired(folder)
    del about["config_sha256"]  # as in a folder of an older version
    (folder / "config.json").write_text(json.dumps(about))
    with pytest.raises(ValueError, match="does not fit"):
        load_paired(folder)
    about["paired"]["module"] = "os.system"
    (folder / "config.json").write_text(json.dumps(about))
    with pytest.raises(
        ValueError, match=r"unknown module 'os\.system'; known: CoLearner, SensorClassifier, TiedSensors"
    ):
        load_paired(folder)


def test_fine_tuning_starts_from_the_encoders(make_fields, small_pairing, tmp_path):
    from geotether.training.colearning import SupervisedMethod

    table = make_fields()
    tied = load_config(overrides=["target=crop", *small_pairing], recipe="mosaic")
    pretrain(table, config=tied, out=tmp_path, progress="none")
    overrides = ["target=crop", *small_pairing, f"start_from={tmp_path / 'model'}"]
    model = SupervisedMethod(load_config(overrides=overrides, recipe="fused"), table).build(torch.device("cpu"))
    trained = load_paired(tmp_path / "model").module
    for name, weights in trained.encoders.state_dict().items():
        assert torch.equal(weights, model.encoders.state_dict()[name]), name
    config = load_config(overrides=overrides, recipe="fused")
    pretrain(table, config=config, out=tmp_path / "tuned", progress="none")
    with pytest.raises(FinishedRunError):
        pretrain(table, config=config, out=tmp_path / "tuned", progress="none")
    pretrain(table, config=tied.model_copy(update={"seed": 5}), out=tmp_path, fresh=True, progress="none")
    with pytest.raises(FileExistsError, match="start_from_sha256: the run had"):  # the weights begun with are others
        pretrain(table, config=config, out=tmp_path / "tuned", progress="none")
    narrow = "encoders.radar={name: tempcnn, channels: 4, num_layers: 1, kernel: 3}"
    course = SupervisedMethod(load_config(overrides=[*overrides, narrow], recipe="fused"), table)
    with pytest.raises(ValueError, match=r"was trained as .* but should be tuned as"):
        course.build(torch.device("cpu"))
