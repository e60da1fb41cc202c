"""Mirrors src/geotether/probes/mlp.py."""

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, r2_score

from geotether.probes.linear import RidgeProbe
from geotether.probes.mlp import MlpProbe


@pytest.fixture
def ring():
    """Distance from the centre: no linear probe can see it."""
    features = np.random.default_rng(0).uniform(-1, 1, (600, 2)).astype(np.float32)
    return features, np.hypot(*features.T).astype(np.float64)


@pytest.mark.parametrize("num_layers", [1, 2])
def test_the_mlp_fits_what_a_linear_probe_cannot(ring, num_layers):
    features, distance = ring
    probe = MlpProbe(num_layers=num_layers, hidden_dim=64, learning_rate=5e-3, max_epochs=200, patience=20).fit(
        features[:400], distance[:400], np.arange(400) % 10
    )
    assert r2_score(distance[400:], probe.predict(features[400:])) > 0.9
    assert r2_score(distance[400:], RidgeProbe().fit(features[:400], distance[:400]).predict(features[400:])) < 0.2


def test_classes(ring):
    features, distance = ring
    word = np.where(distance < 0.7, "inside", "outside")
    probe = MlpProbe("classification", hidden_dim=64, learning_rate=5e-3).fit(features[:400], word[:400])
    assert accuracy_score(word[400:], probe.predict(features[400:])) > 0.9


def test_depends_on_its_seed_and_nothing_else(ring):
    features, distance = ring
    fits = []
    for global_seed, seed in [(1, 0), (2, 0), (2, 1)]:
        torch.manual_seed(global_seed)
        state = torch.get_rng_state()
        fits.append(MlpProbe(hidden_dim=8, max_epochs=3, seed=seed).fit(features, distance).predict(features))
        assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(fits[0], fits[1])
    assert not np.array_equal(fits[1], fits[2])


def test_one_fold_runs_all_epochs_and_no_rows_give_no_predictions(ring):
    features, distance = ring
    probe = MlpProbe(hidden_dim=8, max_epochs=2).fit(features, distance, np.zeros(600, dtype=int))
    assert probe.epochs_ == 2
    assert probe.predict(features[:0]).shape == (0,)


def test_layers_are_one_or_two(ring):
    with pytest.raises(ValueError, match="1, 2 or 3, got 4"):
        MlpProbe(num_layers=4).fit(*ring)
