"""The loss of each modality while training, with the steps at which SALT switches marked."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from geotether.maps.figure import FAINT, INK, colour_of, dress, new_figure

LOSS, VALIDATION = "loss/", "validation/loss/"
# Name given to the loss of a training with a single loss.
ONLY = "task"
# More marks than this would merge.
SWITCHES_DRAWN = 60


def loss_curves(
    metrics_jsonl: Path | str, switches: Sequence[tuple[int, str]] | None = None, title: str = ""
) -> Figure:
    """Draw training loss (thin: each step; thick: running mean) and validation loss (dots) per modality.

    Args:
        metrics_jsonl: One JSON object per line with "step" and "loss/<modality>" or "validation/loss/<modality>". A
            single "loss" is drawn as "task".
        switches: (step, modality) where another modality becomes active. None: inferred from the steps at which the
            modalities with a loss change (in SALT; never in MELT).
        title: Title of the figure.

    Returns:
        The figure.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it contains no loss.
    """
    train, validation, found = read_losses(Path(metrics_jsonl))
    if not train and not validation:
        raise ValueError(
            f"{Path(metrics_jsonl).name} contains neither 'loss/<modality>' nor 'loss'; is it from a training run?"
        )
    switches = found if switches is None else switches
    figure = new_figure(9.5, 4.6, title)
    axes = figure.subplots()
    dress(axes, "", "step", "loss (nats)")
    colours = colour_of([*train, *validation])
    if 0 < len(switches) <= SWITCHES_DRAWN:
        for i, (step, _) in enumerate(switches):
            axes.axvline(step, color=FAINT, linewidth=0.9, linestyle=(0, (3, 3)), label="switch" if i == 0 else None)
    for name, points in train.items():
        steps, values = np.array(points).T
        # No line across steps at which the modality is inactive: no loss was measured there.
        gaps = np.flatnonzero(np.diff(steps) > 1) + 1
        smooth = running_mean(values, max(1, len(values) // 60))
        for part, (s, v, m) in enumerate(zip(*(np.split(a, gaps) for a in (steps, values, smooth)), strict=True)):
            axes.plot(s, v, color=colours[name], linewidth=0.6, alpha=0.3)
            axes.plot(s, m, color=colours[name], linewidth=2.0, label=name if part == 0 else None)
    for name, points in validation.items():
        style: dict[str, Any] = {"color": colours[name], "marker": "o", "markersize": 4.5, "markeredgecolor": "white"}
        steps, values = np.array(points).T
        axes.plot(steps, values, linestyle=":", linewidth=1.2, label=f"{name}, validation", **style)
    figure.legend(loc="outside right upper", frameon=False, labelcolor=INK)
    return figure


def read_losses(
    path: Path,
) -> tuple[dict[str, list[tuple[int, float]]], dict[str, list[tuple[int, float]]], list[tuple[int, str]]]:
    """Read (step, loss) per modality, for training and validation, and the switches."""
    train: dict[str, list[tuple[int, float]]] = {}
    validation: dict[str, list[tuple[int, float]]] = {}
    switches: list[tuple[int, str]] = []
    active: set[str] = set()
    for line in path.read_text(encoding="utf-8").splitlines():
        row: dict[str, Any] = json.loads(line) if line.strip() else {}
        for prefix, into in ((LOSS, train), (VALIDATION, validation)):
            for key, value in row.items():
                if key.startswith(prefix) and value is not None:
                    into.setdefault(key.removeprefix(prefix), []).append((int(row["step"]), float(value)))
        if row.get("loss") is not None and not any(key.startswith(LOSS) for key in row):
            train.setdefault(ONLY, []).append((int(row["step"]), float(row["loss"])))
        now = {key.removeprefix(LOSS) for key, value in row.items() if key.startswith(LOSS) and value is not None}
        if now and active and now != active:
            switches.append((int(row["step"]), ", ".join(sorted(now))))
        active = now or active
    return train, validation, switches


def running_mean(values: Float[np.ndarray, " n"], window: int) -> Float[np.ndarray, " n"]:
    """Return the mean of the last `window` values at every position; of fewer at the beginning."""
    total = np.cumsum(np.concatenate([[0.0], values]))
    start = np.maximum(np.arange(1, len(values) + 1) - window, 0)
    end = np.arange(1, len(values) + 1)
    return (total[end] - total[start]) / (end - start)
