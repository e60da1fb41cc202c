"""Mirrors src/geotether/encoders/specific.py, and what training and model folders make of it."""

import numpy as np
import pytest
import torch

from geotether.checkpoint.location import load_model
from geotether.encoders.specific import SpecificParts
from geotether.tables.table import Table
from geotether.training.config import load_config
from geotether.training.metrics import read_metrics
from geotether.training.pretraining import LocationMethod, pretrain

SMALL = ["batch_size=32", "steps=3", "warmup_steps=0", "encoder.positional.l_max=2",
         "encoder.network.hidden_dim=8", "encoder.network.dropout=0",
         "encoder.embed_dim=8", "encoder.readout=output", "memory.components=0", "validate_every=null",
         "device=cpu"]  # fmt: skip


@pytest.fixture
def tables():
    rng = np.random.default_rng(0)
    found = {}
    for name, width in (("text", 12), ("light", 5)):
        lonlat = np.stack([rng.uniform(-180, 180, 60), rng.uniform(-80, 80, 60)], axis=1)
        found[name] = Table.single(name, lonlat, rng.standard_normal((60, width)).astype(np.float32))
    return found


def test_the_place_never_meets_the_specific_part(tables):
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


def test_salt_tells_one_modality_at_a_time(tables, tmp_path):
    overrides = [*SMALL, "objective.specific_dim=4", "schedule.name=salt", "schedule.switch=step"]
    pretrain(tables, config=load_config(overrides=overrides), out=tmp_path, progress="none")
    assert np.isfinite([line["discrimination"] for line in read_metrics(tmp_path)]).all()


def test_sizes_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="specific_dim of 1 or more"):
        SpecificParts({"text": 3}, 4, 0)
    with pytest.raises(ValueError, match="Needs modalities"):
        SpecificParts({}, 4, 2)
