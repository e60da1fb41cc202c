"""What each modality does for each task, as a matrix of colours and numbers."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, ListedColormap, Normalize
from matplotlib.figure import Figure

from geotether.maps.figure import FAINT, INK, new_figure

UNCLEAR = "#e9edf0"
# Pale ends, so that the numbers stay readable on every colour.
HARM_TO_HELP = LinearSegmentedColormap.from_list("harm_to_help", ["#e58a95", "#fbf3ee", "#7fb6dc"])


def contribution_matrix(
    effects: Mapping[tuple[str, str], tuple[float, float, float]], title: str = "", label: str = "points of the score"
) -> Figure:
    """Draw tasks by modalities; blue helps, red harms, and grey is what cannot be told from zero.

    Args:
        effects: (task, modality) to (difference, lower end, upper end) in the score's own unit; the ends are NaN where
            there is no interval. Numbers are shown in points, hundredths of the score.
        title: Title of the figure.
        label: Label of the colour bar.

    Returns:
        The figure; a pair that is missing stays empty.

    Raises:
        ValueError: If there is no effect.
    """
    if not effects:
        raise ValueError("contribution_matrix needs at least one effect, got none.")
    tasks = list(dict.fromkeys(task for task, _ in effects))
    modalities = list(dict.fromkeys(modality for _, modality in effects))
    means = np.full((len(tasks), len(modalities)), np.nan)
    clear = np.zeros(means.shape, dtype=bool)
    figure = new_figure(max(5.0, 2.4 + 1.6 * len(modalities)), max(2.6, 1.4 + 0.75 * len(tasks)), title)
    axes = figure.subplots()
    for (task, modality), (mean, low, high) in effects.items():
        row, column = tasks.index(task), modalities.index(modality)
        means[row, column], clear[row, column] = 100 * mean, low > 0 or high < 0
        bracket = "" if math.isnan(low) else f"\n[{100 * low:.1f}, {100 * high:.1f}]"
        style: dict[str, Any] = {"color": INK, "fontweight": "bold"} if clear[row, column] else {"color": "#5d6b75"}
        axes.text(column, row, f"{100 * mean:+.1f}{bracket}", ha="center", va="center", fontsize=9, **style)
    shown = np.abs(means[clear])
    reach = float(shown.max()) if shown.size else 1.0
    scale = Normalize(-reach, reach)
    grey = np.where(np.isnan(means), np.nan, 0.0)
    axes.imshow(grey, cmap=ListedColormap([UNCLEAR]), aspect="auto")
    drawn = axes.imshow(np.where(clear, means, np.nan), cmap=HARM_TO_HELP, norm=scale, aspect="auto")
    axes.set_xticks(range(len(modalities)), modalities, color=INK)
    axes.set_yticks(range(len(tasks)), tasks, color=INK)
    axes.tick_params(length=0)
    axes.set_xticks(np.arange(len(modalities) - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(len(tasks) - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="minor", length=0)
    axes.spines[:].set_visible(False)
    if shown.size:
        bar = figure.colorbar(drawn, ax=axes, shrink=0.8, aspect=18, pad=0.02)
        bar.set_label(label, color=INK)
        bar.outline.set_visible(False)  # type: ignore[operator]
        bar.ax.tick_params(colors=INK, labelsize=9)
    note = "grey: the 95 % interval holds zero" if shown.size else "no interval leaves zero out"
    figure.supxlabel(note, color=FAINT, fontsize=9)
    return figure
