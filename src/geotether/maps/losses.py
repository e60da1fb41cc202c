"""The loss of each modality while training, relative to chance, with the steps at which SALT switches marked."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from geotether.maps.figure import COLOURS, FAINT, INK, dress, new_figure
from geotether.training.metrics import read_metrics

HELD_OUT = "validation/"
# Name given to the loss of a training with a single loss.
ONLY = "task"
# More marks than this would merge.
SWITCHES_DRAWN = 60

Series = dict[str, list[tuple[int, float, float]]]


def loss_curves(metrics_jsonl: Path | str) -> Figure:
    """Draw one panel per modality: training loss (thin: each step; thick: running mean) and held-out loss (dots).

    Training and held-out losses are over different numbers of candidates, so both are drawn minus chance, the logarithm
    of that number, where the file has it for all; otherwise as they are, with dashed lines at the chance it has.
    Dotted vertical lines mark the steps at which another modality becomes active (in SALT; never in MELT).

    Args:
        metrics_jsonl: One JSON object per line with "step" and "loss/<modality>" or "validation/loss/<modality>", and
            "chance/<modality>" likewise. A single "loss" is drawn as "task".

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it contains no loss.
    """
    train, held_out, switches = read_losses(Path(metrics_jsonl))
    if not train and not held_out:
        raise ValueError(
            f"{Path(metrics_jsonl).name} contains neither 'loss/<modality>' nor 'loss'; is it from a training run?"
        )
    shared = train.pop(ONLY, []) if len(train) == 1 and held_out else []  # one loss of all modalities together
    names = list(dict.fromkeys([*train, *held_out]))
    relative = not any(math.isnan(chance) for part in (train, held_out) for one in part.values() for *_, chance in one)
    columns = min(len(names), 4 if len(names) > 6 else 3)
    lines = math.ceil(len(names) / columns)
    figure = new_figure(max(3.3 * columns, 6.0), 2.6 * lines + 0.9)
    panels = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
    for axes, name in zip(panels.flat, names, strict=False):
        dress(axes, name)
        for step in switches if len(switches) <= SWITCHES_DRAWN else ():
            axes.axvline(step, color=FAINT, linewidth=0.9, linestyle=":", label="switch")
        draw_losses(axes, train.get(name, shared), held_out.get(name, []), relative)
    for axes in panels.flat[len(names) :]:
        axes.set_axis_off()
    for axes in panels.flat[max(len(names) - columns, 0) : len(names)]:
        axes.tick_params(labelbottom=True)  # also above an empty place of the last row
    figure.supxlabel("step", color=INK, fontsize=10)
    figure.supylabel("loss minus chance (nats)" if relative else "loss (nats)", color=INK, fontsize=10)
    handles = {str(one.get_label()): one for axes in panels.flat for one in axes.get_lines()}
    shown = {label: one for label, one in handles.items() if not label.startswith("_")}
    figure.legend(shown.values(), shown.keys(), loc="outside upper right", ncols=4, frameon=False, labelcolor=INK)
    return figure


def draw_losses(
    axes: Axes, train: list[tuple[int, float, float]], held_out: list[tuple[int, float, float]], relative: bool
) -> None:
    """Draw the losses of one modality; no line crosses steps at which it is inactive."""
    if relative:
        axes.axhline(0.0, color=INK, linewidth=1.0, linestyle="--", label="chance")
    for points, colour, name in ((train, COLOURS[1], "training"), (held_out, COLOURS[0], "held out")):
        if not points:
            continue
        steps, values, chance = np.array(points).T
        if not relative and np.isfinite(chance).any():
            axes.axhline(np.nanmean(chance), color=colour, linewidth=1.0, linestyle="--", label=f"chance, {name}")
        values = values - chance if relative else values
        if points is held_out:
            axes.plot(steps, values, color=colour, marker="o", markersize=4.5, linewidth=1.2, label=name)
            continue
        gaps = np.flatnonzero(np.diff(steps) > 1) + 1
        smooth = running_mean(values, max(1, len(values) // 60))
        for s, v, m in zip(*(np.split(a, gaps) for a in (steps, values, smooth)), strict=True):
            axes.plot(s, v, color=colour, linewidth=0.6, alpha=0.3)
            axes.plot(s, m, color=colour, linewidth=2.0, label=name)


def read_losses(path: Path) -> tuple[Series, Series, list[int]]:
    """Read (step, loss, chance or NaN) per modality, for training and held-out rows, and the steps of switches."""
    train: Series = {}
    held_out: Series = {}
    switches: list[int] = []
    active: set[str] = set()
    for row in read_metrics(path):
        now: dict[str, Any] = {}
        for prefix, into in (("", train), (HELD_OUT, held_out)):
            start = f"{prefix}loss/"
            found = {key.removeprefix(start): row[key] for key in row if key.startswith(start)}
            for name, value in found.items():
                if value is not None:
                    chance = row.get(f"{prefix}chance/{name}", math.nan)
                    into.setdefault(name, []).append((int(row["step"]), float(value), float(chance)))
            now = now or (found if not prefix else {})
        if row.get("loss") is not None and not now:
            train.setdefault(ONLY, []).append((int(row["step"]), float(row["loss"]), math.nan))
        if now and active and set(now) != active:
            switches.append(int(row["step"]))
        active = set(now) or active
    return train, held_out, switches


def running_mean(values: Float[np.ndarray, " n"], window: int) -> Float[np.ndarray, " n"]:
    """Return the mean of the last `window` values at every position; of fewer at the beginning."""
    total = np.cumsum(np.concatenate([[0.0], values]))
    end = np.arange(1, len(values) + 1)
    start = np.maximum(end - window, 0)
    return (total[end] - total[start]) / (end - start)
