"""Mirrors src/geotether/maps/losses.py."""

import json
import math

import numpy as np
import pytest

from geotether.maps.figure import save_figure
from geotether.maps.losses import loss_curves, read_losses


def write(path, rows):
    path.write_text("\n".join(map(json.dumps, rows)) + "\n")
    return path


def panels(figure):
    return {axes.get_title(loc="left"): axes for axes in figure.axes if axes.get_title(loc="left")}


def drawn(axes, label):
    return [line for line in axes.get_lines() if line.get_label() == label]


@pytest.fixture
def salt(tmp_path):
    rows = [{"step": s, "loss": 1.0, f"loss/{'image' if (s // 10) % 2 else 'text'}": 5.0 - s / 20} for s in range(40)]
    rows.append({"step": 39, "validation/loss/image": 2.0, "validation/loss/text": 2.5})
    return write(tmp_path / "metrics.jsonl", rows)


def test_switches_of_salt_are_marked_and_no_line_crosses_a_pause(salt, tmp_path):
    train, held_out, switches = read_losses(salt)
    assert switches == [10, 20, 30]
    assert len(train["image"]) == 20
    assert held_out["image"] == [(39, 2.0, pytest.approx(math.nan, nan_ok=True))]
    figure = loss_curves(salt)
    assert list(panels(figure)) == ["text", "image"]
    for axes in panels(figure).values():
        assert [line.get_xdata()[0] for line in drawn(axes, "switch")] == [10, 20, 30]
        assert max(np.diff(line.get_xdata()).max() for line in drawn(axes, "training")) == 1
    save_figure(figure, tmp_path / "losses.png", dpi=60)


def test_losses_of_different_numbers_of_candidates_are_drawn_relative_to_chance(tmp_path):
    rows = [{"step": s, "loss/a": 4.0, "chance/a": 5.0} for s in range(9)]
    rows.append({"step": 8, "validation/loss/a": 6.5, "validation/chance/a": 7.0})
    axes = panels(loss_curves(write(tmp_path / "m.jsonl", rows)))["a"]
    assert [drawn(axes, name)[0].get_ydata()[-1] for name in ("chance", "training", "held out")] == [0.0, -1.0, -0.5]


def test_losses_whose_chance_is_not_recorded_are_drawn_as_they_are(tmp_path):
    rows = [{"step": 0, "loss/a": 4.0}, {"step": 0, "validation/loss/a": 6.5, "validation/chance/a": 7.0}]
    axes = panels(loss_curves(write(tmp_path / "m.jsonl", rows)))["a"]
    values = {name: drawn(axes, name)[0].get_ydata()[-1] for name in ("training", "held out", "chance, held out")}
    assert values == {"training": 4.0, "held out": 6.5, "chance, held out": 7.0}


def test_ten_modalities_have_ten_panels_and_one_short_legend(tmp_path):
    rows = [{"step": s, **{f"loss/{name}": 1.0 for name in "abcdefghij"}} for s in range(3)]
    figure = loss_curves(write(tmp_path / "m.jsonl", rows))
    assert list(panels(figure)) == list("abcdefghij")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["training"]


def test_a_single_training_loss_is_drawn_beside_every_held_out_loss(tmp_path):
    rows = [{"step": s, "loss": 3.0 - s} for s in range(3)]
    assert list(panels(loss_curves(write(tmp_path / "a.jsonl", rows)))) == ["task"]
    rows += [{"step": 2, "validation/loss/s1": 1.5, "validation/loss/s2": 1.6}]
    found = panels(loss_curves(write(tmp_path / "b.jsonl", rows)))
    assert list(found) == ["s1", "s2"]
    assert [drawn(axes, "training")[0].get_ydata().tolist() for axes in found.values()] == [[3.0, 2.0, 1.0]] * 2


def test_a_file_without_losses_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"x\.jsonl"):
        loss_curves(write(tmp_path / "x.jsonl", [{"step": 1, "seconds": 2.0}]))
