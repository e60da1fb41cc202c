"""Mirrors src/geotether/cli/paired.py, predict.py and pretrain.py."""

import subprocess
import sys

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest
import yaml
from typer.testing import CliRunner

from geotether.cli.app import app
from geotether.cli.paired import METHODS_HELP, compare
from geotether.cli.predict import predict, write_predictions
from geotether.predict import Prediction
from geotether.studies.paired import METHOD_NAMES
from geotether.tables.store import write_table


@pytest.fixture
def config(make_fields, small_pairing, tmp_path):
    write_table(make_fields(), tmp_path / "fields.npz")
    layer = {key: yaml.safe_load(value) for key, value in (line.split("=", 1) for line in small_pairing)}
    encoder = {"name": "tempcnn", "channels": 8, "num_layers": 1, "kernel": 3}
    layer |= {"encoders": {"radar": encoder, "optical": encoder}, "target": "crop", "paired": "fields.npz"}
    (tmp_path / "fields.yaml").write_text(yaml.safe_dump(layer))
    return tmp_path / "fields.yaml"


def test_train_and_predict_from_one_sensor(config, make_fields, tmp_path):
    runner = CliRunner()
    trained = runner.invoke(app, ["paired", "train", str(config), "--out", str(tmp_path / "run")])
    assert trained.exit_code == 0, trained.output
    assert "predicts crop (classes) from any of radar, optical" in trained.output
    assert (tmp_path / "run" / "losses.png").stat().st_size > 5000
    again = ["paired", "train", str(config), "--out", str(tmp_path / "run")]
    assert "it is finished" in runner.invoke(app, again).output
    refused = runner.invoke(app, [*again, "--set", "seed=7"])
    assert isinstance(refused.exception, FileExistsError)
    assert runner.invoke(app, [*again, "--set", "seed=7", "--fresh"]).exit_code == 0
    assert runner.invoke(app, [*again, "--fresh"]).exit_code == 0
    out = tmp_path / "p.parquet"
    model = str(tmp_path / "run" / "model")
    said = runner.invoke(
        app, ["predict", model, str(config), "--modality", "optical", "--split", "test", "--out", str(out)]
    )
    assert said.exit_code == 0, said.output
    table = make_fields()
    test = table.rows(np.flatnonzero(table.split == "test"))
    there = test.modality("optical").present
    rows = pyarrow.parquet.read_table(out).to_pydict()
    assert rows["id"] == test.id[there].tolist()
    np.testing.assert_array_equal(rows["lon"], test.lonlat[there, 0])
    total = sum(np.array(rows[f"probability {name}"]) for name in ("maize", "rye", "wheat"))
    np.testing.assert_allclose(total, 1)
    truth = np.array(test.target("crop").names)[test.target("crop").values[there]]
    known = test.target("crop").known[there]
    assert set(rows["split"]) == {"test"}
    assert rows["known crop"] == [name if there else None for name, there in zip(truth, known, strict=True)]
    accuracy = (truth == np.array(rows["prediction"]))[known].mean()
    assert f"On {known.sum()} rows with crop: accuracy {accuracy:.3f}" in " ".join(said.output.split())
    whole = predict(tmp_path / "run" / "model", tmp_path / "fields.npz", tmp_path / "p.csv", "radar")
    assert whole.startswith("120 predictions are in")
    assert pyarrow.csv.read_csv(tmp_path / "p.csv").num_rows == 120


@pytest.mark.parametrize("target", ["flags", "yield"])
def test_predictions_include_the_known_values(make_fields, tmp_path, target):
    rows = make_fields()
    names, known = rows.target(target).names, rows.target(target).known
    scores = np.full((len(rows), len(names)), 0.5) if target == "flags" else np.full(len(rows), 5.0)
    found = Prediction("labels" if target == "flags" else "numbers", names, scores)
    write_predictions(tmp_path / "p.parquet", rows, found, target)
    written = pyarrow.parquet.read_table(tmp_path / "p.parquet").to_pydict()
    assert written["split"] == rows.split.tolist()
    column = written["known high" if target == "flags" else "known yield"]
    values = rows.target(target).values[:, 1] if target == "flags" else rows.target(target).values
    assert column == [value if there else None for value, there in zip(values, known, strict=True)]
    write_predictions(tmp_path / "q.parquet", make_fields(split=False), found, "other")
    assert not {"split", "known other"} & set(pyarrow.parquet.read_table(tmp_path / "q.parquet").column_names)


def test_rows_and_sensors_that_cannot_be_predicted(config, tmp_path):
    from geotether.training.pretraining import pretrain

    pretrain(config=config, out=tmp_path / "run", progress="none")
    (tmp_path / "bare.yaml").write_text("target: crop\n")
    for source, out, modality, message in (
        (config, "p.txt", "radar", r"\.parquet or \.csv, got p.txt"),
        (config, "p.csv", "sonar", "'sonar'"),
        (config, "p.csv", None, "predicts from single sensors: radar, optical"),
        (tmp_path / "bare.yaml", "p.csv", "radar", "where the samples are"),
    ):
        with pytest.raises(ValueError, match=message):
            predict(tmp_path / "run" / "model", source, tmp_path / out, modality)


def test_compare_writes_a_report(config, tmp_path):
    said = compare(config, tmp_path / "study", ["linear", "mdico"], ["steps=2"], folds=3, seeds=2, fine_tune=False)
    assert "Mean accuracy of 3 folds, each trained 2 times and averaged" in said
    assert "Nadeau & Bengio" in said
    assert "| mdico (direct) minus | judged by | radar | optical |" in said
    with pytest.raises(ValueError, match="percent of the training labels, above 0 up to 100, got 500"):
        compare(config, tmp_path / "study", labels=[500.0])
    with pytest.raises(ValueError, match="give target=NAME"):
        compare(config, tmp_path / "s", None, ["method=ties", "ties.label=0", "target=null"])


def test_settings_are_chosen_on_folds_of_the_rows_that_are_not_tested(config, tmp_path):
    folder = tmp_path / "study"
    alike = {"method": ["linear"], "without_test": True, "fine_tune": False}
    said = compare(config, folder, folds=3, **alike)
    assert "Mean accuracy of 3 folds" in said
    with pytest.raises(ValueError, match="give --folds 5 too"):
        compare(config, folder, **alike)


def test_drawing_and_evaluation_are_not_imported_before_training():
    code = (
        "import sys, geotether.training.pretraining, geotether.predict, geotether.pairing.open\n"
        "print({'matplotlib', 'geotether.studies'} & set(sys.modules))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "set()"


def test_help_names_all_methods():
    named = METHODS_HELP.removeprefix("One of: ").split(". ")[0]
    assert sorted(named.split("; ")) == sorted(METHOD_NAMES)
