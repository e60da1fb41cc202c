"""Mirrors src/geotether/training/held_out.py."""

import math

import numpy as np
import pytest
import torch

from geotether.training.held_out import held_out_batch, pool_recall, validate
from geotether.training.location import build_model


def test_only_validation_rows_are_looked_at(planet):
    batch = held_out_batch(planet, rows=1000, seed=0)
    assert list(batch) == list(planet)
    for modality, table in planet.items():
        want = table.lonlat[table.split == "validation"]
        np.testing.assert_array_equal(batch[modality].lonlat.numpy(), want)


def test_the_batch_is_fixed_and_limited(planet):
    first, again, other = (held_out_batch(planet, rows=20, seed=seed)["text"].lonlat for seed in (0, 0, 1))
    assert first.shape == (20, 2)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    tables = {"text": planet["text"], "lights": planet["lights"].rows(planet["lights"].split == "train")}
    assert list(held_out_batch(tables, rows=20, seed=0)) == ["text"]


def test_validation_of_an_untrained_model_is_repeatable_and_near_chance(planet, small):
    model = build_model(small("encoder.network.dropout=0.5", "objective.init_temperature=1"), planet).eval()
    batch = held_out_batch(planet, rows=1000, seed=0)
    line = validate(model, batch)
    assert line == validate(model, batch)
    for modality, part in batch.items():
        assert line[f"validation/chance/{modality}"] == pytest.approx(math.log(len(part.lonlat)))
        assert line[f"validation/loss/{modality}"] == pytest.approx(math.log(len(part.lonlat)), abs=0.3)
    assert line["validation/loss"] == pytest.approx(np.mean([line[f"validation/loss/{m}"] for m in batch]))


def test_recall_uses_a_pool_of_256():
    same = torch.eye(512)
    assert pool_recall(same, same).item() == 1.0
    wrong_beyond = same.clone()
    wrong_beyond[256:] = 0
    assert pool_recall(same, wrong_beyond).item() == 1.0
    collapsed = torch.ones(512, 4)
    assert pool_recall(collapsed, collapsed).item() == pytest.approx(10 / 256)
