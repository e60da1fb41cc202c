"""Mirrors src/geotether/training/sample_ties.py."""

import numpy as np
import pytest
import torch

from geotether.encoder import Encoder
from geotether.loading import load
from geotether.objectives.info_nce import info_nce
from geotether.predict import load_paired
from geotether.training.config import load_config
from geotether.training.metrics import read_metrics
from geotether.training.pretraining import pretrain
from geotether.training.sample_ties import TiesMethod, as_label_sets


@pytest.fixture
def configure(small_pairing):
    def make(*overrides, recipe="mosaic"):
        usual = small_pairing[1:] if "modalities=[radar]" in overrides else small_pairing  # the first names encoders
        return load_config(overrides=["target=crop", *usual, *overrides], recipe=recipe)

    return make


PLACES = ["ties.location=1", "location.positional.l_max=3", "location.network.hidden_dim=8",
          "location.readout=output"]  # fmt: skip


def test_all_four_ties_in_one_configuration_and_the_places_can_be_encoded(make_fields, configure, tmp_path):
    pretrain(make_fields(), config=configure(*PLACES), out=tmp_path, progress="none")
    line = read_metrics(tmp_path)[0]
    terms = {key.removeprefix("loss/"): value for key, value in line.items() if key.startswith("loss/")}
    assert set(terms) == {"view", "sample", "label", "location"}
    assert line["loss"] == pytest.approx(sum(terms.values()), rel=1e-5)
    encoder = load(tmp_path / "model")  # as any location encoder
    embedded = encoder.encode(lon=[5.66, -179.9], lat=[51.97, 80.0])
    paired = load_paired(tmp_path / "model")
    with torch.no_grad():
        expected = paired.module.location.handout(torch.tensor([[5.66, 51.97], [-179.9, 80.0]], dtype=torch.float64))
    np.testing.assert_allclose(embedded, expected.numpy(), rtol=1e-5, atol=1e-6)


def test_without_places_there_is_no_location_encoder(make_fields, configure, tmp_path):
    pretrain(make_fields(), config=configure(), out=tmp_path, progress="none")
    model = load(tmp_path / "model")
    with pytest.raises(ValueError, match="was not tied to places"):
        model.encode(lon=5.66, lat=51.97)
    with pytest.raises(ValueError, match="no location encoder"):
        Encoder.load(tmp_path / "model")
    assert repr(model) == "PairedModel(radar, optical; embeds each of them, predicts nothing)"
    assert model.embed("radar", make_fields().modality("radar").values).shape == (120, 16)


def test_the_location_tie_is_that_of_each_sensor_with_its_place(make_fields, configure):
    course = TiesMethod(configure(*PLACES, "ties.view=0", "ties.sample=0", "ties.label=0"), make_fields())
    model = course.build(torch.device("cpu")).eval()
    batch = course.batch(course.rows_of(0))
    terms = course.terms(model, [batch.values], batch.present, None, batch.lonlat)
    expected = []
    for name, values in batch.values.items():
        there = batch.present[name]
        place = model.location(batch.lonlat[there])
        seen = model.project(name, model.encode(name, values))[there]
        expected.append(info_nce(place, seen, model.logit_scale(name)))
    torch.testing.assert_close(terms["location"], torch.stack(expected).mean())
    assert list(terms) == ["location"]


def test_a_share_of_every_batch_has_labels(make_fields, configure):
    table = make_fields(400)
    course = TiesMethod(configure("labels=0.1", "ties.labelled_share=0.5"), table)
    course.build(torch.device("cpu"))
    known = ~course.labels.isnan().any(1).numpy()
    for step in range(5):
        rows = course.rows_of(step)
        assert known[rows].sum() == 12 == len(rows) / 2
    plain = TiesMethod(configure("labels=0.1"), table)
    plain.build(torch.device("cpu"))
    assert np.mean([known[plain.rows_of(step)].mean() for step in range(40)]) < 0.2


def test_ties_without_labels_need_no_target(make_fields, configure, tmp_path):
    config = configure("target=null", recipe="simclr")
    pretrain(make_fields(), config=config, out=tmp_path, progress="none")
    assert {key for key in read_metrics(tmp_path)[0] if key.startswith("loss/")} == {"loss/view"}


def test_the_specific_part_is_never_contrasted_with_the_location_or_other_sensors(make_fields, configure):
    """Only views and discrimination teach the numbers that are the sensor's own."""
    table = make_fields()
    for weights, reached in (
        (["ties.view=0", "ties.discrimination=0"], False),
        (["ties.view=1", "ties.discrimination=0"], True),
        (["ties.view=0", "ties.discrimination=1"], True),
    ):
        course = TiesMethod(configure(*PLACES, "ties.specific_dim=6", *weights), table)
        model = course.build(torch.device("cpu"))
        loss, parts = course.losses(model, 0)
        assert ("loss/discrimination" in parts) == (weights[1] == "ties.discrimination=1")
        loss.backward()
        gradient = model.encoders["radar"].network.output.weight.grad
        assert (gradient[10:].abs().sum() > 0) == reached
        assert gradient[:10].abs().sum() > 0


def test_a_batch_in_which_no_pair_shares_a_label_is_finite(make_fields, configure):
    table = make_fields()
    course = TiesMethod(configure("ties.view=0", "ties.sample=0", "labels=0.001"), table)
    model = course.build(torch.device("cpu"))
    course.labels[:] = torch.nan
    loss, _ = course.losses(model, 0)
    loss.backward()
    assert loss.item() == 0
    assert all(weight.grad is None or weight.grad.abs().sum() == 0 for weight in model.parameters())


def test_classes_are_sets_of_one_and_numbers_do_not_overlap():
    assert as_label_sets(torch.tensor([0.5]).reshape(1, 1), "labels", 1).tolist() == [[0.5]]
    with pytest.raises(ValueError, match="numbers do not overlap"):
        as_label_sets(torch.zeros(2), "numbers", 1)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["modalities=[radar]"], "ties.sample ties two sensors, but there is only radar"),
        (["ties.label=0", "ties.labelled_share=0.5"], "ties.labelled_share is for the label tie"),
        (["target=yield"], "ties by labels need classes or labels"),
    ],
)
def test_wrong_input_is_named(make_fields, configure, overrides, message):
    with pytest.raises(ValueError, match=message):
        pretrain(make_fields(), config=configure(*overrides), progress="none")


def test_places_are_needed_to_tie_them(make_fields, configure):
    from dataclasses import replace

    with pytest.raises(ValueError, match="the table has no lon and lat"):
        pretrain(replace(make_fields(), lonlat=None), config=configure(*PLACES), progress="none")
