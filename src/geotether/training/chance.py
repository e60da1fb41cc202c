"""Losses of held-out rows that rise above chance: what was learned does not hold elsewhere, and that is said."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geotether.training.metrics import read_metrics

_LOSS, _CHANCE = "validation/loss/", "validation/chance/"
ADVICE = (
    "What is learned does not hold on places that were held out. Try keep=best with patience, fewer steps, a smaller "
    "encoder (lower l_max, hidden_dim), more weight_decay or jitter_m, more rows; or these features do not depend on "
    "the place."
)


class ChanceWatch:
    """Tells once that a modality's held-out loss climbs above chance.

    A loss above chance that still falls is that of a beginner: it is told where the last two validations were both no
    lower than an earlier one.
    """

    def __init__(self) -> None:
        self._lowest: dict[str, float] = {}
        self._stale: dict[str, int] = {}
        self._said = False

    def notice(self, line: Mapping[str, Any]) -> str:
        """Look at a validation.

        Args:
            line: With `validation/loss/M` and, where it is known, `validation/chance/M` of every modality M.

        Returns:
            What to say; empty if all is well or it was said before.
        """
        for key in line:
            if key.startswith(_LOSS):
                lowest = self._lowest.get(key, float("inf"))
                fell = line[key] < lowest or key not in self._lowest
                self._stale[key] = 0 if fell else self._stale[key] + 1
                self._lowest[key] = min(lowest, line[key])  # what is no number leaves the lowest as it is
        climbing = [name for name in above_chance(line) if self._stale[_LOSS + name] >= 2]
        if not climbing or self._said:
            return ""
        self._said = True
        return f"The held-out loss of {_named(climbing)} climbs, above that of knowing nothing (chance). {ADVICE}"


def above_chance(line: Mapping[str, Any]) -> list[str]:
    """Modalities whose held-out loss is above that of knowing nothing.

    Example:
        >>> above_chance({"validation/loss/a": 6.1, "validation/chance/a": 5.5, "validation/loss/b": 7.0})
        ['a']
    """
    names = [key.removeprefix(_CHANCE) for key in line if key.startswith(_CHANCE)]
    return [name for name in names if line.get(f"{_LOSS}{name}", 0.0) > line[f"{_CHANCE}{name}"]]


def last_word(folder: Path, best: bool = False) -> str:
    """Say at the end of a run which held-out losses of the model that is handed out are above chance.

    Args:
        folder: Of a run, with its `metrics.jsonl`.
        best: Whether the weights of the lowest held-out loss are handed out, not the last.

    Returns:
        What to say; empty if all is well.
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
