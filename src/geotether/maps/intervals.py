"""Scores as dots with intervals, one panel a task: who is ahead, and how sure that is."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from geotether.benchmark.outcome import Outcome
from geotether.benchmark.score_table import score_grid
from geotether.maps.figure import FAINT, colour_of, dress, new_figure


def score_intervals(
    outcomes: Sequence[Outcome],
    probe: str,
    split: str,
    labels: int,
    baselines: Sequence[str] = (),
    title: str = "",
    floor: float = -0.1,
) -> Figure:
    """Draw the mean score and 95 % interval of every encoder.

    Args:
        outcomes: From `evaluate`.
        probe: The probe.
        split: Name of the split.
        labels: Number of labelled rows.
        baselines: Encoders drawn in grey, below the others.
        title: Title; by default it names probe, split and labels.
        floor: Lowest score drawn; a score below it is drawn as a triangle at the edge.

    Returns:
        The figure.

    Raises:
        ValueError: If nothing fits.
    """
    encoders, tasks, grid = score_grid(outcomes, probe, split, labels)
    encoders = [e for e in encoders if e not in baselines] + [e for e in encoders if e in baselines]
    colours = colour_of([e for e in encoders if e not in baselines])
    columns = min(len(tasks), 4)
    lines = math.ceil(len(tasks) / columns)
    height = 0.26 * len(encoders) + 0.9
    title = title or f"Scores with 95 % intervals ({probe}, split {split}, {labels:,} labels)"
    figure = new_figure(2.0 + 2.6 * columns, height * lines + 0.5, title)
    panels = figure.subplots(lines, columns, squeeze=False, sharey=True).ravel()
    places = np.arange(len(encoders))[::-1]
    for axes, task in zip(panels, tasks, strict=False):
        name, metric = task.rsplit(", ", 1)
        dress(axes, name, metric, "")
        for place, encoder in zip(places, encoders, strict=True):
            if (encoder, task) not in grid:
                continue
            one, colour = grid[encoder, task], colours.get(encoder, FAINT)
            if one.mean < floor:
                axes.plot(floor, place, marker="<", color=colour, markersize=6, clip_on=False)
                continue
            axes.plot([max(one.low, floor), one.high], [place, place], color=colour, linewidth=2.0)
            axes.plot(one.mean, place, marker="o", color=colour, markersize=5.5)
        low, _ = axes.get_xlim()
        axes.set_xlim(left=max(low, floor))
        axes.set_yticks(places, encoders)
        axes.grid(axis="y", visible=False)
    for axes in panels[len(tasks) :]:
        axes.set_axis_off()
    return figure
