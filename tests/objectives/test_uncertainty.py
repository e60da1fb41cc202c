"""Mirrors src/geotether/objectives/uncertainty.py."""

import math

import pytest
import torch

from geotether.objectives.uncertainty import UncertaintyWeights

TERMS = {"task": torch.tensor(0.3, dtype=torch.float64), "contrast": torch.tensor(4.0, dtype=torch.float64)}


def set_to(weights, variance):
    with torch.no_grad():
        weights.log_variance.copy_(torch.tensor(variance).log())


@pytest.mark.parametrize("form", ["kendall", "corrected"])
def test_equals_the_definition(form):
    weights = UncertaintyWeights(["task", "contrast"], form).double()
    want = 0.0
    set_to(weights, [0.5, 3.0])
    for loss, variance in ((0.3, 0.5), (4.0, 3.0)):
        penalty = math.log(math.sqrt(variance)) if form == "kendall" else math.log(1 + variance)
        want += loss / (2 * variance) + penalty
    assert weights(TERMS).item() == pytest.approx(want, abs=1e-6)
    assert weights(dict(reversed(TERMS.items()))).item() == pytest.approx(want, abs=1e-6)  # by name, not by place
    assert weights.weights() == pytest.approx({"task": 1.0, "contrast": 1 / 6})


@pytest.mark.parametrize("form", ["kendall", "corrected"])
def test_learns_the_best_variance(form):
    """Both have a closed form: L, and the root of 2 v^2 = L (1 + v)."""
    weights = UncertaintyWeights(["task", "contrast"], form).double()
    optimiser = torch.optim.LBFGS(weights.parameters(), max_iter=100, line_search_fn="strong_wolfe")

    def loss():
        optimiser.zero_grad()
        value = weights(TERMS)
        value.backward()
        return value

    optimiser.step(loss)
    best = [t if form == "kendall" else (t + math.sqrt(t * t + 8 * t)) / 4 for t in (0.3, 4.0)]
    assert weights.log_variance.exp().tolist() == pytest.approx(best, rel=1e-3)


def test_gradient_reaches_terms_and_variances():
    weights = UncertaintyWeights(["a"]).double()
    term = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    weights({"a": term}).backward()
    assert term.grad.item() == 0.5
    assert weights.log_variance.grad.item() == pytest.approx(-3 / 2 + 1 / 2)


def test_corrected_stays_above_zero_where_kendall_falls_below():
    tiny = {"a": torch.tensor(1e-6)}
    for form, below in (("kendall", True), ("corrected", False)):
        weights = UncertaintyWeights(["a"], form)
        set_to(weights, [1e-6])
        assert (weights(tiny).item() < 0) == below


def test_a_large_variance_does_not_overflow():
    weights = UncertaintyWeights(["a"], "corrected")
    with torch.no_grad():
        weights.log_variance.fill_(200.0)
    assert weights({"a": torch.tensor(1.0)}).item() == pytest.approx(200)


def test_wrong_input_is_named():
    with pytest.raises(ValueError, match="one or more different texts, got"):
        UncertaintyWeights([])
    with pytest.raises(ValueError, match="different texts"):
        UncertaintyWeights(["a", "a"])
    with pytest.raises(ValueError, match="one of kendall, corrected; got 'sum'"):
        UncertaintyWeights(["a"], "sum")
    with pytest.raises(ValueError, match="the terms are a, but the weights a, b"):
        UncertaintyWeights(["a", "b"])({"a": torch.tensor(1.0)})
