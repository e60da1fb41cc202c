"""The style that all figures share, and writing them to disk."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from geotether.files.disk import replacing_file

INK, FAINT, PAPER, OCEAN = "#1f2a33", "#8a97a0", "#ffffff", "#eef3f6"
# After Okabe & Ito (2008), safe for colour-blind readers. The first is for the model under study.
COLOURS = ("#d1495b", "#0072b2", "#009e73", "#e69f00", "#56b4e9", "#7b5ea7", "#5c6b73", "#a1793d", "#cc79a7", "#1b4965")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "h")


def new_figure(width: float, height: float, title: str = "") -> Figure:
    """Make an empty figure, outside pyplot's global state.

    Args:
        width: In inches.
        height: In inches.
        title: Title of the whole figure.

    Returns:
        The figure, laid out so that labels do not overlap.
    """
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


def colour_of(names: Sequence[str]) -> dict[str, str]:
    """Return a colour per name, in order; colours repeat after ten."""
    return {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(dict.fromkeys(names))}


def save_figure(figure: Figure, path: Path | str, dpi: int = 150) -> Path:
    """Write a figure as PNG; the file appears whole or not at all.

    Args:
        figure: The figure.
        path: File to write; missing folders are made.
        dpi: Dots per inch.

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
