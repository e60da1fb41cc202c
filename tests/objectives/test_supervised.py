"""Mirrors src/geotether/objectives/supervised.py."""

import math

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from geotether.objectives.supervised import balanced_weights, task_loss

UNKNOWN = math.nan


@pytest.fixture
def outputs():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(7, 3, generator=generator, dtype=torch.float64, requires_grad=True)


CLASSES = torch.tensor([0, 2, -1, 1, 0, -1, 0])
LABELS = torch.tensor([[1, 0, 1], [0, 0, 0], [UNKNOWN] * 3, [1, 1, 1], [0, 1, 0], [UNKNOWN] * 3, [1, 0, 0]])
NUMBERS = torch.tensor([0.5, -1.0, UNKNOWN, 2.0, 0.0, UNKNOWN, 1.5])
TARGETS = {"classes": CLASSES, "labels": LABELS, "numbers": NUMBERS}


def by_hand(kind, outputs, targets, weights=(1.0, 1.0, 1.0)):
    """The definitions with loops."""
    total = count = 0.0
    for found, wanted in zip(outputs.tolist(), targets.tolist(), strict=True):
        if kind == "classes" and wanted >= 0:
            total -= weights[wanted] * (found[wanted] - math.log(sum(map(math.exp, found))))
            count += weights[wanted]
        elif kind == "labels" and not math.isnan(wanted[0]):
            for x, on in zip(found, wanted, strict=True):
                p = 1 / (1 + math.exp(-x))
                total -= on * math.log(p) + (1 - on) * math.log(1 - p)
                count += 1
        elif kind == "numbers" and not math.isnan(wanted):
            total += (found[0] - wanted) ** 2
            count += 1
    return total / count


def fit_to(kind, outputs):
    return outputs[:, :1] if kind == "numbers" else outputs


@pytest.mark.parametrize("weights", [(1.0, 2.0, 0.5), (0.0, 3.0, 1.0)])
def test_weighted_classes_equal_the_definition_and_torch(outputs, weights):
    weight = torch.tensor(weights)
    got = task_loss("classes", outputs, CLASSES, weight)
    assert got.item() == pytest.approx(by_hand("classes", outputs, CLASSES, weights), abs=1e-6)
    want = torch.nn.functional.cross_entropy(outputs, CLASSES, weight=weight.double(), ignore_index=-1)
    torch.testing.assert_close(got, want)


def test_known_rows_of_weight_zero_alone_are_zero(outputs):
    loss = task_loss("classes", outputs[[0, 4]], CLASSES[[0, 4]], torch.tensor([0.0, 1.0, 1.0]))
    loss.backward()
    assert loss.item() == 0.0
    assert (outputs.grad == 0).all()


def test_balanced_weights_are_those_of_scikit_learn():
    classes = np.random.default_rng(0).choice(4, 200, p=[0.6, 0.3, 0.08, 0.02])
    got = balanced_weights(torch.from_numpy(classes), 4)
    want = compute_class_weight("balanced", classes=np.arange(4), y=classes)
    np.testing.assert_allclose(got, want, rtol=1e-6)
    assert got[torch.from_numpy(classes)].mean().item() == pytest.approx(1, abs=1e-5)
    with_gap = balanced_weights(torch.tensor([0, 2, 2, -1]), 4)
    np.testing.assert_allclose(with_gap, [1.5, 1, 0.75, 1], rtol=1e-6)


@pytest.mark.parametrize("kind", ["classes", "labels", "numbers"])
def test_known_rows_count_and_no_others(outputs, kind):
    found, targets = fit_to(kind, outputs), TARGETS[kind]
    loss = task_loss(kind, found, targets)
    assert loss.item() == pytest.approx(by_hand(kind, outputs, targets), abs=1e-6)
    if kind == "numbers":  # predictions of shape (n,) as well as (n, 1)
        torch.testing.assert_close(task_loss(kind, outputs[:, 0], targets), loss)
    gradient = torch.autograd.grad(loss, outputs, retain_graph=True)[0].abs().sum(dim=1)
    assert gradient[[2, 5]].tolist() == [0.0, 0.0]
    assert (gradient[[0, 1, 3, 4, 6]] > 0).all()
    one = task_loss(kind, found[3:4], targets[3:4])
    assert one.item() == pytest.approx(by_hand(kind, outputs[3:4], targets[3:4]), abs=1e-6)
    nothing = task_loss(kind, found[[2, 5]], targets[[2, 5]])
    assert nothing.item() == 0.0
    assert (torch.autograd.grad(nothing, outputs)[0] == 0).all()


@pytest.mark.parametrize(
    ("kind", "columns", "targets", "weights", "message"),
    [
        ("class", 3, CLASSES, None, "one of classes, labels, numbers; got 'class'"),
        ("classes", 3, CLASSES[:6], None, r"for classes, .*\(n, k\).*got \(7, 3\) and \(6,\)"),
        ("labels", 3, LABELS[:, :2], None, r"for labels, .*targets \(n, k\).*got \(7, 3\) and \(7, 2\)"),
        ("numbers", 3, NUMBERS, None, r"for numbers, .*\(n, 1\) or \(n,\).*got \(7, 3\) and \(7,\)"),
        ("classes", 3, CLASSES + 1, None, "class 3 is not one of the 3 outputs, 0 to 2"),
        ("classes", 3, CLASSES.clamp(max=0) * 2, None, "class -2 is not one"),
        ("classes", 3, CLASSES.float(), None, r"int64, got torch.float32"),
        ("labels", 3, LABELS, torch.ones(3), "class_weights are for classes, not for labels"),
        ("classes", 3, CLASSES, torch.ones(2), "class_weights has 2 entries, but there are 3 classes"),
    ],
)
def test_wrong_input_is_named(outputs, kind, columns, targets, weights, message):
    with pytest.raises(ValueError, match=message):
        task_loss(kind, outputs[:, :columns], targets, weights)


@pytest.mark.parametrize(("classes", "message"), [([-1, -1], "no row has a class"), ([0, 5], "class 5 .* k = 2")])
def test_classes_without_weights_are_named(classes, message):
    with pytest.raises(ValueError, match=message):
        balanced_weights(torch.tensor(classes), 2)
