"""Warnings when the loss on validation rows is above chance: what was learned does not generalise."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

_LOSS, _CHANCE = "validation/loss/", "validation/chance/"
_FEWEST_VALIDATIONS, _FEWEST_ROWS = 3, 50
ADVICE = (
    "What is learned does not generalise to held-out places. Try keep=best with patience, fewer steps, a smaller "
    "encoder (lower l_max, hidden_dim), more weight_decay or jitter_m, more rows; or these features do not depend on "
    "the place."
)


def rising_warning(lines: Sequence[Mapping[str, Any]]) -> str:
    """Name the modalities whose validation loss is above chance and was no lower twice than an earlier one.

    Early in training the loss may be above chance and still falling.

    Args:
        lines: Metrics of the run so far.
    """
    names = [name for name, losses in above_chance(lines).items() if min(losses[-2:]) >= min(losses[:-2])]
    named = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    return f"The held-out loss of {named} rises above chance. {ADVICE}" if names else ""


def final_warning(lines: Sequence[Mapping[str, Any]], best: bool = False) -> str:
    """Name the validation losses of the final model that are above chance and no longer fall.

    Args:
        lines: Metrics of the run.
        best: Whether the weights of the best validation were kept, not the last.
    """
    validations = [line for line in lines if "validation/loss" in line]
    line = min(validations, key=lambda line: line["validation/loss"], default={}) if best else None
    said = [
        f"{name} {(line or validations[-1])[_LOSS + name]:.2f} (chance {validations[-1][_CHANCE + name]:.2f})"
        for name, losses in above_chance(lines, line).items()
        if losses[-1] >= min(losses[:-1])
    ]
    return f"The held-out loss of this model is above chance: {', '.join(said)}. {ADVICE}" if said else ""


def above_chance(lines: Sequence[Mapping[str, Any]], line: Mapping[str, Any] | None = None) -> dict[str, list[float]]:
    """Return the modalities whose validation loss is above chance, with the losses of all validations.

    Fewer than three validations, or fewer than fifty rows, show nothing; chance is the logarithm of their number.

    Args:
        lines: Metrics of the run.
        line: The validation to compare with chance; None for the last.
    """
    validations = [one for one in lines if "validation/loss" in one]
    found = {}
    for key in [key for key in validations[-1] if key.startswith(_CHANCE)] if validations else ():
        loss, chance = key.replace(_CHANCE, _LOSS), validations[-1][key]
        losses = [math.inf if math.isnan(one[loss]) else one[loss] for one in validations if loss in one]
        enough = len(losses) >= _FEWEST_VALIDATIONS and math.exp(chance) > _FEWEST_ROWS - 0.5
        if enough and (line or validations[-1])[loss] > chance:
            found[key.removeprefix(_CHANCE)] = losses
    return found
