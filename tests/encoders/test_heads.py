"""Mirrors src/geotether/encoders/heads.py."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from geotether.checkpoint.model import load_model
from geotether.encoders.heads import FeatureDecoder
from geotether.tables.table import Table
from geotether.training.config import load_config
from geotether.training.metrics import read_metrics
from geotether.training.pretraining import LocationMethod, pretrain


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


def test_decoding_the_targets_gives_the_features_back(features):
    decoder = FeatureDecoder(10, 10, components=10)
    decoder.fit(features)
    with torch.no_grad():  # a decoder that hands its input on: the embedding is then the target itself
        decoder.prediction.weight.copy_(torch.eye(10))
        decoder.prediction.bias.zero_()
        got = decoder.decode(decoder.targets(torch.from_numpy(features)))
    np.testing.assert_allclose(got.numpy(), features, atol=1e-3)


def test_a_constant_column_is_unchanged(features):
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


SMALL = ["batch_size=32", "steps=3", "warmup_steps=0", "encoder.positional.l_max=2",
         "encoder.network.hidden_dim=8", "encoder.network.dropout=0",
         "encoder.embed_dim=8", "encoder.readout=output", "context.observations.components=0",
         "validate_every=null", "device=cpu"]  # fmt: skip


@pytest.fixture
def tables():
    rng = np.random.default_rng(0)
    found = {}
    for name, width in (("text", 12), ("light", 5)):
        lonlat = np.stack([rng.uniform(-180, 180, 60), rng.uniform(-80, 80, 60)], axis=1)
        found[name] = Table.single(name, lonlat, rng.standard_normal((60, width)).astype(np.float32))
    return found


def test_the_specific_part_is_never_contrasted_with_the_place(tables):
    """Without its own terms nothing reaches it; with them the location encoder is reached by contrast alone."""
    off = ["objective.discrimination_weight=0", "objective.reconstruction_weight=0"]
    for extra, reached in ((off, False), ([], True)):
        config = load_config(overrides=[*SMALL, "objective.specific_dim=4", "objective.regression_weight=0", *extra])
        course = LocationMethod(config, tables)
        model = course.build(torch.device("cpu"))
        loss, values = course.losses(model, 0)
        loss.backward()
        assert {"discrimination", "reconstruction"} <= set(values)
        gradient = model.specific.projections["text"].projection[-1].weight.grad
        assert (gradient.abs().sum() > 0) == reached
        first = [weight.grad.clone() for weight in model.location.parameters()]
        if not reached:
            contrast_alone = first
    for one, other in zip(contrast_alone, first, strict=True):
        torch.testing.assert_close(one, other)


def test_the_model_folder_keeps_it(tables, tmp_path):
    model = pretrain(
        tables, config=load_config(overrides=[*SMALL, "objective.specific_dim=4"]), out=tmp_path / "a", progress="none"
    )
    loaded = load_model(tmp_path / "a" / "model").specific
    rows = torch.tensor(tables["text"].features)
    with torch.no_grad():
        assert torch.equal(loaded.specific("text", rows), model.specific.specific("text", rows))
    assert read_metrics(tmp_path / "a")[0]["discrimination"] == pytest.approx(np.log(2), abs=0.5)
    pretrain(tables, config=load_config(overrides=SMALL), out=tmp_path / "b", progress="none")
    assert load_model(tmp_path / "b" / "model").specific is None


def test_discrimination_under_salt_is_finite(tables, tmp_path):
    overrides = [*SMALL, "objective.specific_dim=4", "schedule.name=salt", "schedule.switch=step"]
    pretrain(tables, config=load_config(overrides=overrides), out=tmp_path, progress="none")
    assert np.isfinite([line["discrimination"] for line in read_metrics(tmp_path)]).all()


def test_components_alone_do_not_move_the_generator(features):
    torch.manual_seed(3)
    want = torch.rand(2)
    torch.manual_seed(3)
    alone = FeatureDecoder.of(features, 3)
    assert torch.equal(torch.rand(2), want)
    usual = FeatureDecoder(8, 10, components=3)
    usual.fit(features)
    assert torch.equal(alone.targets(torch.from_numpy(features)), usual.targets(torch.from_numpy(features)))
