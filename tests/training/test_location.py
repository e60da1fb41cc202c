"""Mirrors src/geotether/training/location.py."""

import math

import pytest
import torch

from geotether.objectives.info_nce import info_nce
from geotether.objectives.negatives import NEGATIVES
from geotether.objectives.sigmoid import sigmoid_loss
from geotether.objectives.tying import tying_loss
from geotether.training.config import ObjectiveConfig
from geotether.training.location import LocationMethod, batch_loss, build_model, candidate_count

GROUPS = {"satellite": slice(0, 8), "text": slice(8, 14)}


@pytest.fixture
def parts(planet, small):
    model = build_model(small(), planet)
    with torch.no_grad():
        model.log_logit_scale["text"].fill_(1.0)  # each modality has its own temperature
        model.sigmoid_bias["text"].fill_(-3.0)
    generator = torch.Generator().manual_seed(0)
    location, observed = (torch.randn(14, 16, generator=generator) for _ in range(2))
    lonlat = torch.rand(14, 2, generator=generator, dtype=torch.float64) * 90
    lonlat[1] = lonlat[0]
    return model, location, observed, lonlat


def test_within_modality_is_infonce_for_each(parts):
    model, location, observed, lonlat = parts
    total, losses = batch_loss(model, location, observed, lonlat, GROUPS, ObjectiveConfig(reading="within_modality"))
    want = [info_nce(location[rows], observed[rows], model.logit_scale(name)) for name, rows in GROUPS.items()]
    torch.testing.assert_close(losses, want)
    torch.testing.assert_close(total, (8 * want[0] + 6 * want[1]) / 14)


def test_sigmoid_takes_the_modality_s_own_bias(parts):
    model, location, observed, lonlat = parts
    _, losses = batch_loss(model, location, observed, lonlat, GROUPS, ObjectiveConfig(reading="sigmoid"))
    want = sigmoid_loss(observed[8:], location[8:], model.logit_scale("text"), -3.0)
    torch.testing.assert_close(losses[1], want)


@pytest.mark.parametrize("reading", ["within_modality", "modality_to_location", "sigmoid"])
def test_nearby_rows_are_not_negatives_of_each_other(parts, reading):
    """Rows 0 and 1 share a place: what they look like to each other must not matter."""
    model, location, observed, lonlat = parts
    changed = location.clone()
    changed[1] = observed[0]  # a perfect false negative
    masked = ObjectiveConfig(reading=reading, ignore_km=0)
    bare = ObjectiveConfig(reading=reading)

    def loss_of_row_0(places, objective):
        scaled = observed.clone().requires_grad_()
        total, _ = batch_loss(model, places, scaled, lonlat, GROUPS, objective)
        return torch.autograd.grad(total, scaled)[0][0]

    torch.testing.assert_close(loss_of_row_0(changed, masked), loss_of_row_0(location, masked))
    assert not torch.allclose(loss_of_row_0(changed, bare), loss_of_row_0(location, bare))


@pytest.mark.parametrize("reading", NEGATIVES)
def test_a_model_that_knows_nothing_has_the_loss_of_chance(reading):
    same, rows = torch.ones(14, 16), list(GROUPS.values())
    losses = tying_loss(same, same, rows, [3.0, 3.0], reading)
    chance = [math.log(candidate_count(reading, part.stop - part.start, 14)) for part in rows]
    torch.testing.assert_close(losses, [torch.tensor(one) for one in chance])
    assert candidate_count("sigmoid", 8, 14) is None


def test_weights_depend_on_the_seed_and_the_modality_alone(planet, small):
    torch.rand(3)  # the global stream does not matter
    three = build_model(small(), planet).state_dict()
    one = build_model(small(), {"text": planet["text"]}).state_dict()
    for name, weight in one.items():
        assert torch.equal(weight, three[name]), name
    other = build_model(small("seed=1"), planet).state_dict()
    assert not torch.equal(other["heads.text.projection.1.weight"], three["heads.text.projection.1.weight"])


def test_tables_and_training_rows_are_needed(planet, small):
    text = planet["text"].rows(planet["text"].split == "validation")
    for tables, message in (
        ({}, "no feature table to train on"),
        ({"text": text}, r"table text has 0 rows whose split is 'train' \(of 50\).*'validation'"),
    ):
        with pytest.raises(ValueError, match=message):
            LocationMethod(small(), tables).check()


@pytest.mark.parametrize("override", ["keep=best", "patience=2"])
def test_held_out_rows_are_needed_where_they_decide(planet, small, override):
    text = planet["text"]
    training_only = {"text": text.rows(text.split == "train")}
    LocationMethod(small(), training_only).check()
    with pytest.raises(ValueError, match="no table has two rows whose split is 'validation'"):
        LocationMethod(small(override), training_only).check()


def test_pairwise_takes_one_table(planet, small):
    assert list(LocationMethod(small("schedule.name=pairwise", "schedule.modality=text"), planet).tables) == ["text"]
    assert list(LocationMethod(small(), planet).tables) == list(planet)
    with pytest.raises(ValueError, match=r"schedule\.modality is 'birds', but the tables are satellite, text, lights"):
        LocationMethod(small("schedule.name=pairwise", "schedule.modality=birds"), planet)
