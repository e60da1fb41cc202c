"""Mirrors src/geotether/objectives/supervised.py."""

import math

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from geotether.objectives.supervised import balanced_weights, known_rows, regression_loss, task_loss

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


@pytest.mark.parametrize("kind", ["classes", "labels", "numbers"])
def test_equals_the_definition(outputs, kind):
    got = task_loss(kind, fit_to(kind, outputs), TARGETS[kind])
    assert got.item() == pytest.approx(by_hand(kind, outputs, TARGETS[kind]), abs=1e-6)


@pytest.mark.parametrize("weights", [(1.0, 2.0, 0.5), (0.0, 3.0, 1.0)])
def test_weighted_classes_equal_the_definition_and_torch(outputs, weights):
    weight = torch.tensor(weights)
    got = task_loss("classes", outputs, CLASSES, weight)
    assert got.item() == pytest.approx(by_hand("classes", outputs, CLASSES, weights), abs=1e-6)
    want = torch.nn.functional.cross_entropy(outputs, CLASSES, weight=weight.double(), ignore_index=-1)
    torch.testing.assert_close(got, want)


@pytest.mark.parametrize("kind", ["classes", "labels", "numbers"])
def test_rows_without_a_target_get_no_gradient(outputs, kind):
    task_loss(kind, fit_to(kind, outputs), TARGETS[kind]).backward()
    gradient = outputs.grad.abs().sum(dim=1)
    assert gradient[[2, 5]].tolist() == [0.0, 0.0]
    assert (gradient[[0, 1, 3, 4, 6]] > 0).all()


@pytest.mark.parametrize("kind", ["classes", "labels", "numbers"])
def test_one_row_is_a_batch(outputs, kind):
    got = task_loss(kind, fit_to(kind, outputs)[3:4], TARGETS[kind][3:4])
    assert got.item() == pytest.approx(by_hand(kind, outputs[3:4], TARGETS[kind][3:4]), abs=1e-6)


@pytest.mark.parametrize("kind", ["classes", "labels", "numbers"])
def test_no_known_row_is_zero_with_a_zero_gradient(outputs, kind):
    loss = task_loss(kind, fit_to(kind, outputs)[[2, 5]], TARGETS[kind][[2, 5]])
    loss.backward()
    assert loss.item() == 0.0
    assert (outputs.grad == 0).all()


def test_known_rows_of_weight_zero_alone_are_zero(outputs):
    loss = task_loss("classes", outputs[[0, 4]], CLASSES[[0, 4]], torch.tensor([0.0, 1.0, 1.0]))
    loss.backward()
    assert loss.item() == 0.0
    assert (outputs.grad == 0).all()


def test_a_column_of_numbers_is_not_compared_with_all_rows(outputs):
    flat = task_loss("numbers", outputs[:, 0], NUMBERS)
    torch.testing.assert_close(task_loss("numbers", outputs[:, :1], NUMBERS), flat)


def test_half_precision_is_widened(outputs):
    half = outputs.detach().bfloat16()
    got = task_loss("classes", half, CLASSES, torch.ones(3))
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, task_loss("classes", half.float(), CLASSES))


def test_balanced_weights_are_those_of_scikit_learn():
    classes = np.random.default_rng(0).choice(4, 200, p=[0.6, 0.3, 0.08, 0.02])
    got = balanced_weights(torch.from_numpy(classes), 4)
    want = compute_class_weight("balanced", classes=np.arange(4), y=classes)
    np.testing.assert_allclose(got, want, rtol=1e-6)
    assert got[torch.from_numpy(classes)].mean().item() == pytest.approx(1, abs=1e-5)
    with_gap = balanced_weights(torch.tensor([0, 2, 2, -1]), 4)
    np.testing.assert_allclose(with_gap, [1.5, 1, 0.75, 1], rtol=1e-6)


def test_wrong_input_is_named(outputs):
    with pytest.raises(ValueError, match="one of classes, labels, numbers; got 'class'"):
        task_loss("class", outputs, CLASSES)
    with pytest.raises(ValueError, match=r"for classes, outputs have the shape \(n, k\).*got \(7, 3\) and \(6,\)"):
        task_loss("classes", outputs, CLASSES[:6])
    with pytest.raises(ValueError, match=r"for labels, .* targets \(n, k\).*got \(7, 3\) and \(7, 2\)"):
        task_loss("labels", outputs, LABELS[:, :2])
    with pytest.raises(ValueError, match=r"for numbers, .*\(n, 1\) or \(n,\).*got \(7, 3\) and \(7,\)"):
        task_loss("numbers", outputs, NUMBERS)
    with pytest.raises(ValueError, match="n at least 1"):
        task_loss("numbers", outputs[:0, 0], NUMBERS[:0])
    with pytest.raises(ValueError, match="class 3 is not one of the 3 outputs, 0 to 2"):
        task_loss("classes", outputs, CLASSES + 1)
    with pytest.raises(ValueError, match="class -2 is not one"):
        known_rows("classes", outputs, CLASSES.clamp(max=0) * 2)
    with pytest.raises(ValueError, match=r"int64, got torch.float32; pass targets.long\(\)"):
        task_loss("classes", outputs, CLASSES.float())
    with pytest.raises(ValueError, match="class_weights are for classes, not for labels"):
        task_loss("labels", outputs, LABELS, torch.ones(3))
    with pytest.raises(ValueError, match="class_weights has 2 entries, but there are 3 classes"):
        task_loss("classes", outputs, CLASSES, torch.ones(2))
    with pytest.raises(ValueError, match="no row has a class"):
        balanced_weights(torch.tensor([-1, -1]), 2)
    with pytest.raises(ValueError, match="class 5 is out of range for k = 2"):
        balanced_weights(torch.tensor([0, 5]), 2)


def test_regression_equals_a_loop():
    generator = torch.Generator().manual_seed(0)
    predicted, target = torch.randn(2, 5, 3, generator=generator, dtype=torch.float64)
    want = sum(
        (float(p) - float(t)) ** 2 for a, b in zip(predicted, target, strict=True) for p, t in zip(a, b, strict=True)
    )
    assert regression_loss(predicted, target).item() == pytest.approx(want / 5)
