"""Mirrors src/geotether/training/loss_spikes.py."""

import math

import numpy as np
import pytest

from geotether.training.loss_spikes import Rest, loss_spikes, modality_losses, rests, step_noise
from geotether.training.metrics import read_metrics
from geotether.training.pretraining import pretrain


def salt(*turns):
    """Lines of a run of SALT from (modality, losses of the turn)."""
    flat = [(name, loss) for name, losses in turns for loss in losses]
    return [{"step": step, "loss": loss, f"loss/{name}": loss} for step, (name, loss) in enumerate(flat)]


SERIES = salt(("a", [5.0, 4.0, 3.0]), ("b", [7.0, 6.0]), ("a", [4.5, 3.5, 2.5]), ("b", [6.0, 5.0]), ("a", [3.0]))


def test_a_series_made_by_hand():
    first, second, third = loss_spikes(SERIES)
    assert [one.rest for one in (first, second, third)] == [Rest("a", 2, 5), Rest("b", 4, 8), Rest("a", 7, 10)]
    assert (first.before, first.after, first.jump) == (3.0, 4.5, 1.5)
    assert first.combined == pytest.approx(4.5 - 6.0)
    assert first.recovery_steps == 2  # 4.5, 3.5, 2.5: at most 3 at the third
    assert (second.jump, second.combined, second.recovery_steps) == (0.0, 3.5, 0)
    assert (third.jump, third.recovery_steps) == (0.5, None)
    # Within its turns a falls by 1.0 in every step: no noise to measure a jump with.
    assert first.noise == 0.0
    assert math.isnan(first.in_noise)


def test_more_steps_on_both_sides():
    first = loss_spikes(SERIES, width=2)[0]
    assert (first.before, first.after) == (3.5, 4.0)
    long = loss_spikes(SERIES, width=99)[0]
    assert (long.before, long.after) == (4.0, 3.5)  # never beyond the turn


def test_noise_is_the_spread_of_steps_within_turns():
    rng = np.random.default_rng(0)
    values = rng.normal(size=3000)
    assert step_noise(dict(enumerate(values))) == pytest.approx(np.std(np.diff(values)))
    spikes = loss_spikes(salt(("a", values[:50]), ("b", [0.0]), ("a", values[50:] + 10)))
    assert spikes[0].in_noise == pytest.approx(10 / np.sqrt(2), rel=0.3)
    assert math.isnan(step_noise({0: 1.0, 1: 2.0}))


def test_melt_has_no_rests_but_can_be_seen_in_the_same_windows():
    lines = [{"step": step, "loss": 5.0 - step / 10, "loss/a": 5.0 - step / 10, "loss/b": 4.0} for step in range(9)]
    assert rests(lines) == []
    assert loss_spikes(lines) == []
    seen = loss_spikes(lines, at=rests(SERIES))
    assert [one.rest for one in seen] == [Rest("a", 2, 5), Rest("b", 4, 8)]  # the run ends before step 10
    assert [one.jump for one in seen] == pytest.approx([-0.3, 0.0])


def test_real_runs(planet, small, tmp_path):
    pretrain(small("schedule={name: salt, steps_per_epoch: 3}", "batch_size=32"), planet, tmp_path, progress="none")
    spikes = loss_spikes(read_metrics(tmp_path))
    # 30 steps in turns of 3 among three modalities: ten turns, of which seven are returns.
    assert [one.rest.back for one in spikes] == list(range(9, 30, 3))
    assert all(one.rest.back - one.rest.last == 7 for one in spikes)
    assert all(math.isfinite(one.in_noise) for one in spikes)


@pytest.mark.parametrize(("lines", "width", "message"), [([{"step": 0}], 1, "No line holds"), (SERIES, 0, "1 or more")])
def test_wrong_input(lines, width, message):
    with pytest.raises(ValueError, match=message):
        loss_spikes(lines, width=width)


def test_validation_lines_are_passed_over():
    lines = [*SERIES, {"step": 10, "validation/loss": 9.0, "validation/loss/a": 9.0}]
    assert modality_losses(lines) == modality_losses(SERIES)
