"""Mirrors experiments/loss_spikes.py."""

import math

import numpy as np
import pytest


def salt(*turns):
    """Lines of a run of SALT from (modality, losses of the turn)."""
    flat = [(name, loss) for name, losses in turns for loss in losses]
    return [{"step": step, "loss": loss, f"loss/{name}": loss} for step, (name, loss) in enumerate(flat)]


SERIES = salt(("a", [5.0, 4.0, 3.0]), ("b", [7.0, 6.0]), ("a", [4.5, 3.5, 2.5]), ("b", [6.0, 5.0]), ("a", [3.0]))


def test_spikes_of_a_hand_made_series(script):
    first, second, third = script.loss_spikes(SERIES)
    assert [one.rest for one in (first, second, third)] == [
        script.Rest("a", 2, 5),
        script.Rest("b", 4, 8),
        script.Rest("a", 7, 10),
    ]
    assert (first.before, first.after, first.jump) == (3.0, 4.5, 1.5)
    assert first.combined == pytest.approx(4.5 - 6.0)
    assert first.recovery_steps == 2  # 4.5, 3.5, 2.5: at most 3 at the third
    assert (second.jump, second.combined, second.recovery_steps) == (0.0, 3.5, 0)
    assert (third.jump, third.recovery_steps) == (0.5, None)
    # Within its turns a falls by 1.0 in every step: no noise to measure a jump with.
    assert first.noise == 0.0
    assert math.isnan(first.in_noise)


def test_noise_is_the_spread_of_steps_within_turns(script):
    rng = np.random.default_rng(0)
    values = rng.normal(size=3000)
    assert script.step_noise(dict(enumerate(values))) == pytest.approx(np.std(np.diff(values)))
    spikes = script.loss_spikes(salt(("a", values[:50]), ("b", [0.0]), ("a", values[50:] + 10)))
    assert spikes[0].in_noise == pytest.approx(10 / np.sqrt(2), rel=0.3)
    assert math.isnan(script.step_noise({0: 1.0, 1: 2.0}))


def test_melt_has_no_pauses_and_is_measured_in_the_windows_of_salt(script):
    lines = [{"step": step, "loss": 5.0 - step / 10, "loss/a": 5.0 - step / 10, "loss/b": 4.0} for step in range(9)]
    assert script.rests(lines) == []
    assert script.loss_spikes(lines) == []
    seen = script.loss_spikes(lines, at=script.rests(SERIES))
    assert [one.rest for one in seen] == [script.Rest("a", 2, 5), script.Rest("b", 4, 8)]  # the run ends before step 10
    assert [one.jump for one in seen] == pytest.approx([-0.3, 0.0])
