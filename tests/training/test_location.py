"""Mirrors src/geotether/training/loss.py."""

import pytest
import torch

from geotether.objectives.info_nce import info_nce
from geotether.objectives.sigmoid import sigmoid_loss
from geotether.training.config import ObjectiveConfig
from geotether.training.location import batch_loss
from geotether.training.model import build_model

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
def test_near_rows_are_not_each_other_s_negatives(parts, reading):
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
