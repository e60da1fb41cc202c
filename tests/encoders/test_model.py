"""Mirrors src/geotether/encoders/heads.py and model.py."""

import math

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler

from geotether.encoders import LocationEncoder
from geotether.encoders.heads import ProjectionHead
from geotether.encoders.model import TiedModel
from geotether.encoders.networks import Linear
from geotether.encoders.positional import Cartesian


@pytest.fixture
def model() -> TiedModel:
    location = LocationEncoder(Cartesian(), Linear(3, 8))
    return TiedModel(location, {"text": ProjectionHead(5, 8), "night-lights": ProjectionHead(7, 8, hidden_dim=6)})


def test_standardisation_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    features = (rng.normal(size=(50, 5)) * [1, 10, 0.1, 1, 3] + [0, 1000, 5, 0, -2]).astype(np.float32)
    features[:, 3] = 4.2  # a column that never varies
    head = ProjectionHead(5, 8)
    head.fit_standardisation(features)
    want = StandardScaler().fit(features.astype(np.float64))
    np.testing.assert_allclose(head.mean, want.mean_, rtol=1e-6)
    np.testing.assert_allclose(head.scale, want.scale_, rtol=1e-5)
    head.projection = torch.nn.Identity()
    assert head(torch.from_numpy(features)).isfinite().all()


def test_the_head_is_linear_by_default():
    linear, deep = ProjectionHead(5, 8).eval(), ProjectionHead(5, 8, hidden_dim=6).eval()
    a, b = torch.randn(2, 9, 5, generator=torch.Generator().manual_seed(0))
    for head, straight in ((linear, True), (deep, False)):
        between = (head(a) + head(b)) / 2
        assert torch.allclose(head((a + b) / 2), between, atol=1e-5) == straight
    assert linear(a[:0]).shape == (0, 8)


def test_logit_scale_starts_at_clips_and_is_capped(model):
    assert model.logit_scale("text").item() == pytest.approx(1 / 0.07)
    assert model.sigmoid_bias["text"].item() == -10
    with torch.no_grad():
        model.log_logit_scale["text"].fill_(math.log(1e6))
    assert model.logit_scale("text").item() == 100
    assert model.logit_scale("night-lights").item() == pytest.approx(1 / 0.07)


def test_an_error_about_unknown_modalities_lists_the_known_ones(model):
    for call in (lambda: model.logit_scale("texts"), lambda: model.encode_modality("texts", torch.zeros(1, 5))):
        with pytest.raises(
            ValueError, match=r"Unknown modality 'texts'; did you mean 'text'\? Known: text, night-lights"
        ):
            call()
