"""Score against the number of labels: one chart a task, one line an encoder, bands for the interval."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from geotether.benchmark.outcome import Outcome
from geotether.benchmark.score_table import score_grid
from geotether.maps.figure import COLOURS, MARKERS, colour_of, dress, new_figure
from geotether.probes.scores import Score

Ladders = Mapping[tuple[str, str], Mapping[str, Mapping[float, Score]]]


def accuracy_against_labels(
    outcomes: Sequence[Outcome], probe: str = "ridge", split: str = "own", title: str = "", floor: float = -0.1
) -> Figure:
    """Draw mean scores and 95 % intervals over the label ladder.

    Args:
        outcomes: From `evaluate`.
        probe: The probe.
        split: Name of the split.
        title: Title; by default it names probe and split.
        floor: Lowest score drawn: an R2 far below 0 would leave no room for the others. Lines leave the chart there.

    Returns:
        The figure.

    Raises:
        ValueError: If no row fits.
    """
    charts: dict[tuple[str, str], dict[str, dict[float, Score]]] = {}
    for labels in sorted({one.labels for one in outcomes if one.split == split}):
        for (encoder, task), score in score_grid(outcomes, probe, split, labels)[2].items():
            name, metric = task.rsplit(", ", 1)
            charts.setdefault((name, metric), {}).setdefault(encoder, {})[labels] = score
    if not charts:
        score_grid(outcomes, probe, split, -1)  # raises, and says what there is
    return draw_ladders(charts, "labels", title or f"Score against labels ({probe}, split {split})", floor)


def draw_ladders(charts: Ladders, x: str, title: str = "", floor: float = -0.1, same_scale: bool = False) -> Figure:
    """Draw scores over an amount of labels, with 95 % intervals; a name has the same colour in every chart.

    Args:
        charts: (title, measure) of a chart to its lines: name to amount to score.
        x: What the amounts are.
        title: Of the figure.
        floor: Lowest score drawn.
        same_scale: Whether all charts have the same scale, to be compared with each other.

    Returns:
        The figure, two charts a row.
    """
    columns = min(len(charts), 2)
    lines = math.ceil(len(charts) / columns)
    figure = new_figure(5.2 * columns + 0.6, 3.5 * lines + 0.9, title)
    panels = figure.subplots(lines, columns, squeeze=False, sharey=same_scale).ravel()
    colours = colour_of([name for ladders in charts.values() for name in ladders])
    for axes, ((chart, measure), ladders) in zip(panels, charts.items(), strict=False):
        dress(axes, chart, x, measure)
        for name, ladder in ladders.items():
            draw_line(axes, name, ladder, colours, floor)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(sorted({n for ladder in ladders.values() for n in ladder})))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda n, _: f"{n:,g}"))
    for axes in panels[: len(charts)]:  # once all lines are there, for scales that are shared
        low, high = axes.get_ylim()
        axes.set_ylim(max(low, floor), min(high, 1.0) if high > floor else high)
    for axes in panels[len(charts) :]:
        axes.set_axis_off()
    handles = {h.get_label(): h for axes in panels for h in axes.get_lines()}
    figure.legend(
        handles.values(), handles.keys(), loc="outside lower center", ncols=min(5, len(handles)), frameon=False
    )
    return figure


def draw_line(
    axes: Axes, encoder: str, ladder: Mapping[float, Score], colours: Mapping[str, str], floor: float
) -> None:
    """Draw the mean, the band, and markers that also tell lines apart without colour."""
    labels = np.array(sorted(ladder))
    mean = np.array([ladder[n].mean for n in labels])
    low, high = (np.array([getattr(ladder[n], end) for n in labels]) for end in ("low", "high"))
    place = list(colours).index(encoder)
    first = place == 0
    # Colours come again after ten; the marker is then another than the first time.
    marker = MARKERS[(place + place // len(COLOURS)) % len(MARKERS)]
    shown = np.where(mean < floor - 1.0, floor - 1.0, mean)
    axes.plot(
        labels, shown, color=colours[encoder], marker=marker, markersize=5.5, linewidth=2.4 if first else 1.5,
        label=encoder, zorder=3 if first else 2,
    )  # fmt: skip
    axes.fill_between(
        labels,
        np.maximum(low, floor - 1.0),
        np.maximum(high, floor - 1.0),
        color=colours[encoder],
        alpha=0.16,
        linewidth=0,
    )
