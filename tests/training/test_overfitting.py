"""Mirrors src/geotether/training/overfitting.py."""

import math

import numpy as np
import pytest

from geotether.tables.table import Table
from geotether.training.config import load_config
from geotether.training.overfitting import final_warning, rising_warning
from geotether.training.pretraining import pretrain


def validation(a, b, chance=5.0):
    losses = {"validation/loss/a": a, "validation/loss/b": b, "validation/loss": (a + b) / 2}
    return losses | {"validation/chance/a": chance, "validation/chance/b": chance}


@pytest.mark.parametrize(
    ("course", "said_at"),
    [
        ([(9, 9), (8, 8), (4, 4)], None),  # from above, as a beginner
        ([(4, 4), (4.5, 4.9), (4.9, 4)], None),  # rising, but never above
        ([(9, 4), (8, 4), (8.1, 4), (7.9, 4), (8, 4)], None),  # noise on the way down
        ([(4, 4), (4, 5.1), (4, 5.3), (4, 5.4)], 2),
        ([(9, 4), (8, 4), (8.1, 4), (8.2, 4)], 3),
        ([(math.nan, 4), (math.inf, 4), (4, 4)], None),  # left to the loop
    ],
)
def test_a_loss_that_rises_above_chance_is_reported(course, said_at):
    lines = [{"step": 0, "loss": 9.0}, *(validation(*losses) for losses in course)]
    said = [rising_warning(lines[: number + 2]) for number in range(len(course))]
    assert next((number for number, text in enumerate(said) if text), None) == said_at
    if said_at is not None:
        assert "keep=best" in said[said_at]
        assert f"loss of {'b' if course[said_at][1] > 5 else 'a'} rises" in said[said_at]


def test_the_final_warning_is_about_the_returned_model():
    lines = [{"step": 0, "loss": 9.0}, *({"step": n, **validation(4, 4 + n)} for n in range(3))]
    assert "above chance: b 6.00 (chance 5.00). What is learned" in final_warning(lines)
    assert final_warning(lines, best=True) == ""
    assert final_warning(lines[:3]) == ""  # two validations show no trend
    assert final_warning([validation(9 - n, 9 - n) for n in range(4)]) == ""  # above chance, but it still falls
    assert final_warning([validation(4 + n, 4, chance=math.log(8)) for n in range(4)]) == ""  # eight rows
    assert final_warning([{"validation/loss": 9.0 + n} for n in range(4)]) == ""  # no level of chance


def test_a_run_on_noise_is_warned_of(tmp_path, capsys):
    rng = np.random.default_rng(0)
    lonlat = np.stack([rng.uniform(-180, 180, 240), rng.uniform(-80, 80, 240)], axis=1)
    split = np.where(np.arange(240) % 4 == 0, "validation", "train")
    table = Table.single("noise", lonlat, rng.standard_normal((240, 6)).astype(np.float32), split=split)
    overrides = ["steps=80", "batch_size=64", "validate_every=10", "warmup_steps=0", "encoder.network.hidden_dim=32"]
    encoder = pretrain({"noise": table}, config=load_config(overrides=overrides), out=tmp_path, progress="lines")
    said = capsys.readouterr().err
    assert said.count("held-out loss of noise rises above") == 1
    assert said.strip().splitlines()[-1] == final_warning(encoder.history)
    assert "above chance: noise" in final_warning(encoder.history)
