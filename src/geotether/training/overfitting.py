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


class OverfittingWatch:
    """Warns once when a modality's validation loss rises above chance.

    Early in training the loss may be above chance and still falling, so it warns only when the last two validations
    were both no lower than an earlier one.
    """

    def __init__(self) -> None:
        self._lowest: dict[str, float] = {}
        self._stale: dict[str, int] = {}
        self._said = False

    def notice(self, line: Mapping[str, Any]) -> str:
        """Record the `validation/loss/M` and, where known, `validation/chance/M` of every modality M.

        Returns:
            The warning; empty if there is none or it was given before.
        """
        for key in line:
            if key.startswith(_LOSS):
                lowest = self._lowest.get(key, float("inf"))
                fell = line[key] < lowest or key not in self._lowest
                self._stale[key] = 0 if fell else self._stale[key] + 1
                self._lowest[key] = min(lowest, line[key])  # NaN leaves the lowest unchanged
        climbing = [name for name in above_chance(line) if self._stale[_LOSS + name] >= 2 and _is_enough(line, name)]
        if not climbing or self._said:
            return ""
        self._said = True
        return f"The held-out loss of {_named(climbing)} rises above chance. {ADVICE}"


def above_chance(line: Mapping[str, Any]) -> list[str]:
    """Return the modalities whose validation loss is above chance.

    Example:
        >>> above_chance({"validation/loss/a": 6.1, "validation/chance/a": 5.5, "validation/loss/b": 7.0})
        ['a']
    """
    names = [key.removeprefix(_CHANCE) for key in line if key.startswith(_CHANCE)]
    return [name for name in names if line.get(f"{_LOSS}{name}", 0.0) > line[f"{_CHANCE}{name}"]]


def final_warning(lines: Sequence[Mapping[str, Any]], best: bool = False) -> str:
    """Name the validation losses of the final model that are above chance and no longer fall.

    Fewer than three validations, or fewer than fifty rows, say nothing about it.

    Args:
        lines: Metrics of the run.
        best: Whether the weights of the best validation were kept, not the last.
    """
    validations = [line for line in lines if any(key.startswith(_CHANCE) for key in line)]
    if len(validations) < _FEWEST_VALIDATIONS:
        return ""
    line = min(validations, key=lambda line: line["validation/loss"]) if best else validations[-1]
    names = []
    for name in above_chance(line):
        earlier = [one[_LOSS + name] for one in validations[:-1] if _LOSS + name in one]
        if _is_enough(line, name) and validations[-1][_LOSS + name] >= min(earlier):
            names.append(f"{name} {line[_LOSS + name]:.2f} (chance {line[_CHANCE + name]:.2f})")
    return f"The held-out loss of this model is above chance: {', '.join(names)}. {ADVICE}" if names else ""


def _is_enough(line: Mapping[str, Any], name: str) -> bool:
    """Return whether a modality has enough validation rows; chance is the logarithm of their number."""
    return math.exp(line[_CHANCE + name]) > _FEWEST_ROWS - 0.5


def _named(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
