"""Co-learning (MDiCo): sensors of one sample learn a task together, so that each can do it alone."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor

from geotether.objectives.presence import Present, check_sensors, common_rows, nothing, take
from geotether.objectives.supervised import check_kind, known_rows, task_loss
from geotether.objectives.views import check_temperature, pairwise_nt_xent
from geotether.suggestions import closest

TERMS = ("task", "auxiliary", "contrast", "discrimination")
"""The four terms, in the order in which the paper adds them."""


@dataclass(frozen=True, eq=False)
class SensorOutputs:
    """What a co-learner gives for one sensor; the fields of a term that is switched off may be left out.

    Args:
        task: Raw outputs of the sensor's own head on [specific; shared], shape (n, k).
        auxiliary_specific, auxiliary_shared: Raw outputs of the common auxiliary head on each part, shape (n, k).
        shared: The shared part, shape (n, d).
        sensor_of_specific: Logits over the sensors from the specific part, shape (n, sensors).
        sensor_of_other: The same from the other part: the unused one in the published figure, the shared one in the
            released code. None: there is no such part, and the specific one alone is judged.
    """

    task: Tensor | None = None
    auxiliary_specific: Tensor | None = None
    auxiliary_shared: Tensor | None = None
    shared: Tensor | None = None
    sensor_of_specific: Tensor | None = None
    sensor_of_other: Tensor | None = None


NEEDS = {
    "task": ("task",),
    "auxiliary": ("auxiliary_specific", "auxiliary_shared"),
    "contrast": ("shared",),
    "discrimination": ("sensor_of_specific",),
}


def colearning_terms(
    outputs: Mapping[str, SensorOutputs],
    kind: str,
    targets: Shaped[Tensor, "n ..."],
    temperature: float = 0.1,
    present: Present | None = None,
    class_weights: Float[Tensor, "_"] | None = None,
    terms: Collection[str] = TERMS,
) -> dict[str, Float[Tensor, ""]]:
    """Compute the terms of MDiCo for one batch.

    Args:
        outputs: Of each sensor, two or more; a sensor's place in the mapping is its class for the classifiers.
        kind: "classes", "labels" or "numbers"; see `task_loss`.
        targets: Targets of the n rows; see `task_loss`. Rows without one take part in contrast and discrimination.
        temperature: Of the contrast; 0.1 is the published one.
        present: True where a row has the sensor. A sensor's means run over its rows, and sensors without a row
            that counts are left out of the mean over sensors.
        class_weights: Of the classes; see `task_loss`.
        terms: Which of `TERMS` to compute.

    Returns:
        * "task": the mean over sensors of `task_loss` of their own heads.
        * "auxiliary": the mean over sensors of the mean of the two auxiliary losses.
        * "contrast": `pairwise_nt_xent` of the shared parts, a sum over ordered pairs.
        * "discrimination": the mean over sensors of the mean cross-entropy of the two sensor classifiers.

        A term without a row that counts is exactly 0 with a gradient of exactly 0.

    Raises:
        ValueError: If a term is unknown or lacks its outputs, there are fewer than two sensors, rows differ, or
            targets do not fit.

    Source:
        Mena et al. (2025), arXiv:2510.19579 (Machine Learning 114:279), the loss as in the released code;
        masks and rows without targets are ours.
    """
    if not terms or set(terms) - set(TERMS):
        raise ValueError(f"terms must be one or more of {', '.join(TERMS)}; got {', '.join(terms) or 'none'}.")
    given = {term: {field: _outputs_of(outputs, term, field) for field in NEEDS[term]} for term in terms}
    for term in terms:
        for parts in given[term].values():
            check_sensors(parts, present, at_least=2)
            check_sensors({**parts, "targets": targets}, None)
    found = {}
    for term in ("task", "auxiliary"):
        if term in terms:
            fields = list(given[term].values())
            found[term] = _mean_task_loss(fields, kind, targets, present, class_weights)
    if "contrast" in terms:
        found["contrast"] = pairwise_nt_xent(given["contrast"]["shared"], temperature, present)
    if "discrimination" in terms:
        found["discrimination"] = _mean_discrimination(outputs, present)
    return found


def _outputs_of(outputs: Mapping[str, SensorOutputs], term: str, field: str) -> dict[str, Tensor]:
    """One field of all sensors."""
    parts = {name: getattr(own, field) for name, own in outputs.items()}
    for name, part in parts.items():
        if part is None:
            raise ValueError(f"the term {term!r} needs {field!r} of {name}; pass it or leave the term out.")
    return parts


def _mean_task_loss(
    fields: list[dict[str, Tensor]],
    kind: str,
    targets: Tensor,
    present: Present | None,
    class_weights: Tensor | None,
) -> Tensor:
    """Average the loss over fields, and over sensors that have a labelled row."""
    losses = []
    for name in fields[0]:
        known = known_rows(kind, fields[0][name], targets)
        rows = common_rows((name,), present)
        rows = known if rows is None else known & rows
        if rows.any():
            # Rows are taken here and not by `task_loss`: an absent sensor's outputs may be NaN.
            losses += [task_loss(kind, field[name][rows], targets[rows], class_weights) for field in fields]
    zero = nothing(*(part for field in fields for part in field.values()))
    return zero + torch.stack(losses).mean() if losses else zero


def _mean_discrimination(outputs: Mapping[str, SensorOutputs], present: Present | None) -> Tensor:
    """Average the cross-entropy of telling sensors apart, over sensors that have a row."""
    losses, everything = [], []
    for place, (name, own) in enumerate(outputs.items()):
        logits = [part for part in (own.sensor_of_specific, own.sensor_of_other) if part is not None]
        everything += logits
        rows = common_rows((name,), present)
        for part in logits:
            if part.ndim != 2 or part.shape[1] != len(outputs):
                raise ValueError(
                    f"the sensor classifier of {name} gives shape {tuple(part.shape)}, but there are {len(outputs)} "
                    "sensors: it needs one logit for each."
                )
        taken = [take(part, rows) for part in logits]
        if len(taken[0]):
            target = torch.full((len(taken[0]),), place, device=taken[0].device)
            losses.append(torch.stack([F.cross_entropy(part, target) for part in taken]).mean())
    zero = nothing(*everything)
    return zero + torch.stack(losses).mean() if losses else zero


def weighted_sum(
    terms: Mapping[str, Float[Tensor, ""]], weights: Mapping[str, float] | None = None
) -> Float[Tensor, ""]:
    """Add up terms, each times its weight.

    Args:
        terms: Terms by name.
        weights: Weights by name, 0 or more; 1 for a term that is not named. A term of weight 0 is left out, so that
            nothing in it can reach the sum or a gradient.

    Returns:
        The sum.

    Raises:
        ValueError: If a weight is for no term, negative or not finite, or none is above 0.

    Example:
        >>> terms = {"task": torch.tensor(2.0), "contrast": torch.tensor(torch.nan)}
        >>> weighted_sum(terms, {"contrast": 0.0}).item()
        2.0
    """
    weights = weights or {}
    for name, weight in weights.items():
        if name not in terms:
            hint = closest(name, terms)
            raise ValueError(f"there is no term {name!r}; the terms are {', '.join(terms)}.{hint}")
        if not 0 <= weight < float("inf"):
            raise ValueError(f"the weight of {name!r} must be 0 or more and finite, got {weight}.")
    kept = [term * weights.get(name, 1.0) for name, term in terms.items() if weights.get(name, 1.0) > 0]
    if not kept:
        raise ValueError("no term has a weight above 0, so there is nothing to learn; give one a weight.")
    return torch.stack(kept).sum()


def distillation_loss(
    kind: str,
    student: Float[Tensor, "n ..."],
    teacher: Float[Tensor, "m ..."],
    temperature: float,
) -> Float[Tensor, ""]:
    """Score how far a student's outputs are from those of a teacher, which gets no gradient.

    Args:
        kind: "classes", "labels" or "numbers"; see `task_loss`.
        student: Raw outputs, shape (n, k); for numbers (n, 1) or (n,).
        teacher: Raw outputs of the teacher for the same rows, the same shape.
        temperature: Softens both sides, 0.001 to 1000; Hinton et al. take 1 to 20.

    Returns:
        * classes: temperature^2 x KL(teacher || student) of the softened softmax, the mean over rows.
        * labels: the same of each label's softened sigmoid, the mean over rows and labels.
        * numbers: squared error, the mean over rows. The temperature cancels: two normal distributions of standard
          deviation T have a divergence of (difference)^2 / (2 T^2).

    Raises:
        ValueError: If the kind is unknown, shapes differ, there is no row, or the temperature is out of range.

    Source:
        Hinton, Vinyals & Dean (2015), "Distilling the Knowledge in a Neural Network", arXiv:1503.02531, section 2.

    Example:
        >>> distillation_loss("classes", torch.zeros(2, 3), torch.zeros(2, 3), temperature=2.0).item()
        0.0
    """
    check_kind(kind)
    check_temperature(temperature)
    if student.shape != teacher.shape or len(student) == 0:
        raise ValueError(
            f"student has shape {tuple(student.shape)} and teacher {tuple(teacher.shape)}; pass outputs for the same "
            "rows, one at least."
        )
    student = student if student.dtype == torch.float64 else student.float()
    goal = teacher.detach().to(student.dtype)
    if kind == "numbers":
        return F.mse_loss(student, goal)
    student, goal = student / temperature, goal / temperature
    if kind == "classes":
        kl = F.kl_div(student.log_softmax(dim=1), goal.log_softmax(dim=1), reduction="batchmean", log_target=True)
        return temperature**2 * kl
    share = goal.sigmoid()
    # KL of two Bernoullis from logits: no logarithm of a probability that has rounded to 0 or 1.
    kl = share * (goal - student) + F.softplus(student) - F.softplus(goal)
    return temperature**2 * kl.mean()
