"""Co-learning (MDiCo): terms that train sensors of one sample together for a task, and the weights of terms."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from geotether.objectives.presence import Present, check_sensors, common_rows, take, zero_loss
from geotether.objectives.supervised import check_kind, known_rows, task_loss
from geotether.objectives.views import check_temperature, pairwise_nt_xent
from geotether.suggestions import closest

TERMS = ("task", "auxiliary", "contrast", "discrimination")
"""The four terms, in the order of the paper."""


@dataclass(frozen=True, eq=False)
class SensorOutputs:
    """Outputs of a co-learner for one sensor; fields of terms that are not computed may be left out.

    Args:
        task: Raw outputs of the sensor's own head on [specific; shared], shape (n, k).
        auxiliary_specific, auxiliary_shared: Raw outputs of the common auxiliary head on each part, shape (n, k).
        shared: The shared part, shape (n, d).
        sensor_of_specific: Logits over the sensors from the specific part, shape (n, sensors).
        sensor_of_other: The same from another part: the unused one in the published figure, the shared one in the
            released code. None: only the specific part is classified.
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
        outputs: Of two or more sensors; a sensor's position in the mapping is its class for the classifiers.
        kind: "classes", "labels" or "numbers"; see `task_loss`.
        targets: Targets of the n rows; see `task_loss`. Rows without one take part in contrast and discrimination.
        temperature: Temperature of the contrast; the published value is 0.1.
        present: True where a row has the sensor. Means run over the rows of a sensor, and sensors without usable rows
            are left out of the mean over sensors.
        class_weights: Weights of the classes; see `task_loss`.
        terms: Which of `TERMS` to compute.

    Returns:
        * "task": the mean over sensors of `task_loss` of their own heads.
        * "auxiliary": the mean over sensors of the mean of the two auxiliary losses.
        * "contrast": `pairwise_nt_xent` of the shared parts, a sum over ordered pairs.
        * "discrimination": the mean over sensors of the mean cross-entropy of the two sensor classifiers.

        A term without usable rows is exactly 0 with a gradient of exactly 0.

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
    """Return one field of all sensors."""
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
            # Rows are selected here and not by `task_loss`, because outputs of an absent sensor may be NaN.
            losses += [task_loss(kind, field[name][rows], targets[rows], class_weights) for field in fields]
    zero = zero_loss(*(part for field in fields for part in field.values()))
    return zero + torch.stack(losses).mean() if losses else zero


def _mean_discrimination(outputs: Mapping[str, SensorOutputs], present: Present | None) -> Tensor:
    """Average the cross-entropy of the sensor classifiers over sensors that have a row."""
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
    zero = zero_loss(*everything)
    return zero + torch.stack(losses).mean() if losses else zero


def weighted_sum(
    terms: Mapping[str, Float[Tensor, ""]], weights: Mapping[str, float] | None = None
) -> Float[Tensor, ""]:
    """Compute the weighted sum of terms.

    Args:
        terms: Terms by name.
        weights: Weights by name, 0 or more; 1 for a term that is not named. A term of weight 0 is left out, even if
            it is NaN.

    Raises:
        ValueError: If a weight names an unknown term or is negative or not finite, or none is above 0.

    Example:
        >>> terms = {"task": torch.tensor(2.0), "contrast": torch.tensor(torch.nan)}
        >>> weighted_sum(terms, {"contrast": 0.0}).item()
        2.0
    """
    weights = weights or {}
    for name, weight in weights.items():
        if name not in terms:
            raise ValueError(f"unknown term {name!r}; known: {', '.join(terms)}.{closest(name, terms)}")
        if not 0 <= weight < float("inf"):
            raise ValueError(f"the weight of {name!r} must be 0 or more and finite, got {weight}.")
    kept = [term * weights.get(name, 1.0) for name, term in terms.items() if weights.get(name, 1.0) > 0]
    if not kept:
        raise ValueError("no term has a weight above 0; set one above 0.")
    return torch.stack(kept).sum()


FORMS = ("kendall", "corrected")
"""Penalties that keep the weights from going to zero: log s, or log(1 + s^2), which is never negative."""


class UncertaintyWeights(nn.Module):
    """Learned weights of terms: each term L is weighted by 1 / (2 s^2), where s is its learned noise.

    "kendall" adds log s to each weighted term, so the best s^2 is L, and the sum falls without limit as a term nears 0.
    "corrected" adds log(1 + s^2): the sum stays positive, and the best s^2 is (L + sqrt(L^2 + 8 L)) / 4.

    Args:
        names: Names of the terms.
        form: One of `FORMS`.

    Attributes:
        log_variance: log s^2 of each term, shape (terms,), initially 0, so that all weights are one half.

    Raises:
        ValueError: If there are no names, one is repeated, or the form is unknown.

    Source:
        Kendall, Gal & Cipolla (2018), CVPR, arXiv:1705.07115, eq. 7 (the sum of regression terms, used here for
        all terms). Liebel & Koerner (2018), "Auxiliary Tasks in Multi-task Learning", arXiv:1805.06334
        (the corrected penalty).

    Example:
        >>> weights = UncertaintyWeights(["task", "contrast"])
        >>> weights({"task": torch.tensor(3.0), "contrast": torch.tensor(1.0)}).item()
        2.0
    """

    def __init__(self, names: Sequence[str], form: str = "kendall") -> None:
        super().__init__()
        if not names or len(set(names)) != len(names):
            raise ValueError(f"names must be one or more distinct strings, got {list(names)}.")
        if form not in FORMS:
            raise ValueError(f"form must be one of {', '.join(FORMS)}; got {form!r}.")
        self.names = tuple(names)
        self.form = form
        self.log_variance = nn.Parameter(torch.zeros(len(names)))

    def forward(self, terms: Mapping[str, Float[Tensor, ""]]) -> Float[Tensor, ""]:
        """Return the sum of weighted terms (each 0 or more) and penalties; ValueError if terms differ from `names`."""
        if set(terms) != set(self.names):
            raise ValueError(
                f"the terms are {', '.join(terms) or 'none'}, but the weights are for {', '.join(self.names)}."
            )
        values = torch.stack([terms[name] for name in self.names])
        log_variance = self.log_variance.to(values.dtype)
        # log(1 + s^2) is softplus of log s^2, which does not overflow.
        penalty = log_variance / 2 if self.form == "kendall" else nn.functional.softplus(log_variance)
        return (values * (-log_variance).exp() / 2 + penalty).sum()


def distillation_loss(
    kind: str,
    student: Float[Tensor, "n ..."],
    teacher: Float[Tensor, "m ..."],
    temperature: float,
) -> Float[Tensor, ""]:
    """Compute the loss of a student's outputs relative to those of a teacher, which gets no gradient.

    Args:
        kind: "classes", "labels" or "numbers"; see `task_loss`.
        student: Raw outputs, shape (n, k); for numbers (n, 1) or (n,).
        teacher: Raw outputs of the teacher for the same rows, the same shape.
        temperature: Softens both sides, 0.001 to 1000; Hinton et al. use 1 to 20.

    Returns:
        * classes: temperature^2 x KL(teacher || student) of the softened softmax, averaged over rows.
        * labels: the same of each label's softened sigmoid, averaged over rows and labels.
        * numbers: squared error, averaged over rows. The temperature cancels: two normal distributions of standard
          deviation T have a divergence of (difference)^2 / (2 T^2).

    Raises:
        ValueError: If the kind is unknown, shapes differ, there are no rows, or the temperature is out of range.

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
            "rows, at least one."
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
    # KL of two Bernoullis from logits: it avoids the logarithm of a probability that has rounded to 0 or 1.
    kl = share * (goal - student) + F.softplus(student) - F.softplus(goal)
    return temperature**2 * kl.mean()
