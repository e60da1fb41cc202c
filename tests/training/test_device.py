"""Mirrors src/geotether/training/door.py."""

import pytest
import torch

from geotether.training.device import choose_device
from geotether.training.location import check_tables, taking_part


def test_a_run_needs_tables(small):
    with pytest.raises(ValueError, match="no feature table to train on"):
        check_tables(small(), {})


def test_a_table_needs_training_rows(planet, small):
    text = planet["text"]
    with pytest.raises(ValueError, match=r"table text has 0 rows whose split is 'train' \(of 50\).*'validation'"):
        check_tables(small(), {"text": text.rows(text.split == "validation")})


@pytest.mark.parametrize("override", ["keep=best", "patience=2"])
def test_held_out_rows_are_needed_where_they_decide(planet, small, override):
    text = planet["text"]
    training_only = {"text": text.rows(text.split == "train")}
    check_tables(small(), training_only)
    with pytest.raises(ValueError, match="no table has two rows whose split is 'validation'"):
        check_tables(small(override), training_only)


def test_pairwise_takes_one_table(planet, small):
    assert list(taking_part(small("schedule.name=pairwise", "schedule.modality=text"), planet)) == ["text"]
    assert list(taking_part(small(), planet)) == list(planet)
    with pytest.raises(ValueError, match=r"schedule\.modality is 'birds', but the tables are satellite, text, lights"):
        taking_part(small("schedule.name=pairwise", "schedule.modality=birds"), planet)


def test_a_missing_gpu_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto").type == choose_device("cpu").type == "cpu"
    with pytest.raises(ValueError, match="needs an NVIDIA GPU"):
        choose_device("cuda")
