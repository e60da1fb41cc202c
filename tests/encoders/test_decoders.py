"""Mirrors src/geotether/encoders/decoders.py."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from geotether.encoders.decoders import FeatureDecoder


@pytest.fixture
def features():
    rng = np.random.default_rng(0)
    return (rng.standard_normal((300, 4)) @ rng.standard_normal((4, 10)) * 5 + 3).astype(np.float32)


def test_targets_are_the_principal_components_of_scikit_learn(features):
    decoder = FeatureDecoder(8, 10, components=3)
    decoder.fit(features)
    pca = PCA(3).fit(StandardScaler().fit_transform(features))
    want = pca.transform(StandardScaler().fit_transform(features))
    want /= np.sqrt((want**2).sum(axis=1).mean())
    got = decoder.targets(torch.from_numpy(features)).numpy()
    np.testing.assert_allclose(np.abs(got), np.abs(want), atol=1e-4)  # signs are a matter of taste


def test_knowing_nothing_costs_one(features):
    decoder = FeatureDecoder(8, 10, components=3)
    decoder.fit(features)
    assert decoder.targets(torch.from_numpy(features)).square().sum(1).mean().item() == pytest.approx(1.0, rel=1e-4)


def test_decoding_the_targets_gives_the_features_back(features):
    decoder = FeatureDecoder(10, 10, components=10)
    decoder.fit(features)
    with torch.no_grad():  # a decoder that hands its input on: the embedding is then the target itself
        decoder.prediction.weight.copy_(torch.eye(10))
        decoder.prediction.bias.zero_()
        got = decoder.decode(decoder.targets(torch.from_numpy(features)))
    np.testing.assert_allclose(got.numpy(), features, atol=1e-3)


def test_a_column_that_never_varies_is_left_alone(features):
    features[:, 2] = 5.0
    decoder = FeatureDecoder(8, 10)
    decoder.fit(features)
    assert decoder.components == 10
    assert decoder.targets(torch.from_numpy(features)).isfinite().all()


def test_many_rows_are_thinned_and_agree(features):
    many = np.repeat(features, 240, axis=0)  # every fourth row is taken
    few, all_rows = FeatureDecoder(8, 10, 2), FeatureDecoder(8, 10, 2)
    few.fit(features)
    all_rows.fit(many)
    torch.testing.assert_close(few.directions.abs(), all_rows.directions.abs(), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("sizes", [(0, 3, 2), (3, 0, 2), (3, 3, 0)])
def test_sizes_out_of_range_are_refused(sizes):
    with pytest.raises(ValueError, match="must be 1 or more"):
        FeatureDecoder(*sizes)


def test_other_widths_are_refused(features):
    with pytest.raises(ValueError, match=r"Need rows of 9 features, got shape \(300, 10\)"):
        FeatureDecoder(8, 9).fit(features)
