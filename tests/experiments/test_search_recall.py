"""Mirrors experiments/search_recall.py."""

import shlex

import pytest
import torch

from geotether.encoder import Encoder
from geotether.searching import Candidates, open_index
from geotether.searching.recall import cross_modal_recall


def test_the_command_of_its_own_text_is_understood(script):
    (line,) = (line.strip() for line in script.__doc__.splitlines() if "python experiments/search_recall.py" in line)
    assert script.parsed(shlex.split(line)[2:]).out.name == "search_recall"
    with pytest.raises(SystemExit):
        script.parsed([])


def test_a_head_that_is_fitted_afterwards_leads_nearer_than_chance(script, trained, monkeypatch):
    monkeypatch.setattr(script, "STEPS", 60)
    table = trained.tables["climate"]
    encoder = Encoder(trained.module)
    before = {name: tensor.clone() for name, tensor in encoder.module.state_dict().items()}
    encoder.heads = {"climate": script.fitted_head(encoder, table)}
    index = open_index(encoder, Candidates("places of the table", table.lonlat))
    plain = cross_modal_recall(encoder, index, "climate", table).plain()
    assert plain["model"]["within_km"]["2500"] > 1.5 * plain["chance"]["within_km"]["2500"]
    assert all(torch.equal(tensor, before[name]) for name, tensor in encoder.module.state_dict().items())
