"""Mirrors src/geotether/maps/losses.py."""

import json

import numpy as np
import pytest

from geotether.maps.figure import save_figure
from geotether.maps.losses import loss_curves, read_losses, running_mean


def write(path, rows):
    path.write_text("\n".join(map(json.dumps, rows)) + "\n")
    return path


@pytest.fixture
def salt(tmp_path):
    rows = [{"step": s, "loss": 1.0, f"loss/{'image' if (s // 10) % 2 else 'text'}": 5.0 - s / 20} for s in range(40)]
    rows.append({"step": 39, "validation/loss/image": 2.0, "validation/loss/text": 2.5})
    return write(tmp_path / "metrics.jsonl", rows)


def test_switches_are_found_and_marked(salt, tmp_path):
    train, validation, switches = read_losses(salt)
    assert switches == [(10, "image"), (20, "text"), (30, "image")]
    assert len(train["image"]) == 20
    assert validation == {"image": [(39, 2.0)], "text": [(39, 2.5)]}
    figure = loss_curves(salt, title="SALT")
    vertical = [
        line for line in figure.axes[0].get_lines() if len(set(line.get_xdata())) == 1 and len(line.get_xdata()) == 2
    ]
    assert [line.get_xdata()[0] for line in vertical] == [10, 20, 30]
    save_figure(figure, tmp_path / "losses.png", dpi=60)


def test_no_line_crosses_the_rest_of_a_modality(salt):
    for line in loss_curves(salt).axes[0].get_lines():
        steps = np.asarray(line.get_xdata(), dtype=float)
        assert np.diff(steps).max(initial=0) <= 1


def test_melt_has_no_switches(tmp_path):
    path = write(tmp_path / "m.jsonl", [{"step": s, "loss/a": 1.0, "loss/b": 2.0} for s in range(9)])
    assert read_losses(path)[2] == []
    assert "switch" not in [line.get_label() for line in loss_curves(path).axes[0].get_lines()]


def test_running_mean_equals_a_hand_loop():
    values = np.random.default_rng(0).standard_normal(20)
    want = [values[max(0, i - 4) : i + 1].mean() for i in range(20)]
    np.testing.assert_allclose(running_mean(values, 5), want)


def test_a_file_without_losses_is_named(tmp_path):
    with pytest.raises(ValueError, match="'loss/<modality>'"):
        loss_curves(write(tmp_path / "x.jsonl", [{"step": 1, "seconds": 2.0}]))


def test_a_training_with_one_loss_alone_is_drawn(tmp_path):
    rows = [{"step": s, "loss": 3.0 - s} for s in range(3)] + [{"step": 2, "validation/loss/s1": 1.5}]
    train, validation, switches = read_losses(write(tmp_path / "m.jsonl", rows))
    assert train == {"task": [(0, 3.0), (1, 2.0), (2, 1.0)]}
    assert validation == {"s1": [(2, 1.5)]}
    assert switches == []
    assert loss_curves(tmp_path / "m.jsonl").axes[0].get_lines()
