"""Mirrors src/geotether/objectives/views.py."""

import itertools
import math

import pytest
import torch

from geotether.objectives.info_nce import info_nce
from geotether.objectives.views import across_sensors, nt_xent, pairwise_nt_xent, within_sensors


@pytest.fixture
def sensors():
    generator = torch.Generator().manual_seed(3)
    return {
        name: torch.randn(7, 5, generator=generator, dtype=torch.float64, requires_grad=True)
        for name in ("s1", "s2", "dem")
    }


@pytest.fixture
def present():
    """Two rows with all three, one without s1, one with nothing but dem, and so on."""
    return {
        "s1": torch.tensor([True, False, True, False, True, True, False]),
        "s2": torch.tensor([True, True, True, False, False, True, True]),
    }


@pytest.mark.parametrize("temperature", [0.01, 0.1, 1.0, 50.0])
@pytest.mark.parametrize("chunk_rows", [None, 2])
def test_nt_xent_equals_the_definition(random_pair, temperature, chunk_rows, nt_xent_by_hand):
    a, b = random_pair(6, 8)
    assert nt_xent(a, b, temperature, chunk_rows).item() == pytest.approx(nt_xent_by_hand(a, b, temperature), abs=1e-6)


@pytest.mark.parametrize("temperature", [0.002, 0.1])
def test_gradient_is_exact(random_pair, temperature):
    a, b = random_pair(4, 3)
    tau = torch.tensor(temperature, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(nt_xent, (a, b, tau), eps=1e-7, atol=1e-3, rtol=1e-3)


def test_without_information_the_loss_is_the_log_of_all_others():
    same = torch.ones(8, 4)
    assert nt_xent(same, same, 0.1).item() == pytest.approx(math.log(15), abs=1e-5)


def test_a_pair_of_sensors_uses_the_rows_that_have_both(sensors, present, nt_xent_by_hand):
    want = 0.0
    for (one, a), (other, b) in itertools.permutations(sensors.items(), 2):
        rows = [all(m is None or m[i] for m in (present.get(one), present.get(other))) for i in range(7)]
        want += nt_xent_by_hand(a[rows], b[rows], 0.1)
    assert pairwise_nt_xent(sensors, 0.1, present).item() == pytest.approx(want, abs=1e-6)


def test_values_of_absent_rows_are_never_used(sensors, present):
    want = pairwise_nt_xent(sensors, 0.1, present)
    want_gradient = torch.autograd.grad(want, sensors["s1"])[0]
    with torch.no_grad():
        sensors["s1"][~present["s1"]] = torch.nan
    got = pairwise_nt_xent(sensors, 0.1, present)
    (gradient,) = torch.autograd.grad(got, sensors["s1"])
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(gradient, want_gradient)
    assert (gradient[~present["s1"]] == 0).all()
    assert (gradient[present["s1"]].abs().sum(dim=1) > 0).all()


def test_sensors_without_common_rows_add_nothing(random_pair):
    a, b = random_pair(4, 3)
    present = {"a": torch.tensor([True, True, False, False]), "b": torch.tensor([False, False, True, True])}
    for loss in (pairwise_nt_xent({"a": a, "b": b}, 0.1, present), across_sensors({"a": a, "b": b}, 0.1, present)):
        assert loss.item() == 0.0
        assert all((g == 0).all() for g in torch.autograd.grad(loss, (a, b)))


def test_within_sums_over_sensors(sensors, present, nt_xent_by_hand):
    views = {"s1": (sensors["s1"], sensors["dem"]), "s2": (sensors["s2"], sensors["s1"])}
    want = sum(nt_xent_by_hand(a[present[name]], b[present[name]], 0.2) for name, (a, b) in views.items())
    assert within_sensors(views, 0.2, present).item() == pytest.approx(want, abs=1e-6)
    nobody = {"s1": torch.zeros(7, dtype=torch.bool)}
    assert within_sensors(views, 0.2, nobody).item() == pytest.approx(nt_xent_by_hand(*views["s2"], 0.2), abs=1e-6)


def test_across_counts_each_pair_of_sensors_once(sensors, present):
    rows = present["s1"] & present["s2"]
    want = (
        info_nce(sensors["s1"][rows], sensors["s2"][rows], 5.0)
        + info_nce(sensors["s1"][present["s1"]], sensors["dem"][present["s1"]], 5.0)
        + info_nce(sensors["s2"][present["s2"]], sensors["dem"][present["s2"]], 5.0)
    )
    torch.testing.assert_close(across_sensors(sensors, 0.2, present), want)


@pytest.mark.parametrize("temperature", [0.0, -0.1, math.nan, math.inf, 1e-4, 2e3])
def test_temperatures_out_of_range_are_refused(random_pair, temperature):
    a, b = random_pair(3, 2)
    pair, views = {"a": a, "b": b}, {"a": (a, b)}
    for loss, given in ((pairwise_nt_xent, pair), (within_sensors, views), (across_sensors, pair)):
        for value in (temperature, torch.tensor(temperature)):
            with pytest.raises(ValueError, match=r"\[0.001, 1000\], got"):
                loss(given, value)


def test_wrong_batches_are_named(random_pair):
    a, b = random_pair(3, 2)
    with pytest.raises(ValueError, match=r"a has shape \(3, 2\) and .*\(2, 2\)"):
        within_sensors({"a": (a, b[:2])}, 0.1)
