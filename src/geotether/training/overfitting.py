"""Warnings when the loss on validation rows is above chance: what was learned does not generalise."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geotether.training.metrics import read_metrics

_LOSS, _CHANCE = "validation/loss/", "validation/chance/"
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
        climbing = [name for name in above_chance(line) if self._stale[_LOSS + name] >= 2]
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


def final_warning(folder: Path, best: bool = False) -> str:
    """Name the validation losses of the final model that are above chance.

    Returns:
        The warning; empty if there is none.
    """
    lines = [line for line in read_metrics(folder) if any(key.startswith(_CHANCE) for key in line)]
    if not lines:
        return ""
    line = min(lines, key=lambda line: line["validation/loss"]) if best else lines[-1]
    names = above_chance(line)
    if not names:
        return ""
    losses = ", ".join(f"{name} {line[_LOSS + name]:.2f} (chance {line[_CHANCE + name]:.2f})" for name in names)
    return f"The held-out loss of this model is above chance: {losses}. {ADVICE}"


def _named(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
