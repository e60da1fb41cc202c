"""Mirrors src/geotether/training/model.py."""

import numpy as np
import pytest
import torch

from geotether.training.model import build_model


def test_weights_depend_on_the_seed_and_the_modality_alone(planet, small):
    torch.rand(3)  # the global stream does not matter
    three = build_model(small(), planet).state_dict()
    one = build_model(small(), {"text": planet["text"]}).state_dict()
    for name, weight in one.items():
        assert torch.equal(weight, three[name]), name
    other = build_model(small("seed=1"), planet).state_dict()
    assert not torch.equal(other["heads.text.projection.1.weight"], three["heads.text.projection.1.weight"])


def test_the_global_stream_is_left_alone(planet, small):
    torch.manual_seed(0)
    want = torch.rand(3)
    torch.manual_seed(0)
    build_model(small(), planet)
    assert torch.equal(torch.rand(3), want)


def test_features_are_standardised_by_the_rows_given(planet, small):
    text = planet["text"]
    model = build_model(small(), {"text": text})
    np.testing.assert_allclose(model.heads["text"].mean.numpy(), text.features.mean(0), atol=1e-5)


def test_the_temperature_is_the_configured_one(planet, small):
    model = build_model(small("objective.init_temperature=0.1"), planet)
    assert model.logit_scale("text").item() == pytest.approx(10.0, rel=1e-5)
