"""Mirrors src/geotether/objectives/colearning.py."""

import itertools
import math

import pytest
import torch

from geotether.objectives.colearning import (
    TERMS,
    SensorOutputs,
    UncertaintyWeights,
    colearning_terms,
    distillation_loss,
    weighted_sum,
)

CLASSES = torch.tensor([0, 1, 2, -1, 0, 2])
PRESENT = {"s1": torch.tensor([True, False, True, True, True, False])}
ALL = [True] * 6


@pytest.fixture
def outputs():
    generator = torch.Generator().manual_seed(0)

    def random(width):
        return torch.randn(6, width, generator=generator, dtype=torch.float64, requires_grad=True)

    widths = (3, 3, 3, 4, 2, 2)
    return {name: SensorOutputs(*map(random, widths)) for name in ("s1", "s2")}


def cross_entropy(rows, targets, keep):
    losses = [
        math.log(sum(map(math.exp, row))) - row[target]
        for row, target, there in zip(rows.tolist(), targets, keep, strict=True)
        if there and target >= 0
    ]
    return sum(losses) / len(losses)


def by_hand(nt_xent, outputs, present):
    """The formula with loops over sensors and rows."""
    found = dict.fromkeys(TERMS, 0.0)
    share = 1 / len(outputs)
    targets = CLASSES.tolist()
    for m, (name, own) in enumerate(outputs.items()):
        keep = present[name].tolist() if name in present else ALL
        found["task"] += share * cross_entropy(own.task, targets, keep)
        for part in (own.auxiliary_specific, own.auxiliary_shared):
            found["auxiliary"] += share * 0.5 * cross_entropy(part, targets, keep)
        for part in (own.sensor_of_specific, own.sensor_of_other):
            found["discrimination"] += share * 0.5 * cross_entropy(part, [m] * 6, keep)
    for one, other in itertools.permutations(outputs, 2):
        keep = [all(present[n][i] for n in (one, other) if n in present) for i in range(6)]
        found["contrast"] += nt_xent(outputs[one].shared[keep], outputs[other].shared[keep], 0.1)
    return found


@pytest.mark.parametrize("present", [{}, PRESENT], ids=["all rows", "some rows"])
def test_terms_equal_the_formula(nt_xent_by_hand, outputs, present):
    found = colearning_terms(outputs, "classes", CLASSES, present=present)
    assert {name: term.item() for name, term in found.items()} == pytest.approx(
        by_hand(nt_xent_by_hand, outputs, present), abs=1e-6
    )
    assert list(found) == list(TERMS)


def test_weights_of_classes_reach_task_and_auxiliary(outputs):
    weight = torch.tensor([0.0, 0.0, 1.0])
    found = colearning_terms(outputs, "classes", CLASSES, class_weights=weight)
    only_twos = torch.where(CLASSES == 2, CLASSES, -1)
    want = colearning_terms(outputs, "classes", only_twos)
    torch.testing.assert_close(found["task"], want["task"])
    torch.testing.assert_close(found["auxiliary"], want["auxiliary"])


def test_absent_rows_may_contain_anything(outputs):
    want = colearning_terms(outputs, "classes", CLASSES, present=PRESENT)
    s1 = outputs["s1"]
    fields = (s1.task, s1.auxiliary_specific, s1.auxiliary_shared, s1.shared, s1.sensor_of_specific, s1.sensor_of_other)
    with torch.no_grad():
        for field in fields:
            field[~PRESENT["s1"]] = math.nan
    got = colearning_terms(outputs, "classes", CLASSES, present=PRESENT)
    torch.testing.assert_close(got, want)
    gradients = torch.autograd.grad(weighted_sum(got), fields)
    assert all((gradient[~PRESENT["s1"]] == 0).all() for gradient in gradients)
    assert all(gradient[PRESENT["s1"]].abs().sum() > 0 for gradient in gradients)


def test_rows_without_a_target_take_part_in_contrast_and_discrimination(outputs):
    found = colearning_terms(outputs, "classes", CLASSES)
    s1 = outputs["s1"]
    assert (torch.autograd.grad(found["task"], s1.task)[0][3] == 0).all()
    assert (torch.autograd.grad(found["contrast"], s1.shared)[0][3] != 0).all()
    assert (torch.autograd.grad(found["discrimination"], s1.sensor_of_specific)[0][3] != 0).all()


def test_a_batch_without_targets_is_finite(outputs):
    found = colearning_terms(outputs, "classes", torch.full((6,), -1))
    assert found["task"].item() == found["auxiliary"].item() == 0.0
    gradient = torch.autograd.grad(weighted_sum(found), outputs["s1"].task)[0]
    assert (gradient == 0).all()
    assert math.isfinite(weighted_sum(found).item())


def test_sensors_without_rows_are_excluded_from_the_mean(outputs):
    nobody = {"s1": torch.zeros(6, dtype=torch.bool)}
    found = colearning_terms(outputs, "classes", CLASSES, present=nobody)
    assert found["task"].item() == pytest.approx(cross_entropy(outputs["s2"].task, CLASSES.tolist(), ALL), abs=1e-6)
    assert found["contrast"].item() == 0.0


def test_one_row_is_a_batch(outputs):
    single = {name: SensorOutputs(*(field[:1] for field in vars(own).values())) for name, own in outputs.items()}
    found = colearning_terms(single, "classes", CLASSES[:1])
    assert found["contrast"].item() == pytest.approx(0, abs=1e-12)
    assert found["task"].item() > 0


def test_discrimination_without_shared_outputs_uses_the_specific_ones(outputs):
    alone = {name: SensorOutputs(sensor_of_specific=own.sensor_of_specific) for name, own in outputs.items()}
    found = colearning_terms(alone, "classes", CLASSES, terms=["discrimination"])
    want = sum(cross_entropy(own.sensor_of_specific, [m] * 6, ALL) for m, own in enumerate(outputs.values())) / 2
    assert found["discrimination"].item() == pytest.approx(want, abs=1e-6)


def probabilities(kind, row):
    """The probabilities that a row of logits gives: of its classes, or of each label and its opposite."""
    if kind == "classes":
        return [[math.exp(x) / sum(map(math.exp, row)) for x in row]]
    return [[1 / (1 + math.exp(-x)), 1 / (1 + math.exp(x))] for x in row]


@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize("kind", ["classes", "labels", "numbers"])
def test_distillation_equals_the_definition(kind, temperature):
    width = 1 if kind == "numbers" else 3
    student, teacher = torch.randn(2, 5, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    if kind == "numbers":  # the squared error, at any temperature
        want = (
            sum((s - t) ** 2 for s, t in zip(student.flatten().tolist(), teacher.flatten().tolist(), strict=True)) / 5
        )
    else:
        rows = zip((student / temperature).tolist(), (teacher / temperature).tolist(), strict=True)
        pairs = [pq for s, t in rows for pq in zip(probabilities(kind, t), probabilities(kind, s), strict=True)]
        divergences = [sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)) for p, q in pairs]
        want = temperature**2 * sum(divergences) / len(divergences)
    assert distillation_loss(kind, student, teacher, temperature).item() == pytest.approx(want, abs=1e-6)


@pytest.mark.parametrize("kind", ["classes", "labels", "numbers"])
def test_the_teacher_has_no_gradient_and_its_output_is_the_optimum(kind):
    width = 1 if kind == "numbers" else 4
    student, teacher = torch.randn(2, 5, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    student.requires_grad_()
    teacher.requires_grad_()
    distillation_loss(kind, student, teacher, 2.0).backward()
    assert teacher.grad is None
    assert student.grad.abs().sum() > 0
    same = teacher.detach().clone().requires_grad_()
    loss = distillation_loss(kind, same, teacher, 2.0)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-12)
    assert same.grad.abs().max() < 1e-12


def test_weighted_sum_equals_the_definition():
    terms = {name: torch.tensor(value, requires_grad=True) for name, value in {"a": 2.0, "b": 3.0, "c": 5.0}.items()}
    assert weighted_sum(terms).item() == 10
    assert weighted_sum(terms, {"b": 0.5, "c": 0}).item() == 3.5
    zero = torch.zeros((), requires_grad=True)
    weighted_sum({**terms, "not finite": zero.log() * zero}, {"not finite": 0.0}).backward()
    assert terms["a"].grad.item() == 1.0
    assert zero.grad is None


def test_extreme_values_do_not_overflow():
    student, teacher = torch.tensor([[200.0, -200.0]]), torch.tensor([[-200.0, -200.0]])
    assert distillation_loss("labels", student, teacher, 1.0).item() == pytest.approx(100)
    tiny = math.log(1e-6)
    cases = (("corrected", 200.0, 1.0, 200.0), ("kendall", tiny, 1e-6, -6.4), ("corrected", tiny, 1e-6, 0.5))
    for form, variance, loss, want in cases:
        weights = UncertaintyWeights(["a"], form)
        with torch.no_grad():
            weights.log_variance.fill_(variance)
        assert weights({"a": torch.tensor(loss)}).item() == pytest.approx(want, abs=0.1)


WEIGHTED = {"task": torch.tensor(0.3, dtype=torch.float64), "contrast": torch.tensor(4.0, dtype=torch.float64)}


@pytest.mark.parametrize("form", ["kendall", "corrected"])
def test_learned_weights_equal_their_definition(form):
    weights = UncertaintyWeights(["task", "contrast"], form).double()
    with torch.no_grad():
        weights.log_variance.copy_(torch.tensor([0.5, 3.0]).log())
    want = 0.0
    for loss, variance in ((0.3, 0.5), (4.0, 3.0)):
        penalty = math.log(math.sqrt(variance)) if form == "kendall" else math.log(1 + variance)
        want += loss / (2 * variance) + penalty
    assert weights(WEIGHTED).item() == pytest.approx(want, abs=1e-6)
    assert weights(dict(reversed(WEIGHTED.items()))).item() == pytest.approx(want, abs=1e-6)  # by name, not by place
    term = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.grad(weights({**WEIGHTED, "task": term}), term)[0].item() == pytest.approx(1.0)


@pytest.mark.parametrize("form", ["kendall", "corrected"])
def test_learned_weights_reach_the_closed_form(form):
    """Both have a closed form: L, and the root of 2 v^2 = L (1 + v)."""
    weights = UncertaintyWeights(["task", "contrast"], form).double()
    optimiser = torch.optim.LBFGS(weights.parameters(), max_iter=100, line_search_fn="strong_wolfe")

    def loss():
        optimiser.zero_grad()
        value = weights(WEIGHTED)
        value.backward()
        return value

    optimiser.step(loss)
    best = [t if form == "kendall" else (t + math.sqrt(t * t + 8 * t)) / 4 for t in (0.3, 4.0)]
    assert weights.log_variance.exp().tolist() == pytest.approx(best, rel=1e-3)


TWO = {"task": torch.tensor(1.0), "contrast": torch.tensor(1.0)}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda given: colearning_terms(given, "classes", CLASSES[:5]), "s1: 6, s2: 6, targets: 5"),
        (lambda given: colearning_terms(given, "classes", CLASSES, terms=["main"]), "discrimination; got main"),
        (
            lambda given: colearning_terms(
                {n: SensorOutputs(own.task) for n, own in given.items()}, "classes", CLASSES
            ),
            "'auxiliary' needs 'auxiliary_specific' of s1",
        ),
        (
            lambda given: colearning_terms(
                {n: SensorOutputs(sensor_of_specific=own.task) for n, own in given.items()},
                "classes",
                CLASSES,
                terms=["discrimination"],
            ),
            r"classifier of s1 gives shape \(6, 3\), but there are 2 sensors",
        ),
        (lambda _: weighted_sum(TWO, {"contrats": 1.0}), r"'contrats'.*Did you mean 'contrast'"),
        (lambda _: weighted_sum(TWO, {"task": math.nan}), "weight of 'task' must be 0 or more"),
        (lambda _: weighted_sum(TWO, {"task": -1.0}), "weight of 'task' must be 0 or more"),
        (lambda _: weighted_sum(TWO, {"task": 0.0, "contrast": 0.0}), "no term has a weight above 0"),
        (
            lambda _: distillation_loss("classes", torch.zeros(2, 3), torch.zeros(2, 2), 1.0),
            r"student has shape \(2, 3\) and teacher \(2, 2\)",
        ),
        (lambda _: UncertaintyWeights([]), "one or more"),
        (lambda _: UncertaintyWeights(["a", "a"]), "distinct"),
        (lambda _: UncertaintyWeights(["a"], "sum"), "one of kendall, corrected; got 'sum'"),
        (lambda _: UncertaintyWeights(["a", "b"])({"a": torch.tensor(1.0)}), r"terms are a, .* a, b"),
    ],
)
def test_wrong_input_is_named(outputs, call, message):
    with pytest.raises(ValueError, match=message):
        call(outputs)
