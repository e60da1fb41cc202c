"""Measure the stability of a run: how each modality's loss changes over its pauses, relative to the noise of steps."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

_LOSS = "loss/"


@dataclass(frozen=True)
class Rest:
    """A modality's pause between two of its turns.

    Attributes:
        modality: Its name.
        last: Last step before the pause.
        back: First step after it.
    """

    modality: str
    last: int
    back: int


@dataclass(frozen=True)
class Spike:
    """The change of a loss over a pause.

    Attributes:
        rest: The pause.
        before: Loss of the modality before it, in nats.
        after: Loss of the modality when it is back.
        combined: Change of the run's whole loss from the step before the return to the return; under SALT this
            compares two modalities, which differ in level even if nothing was forgotten.
        noise: Standard deviation of the modality's loss from one step to the next within its turns.
        recovery_steps: Steps from the return until the loss is at most `before` again, 0 if it is so at once; None
            if that does not happen before the next pause.
    """

    rest: Rest
    before: float
    after: float
    combined: float
    noise: float
    recovery_steps: int | None

    @property
    def jump(self) -> float:
        """The rise of the modality's own loss over the pause, in nats; negative if it fell."""
        return self.after - self.before

    @property
    def in_noise(self) -> float:
        """The jump in units of `noise`; NaN where the noise is not known."""
        return self.jump / self.noise if self.noise > 0 else math.nan


def modality_losses(lines: Sequence[Mapping[str, Any]]) -> dict[str, dict[int, float]]:
    """Return modality to step to training loss, from the lines of a metrics file.

    Args:
        lines: From `read_metrics`.

    Raises:
        ValueError: If no line holds the loss of a modality.
    """
    found: dict[str, dict[int, float]] = {}
    for line in lines:
        for key, value in line.items():
            if key.startswith(_LOSS) and value is not None:
                found.setdefault(key.removeprefix(_LOSS), {})[int(line["step"])] = float(value)
    if not found:
        raise ValueError("No line holds the loss of a modality; give the lines of a run's metrics.jsonl.")
    return found


def rests(lines: Sequence[Mapping[str, Any]]) -> list[Rest]:
    """Find where modalities paused and returned; a run of MELT has no pauses.

    Args:
        lines: From `read_metrics`.

    Returns:
        By step of the return.

    Example:
        >>> turns = ["a", "a", "b", "b", "a"]
        >>> rests([{"step": step, "loss": 1.0, f"loss/{name}": 1.0} for step, name in enumerate(turns)])
        [Rest(modality='a', last=1, back=4)]
    """
    found = []
    for modality, losses in modality_losses(lines).items():
        steps = sorted(losses)
        found += [Rest(modality, a, b) for a, b in pairwise(steps) if b > a + 1]
    return sorted(found, key=lambda rest: rest.back)


def loss_spikes(lines: Sequence[Mapping[str, Any]], at: Sequence[Rest] | None = None, width: int = 1) -> list[Spike]:
    """Measure the change of each modality's loss over each pause.

    Args:
        lines: From `read_metrics`.
        at: The pauses of another run, to look at this one in the same windows: MELT against SALT. None takes the
            run's own.
        width: Steps averaged before the pause and after it; 1 takes single batches, as the eye does on a plot.

    Returns:
        One spike a pause, in order; a window that this run does not reach is left out.

    Raises:
        ValueError: If no line holds the loss of a modality, or `width` is less than 1.

    Source:
        Hecht et al. (2026), "Multi-Modal Contrastive Learning for Implicit Earth Embeddings via Location Tying",
        Fig. 3, shows the combined loss; measuring each modality against itself is ours.
    """
    if width < 1:
        raise ValueError(f"width must be 1 or more, got {width}.")
    losses = modality_losses(lines)
    whole = {int(line["step"]): float(line["loss"]) for line in lines if "loss" in line}
    noise = {modality: step_noise(of) for modality, of in losses.items()}
    spikes = []
    for rest in rests(lines) if at is None else at:
        of = losses.get(rest.modality, {})
        if rest.last not in of or rest.back not in of or rest.back - 1 not in whole:
            continue
        before = float(np.mean([of[step] for step in _run(of, rest.last, -1, width)]))
        after = float(np.mean([of[step] for step in _run(of, rest.back, 1, width)]))
        turn = _run(of, rest.back, 1, len(of))
        recovery = next((n for n, step in enumerate(turn) if of[step] <= before), None)
        combined = whole[rest.back] - whole[rest.back - 1]
        spikes.append(Spike(rest, before, after, combined, noise[rest.modality], recovery))
    return spikes


def step_noise(losses: Mapping[int, float]) -> float:
    """Return the standard deviation of the difference between consecutive steps; NaN for fewer than two differences.

    Args:
        losses: Step to loss.

    Example:
        >>> step_noise({0: 1.0, 1: 2.0, 2: 1.0, 3: 2.0, 9: 50.0})
        0.9428090415820634
    """
    differences = [losses[step + 1] - loss for step, loss in losses.items() if step + 1 in losses]
    return float(np.std(differences)) if len(differences) > 1 else math.nan


def _run(losses: Mapping[int, float], start: int, direction: int, most: int) -> list[int]:
    """Return consecutive steps from `start` on, in one direction, up to a number."""
    steps: list[int] = []
    while len(steps) < most and start + direction * len(steps) in losses:
        steps.append(start + direction * len(steps))
    return steps
