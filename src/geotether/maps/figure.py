"""The style that all figures share, names at the ends of lines, and writing figures to disk."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.optimize import isotonic_regression

from geotether.files.disk import replacing_file

INK, FAINT, PAPER, OCEAN = "#1f2a33", "#8a97a0", "#ffffff", "#eef3f6"
# Colour-blind readers can tell any two of these apart. The first is for the model under study.
COLOURS = ("#d1495b", "#0072b2", "#e69f00", "#44aa99", "#332288", "#56b4e9", INK)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def new_figure(width: float, height: float, title: str = "") -> Figure:
    """Make an empty figure, outside pyplot's global state; sizes are in inches."""
    figure = Figure(figsize=(width, height), layout="constrained", facecolor=PAPER)
    FigureCanvasAgg(figure)
    if title:
        figure.suptitle(title, color=INK, fontsize=13, fontweight="bold")
    return figure


def dress(axes: Axes, title: str = "", x: str = "", y: str = "") -> None:
    """Set a chart's title and labels, a light grid and two spines."""
    axes.set_title(title, loc="left", color=INK, fontsize=11, fontweight="bold")
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(colors=INK, labelsize=9)
    axes.grid(True, color="#dfe5e9", linewidth=0.7)
    axes.set_axisbelow(True)


def name_lines(axes: Axes, ends: Mapping[str, tuple[float, float, str]], gap: float = 0.07) -> None:
    """Write the name of each line to the right of the chart, joined to the line's end; names do not overlap.

    Args:
        axes: A chart whose vertical limits are final.
        ends: Name to x and y of the line's last point, and its colour.
        gap: Least distance of two names, as a share of the chart's height.
    """
    low, high = axes.get_ylim()
    heights = np.array([(np.clip(y, low, high) - low) / (high - low) for _, y, _ in ends.values()])
    order = np.argsort(heights, kind="stable")
    joint = {"arrowstyle": "-", "linewidth": 1.2, "shrinkA": 1, "shrinkB": 4, "relpos": (0, 0.5)}
    steps = gap * np.arange(len(order))
    heights[order] = isotonic_regression(heights[order] - steps).x + steps
    for (name, (x, y, colour)), height in zip(ends.items(), heights, strict=True):
        axes.annotate(
            name, (x, float(np.clip(y, low, high))), (1.05, height), textcoords="axes fraction", va="center",
            color=INK, fontsize=9, annotation_clip=False, arrowprops={"color": colour, **joint},
        )  # fmt: skip


def save_figure(figure: Figure, path: Path | str, dpi: int = 150) -> Path:
    """Write a figure as PNG; the file appears whole or not at all, and missing folders are made.

    Returns:
        The path.

    Raises:
        OSError: If the disk is full or the folder cannot be written to; an existing file is unchanged.
    """
    path = Path(path)
    with replacing_file(path) as part:
        # No date and no version in the file: equal figures are equal files.
        figure.savefig(part, format="png", dpi=dpi, metadata={"Software": None})
    return path
