"""Mirrors src/geotether/training/card.py and provenance.py."""

import json

import numpy as np
import torch

from geotether.training.card import model_card, plain_settings, run_provenance
from geotether.training.state import RunState


def test_the_card_describes_the_model_completely(planet, small):
    config = small("ema_decay=0.9", "keep=best")
    provenance = run_provenance(config, planet, RunState(step=30, best_step=20))
    card = model_card(plain_settings(config), provenance, {"handout_dim": 48}, notes="## Scores\n\nnone yet")
    assert "longitude, then latitude" in card
    assert "geotether.load(" in card
    assert "shape (2, 48)" in card
    text = planet["text"]
    assert f"| text | 250 | 150 | 50 | 5 | `{text.content_hash[:12]}` |" in card
    assert "spherical_harmonics (l_max 4" in card
    assert "averaged with decay 0.9, taken after 20 steps" in card
    assert card.index("## Scores") < card.index("## How it was made")
    assert "None" not in card


def test_provenance_is_plain_and_names_no_machine(planet, small, tmp_path):
    config = small(f"tables.text={tmp_path}/text.parquet")
    provenance = run_provenance(config, planet, RunState(step=30, seconds=1.26))
    text = json.dumps([provenance, plain_settings(config)])
    assert str(tmp_path) not in text
    assert provenance["tables"]["text"] == {
        "sha256": planet["text"].content_hash,
        "rows": 250,
        "dim": 5,
        "split": {"test": 50, "train": 150, "validation": 50},
        "features": [],
        "labels": [],
    }
    assert provenance["versions"]["torch"] == str(torch.__version__)
    assert provenance["versions"]["numpy"] == np.__version__
    assert (provenance["recipe"], provenance["seed"], provenance["steps"]) == ("default", 0, 30)
