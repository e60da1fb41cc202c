"""Figures of scores: intervals, scores against the number of labels, and what each modality adds."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from geotether.benchmark.baselines import BASELINES
from geotether.benchmark.outcome import Outcome
from geotether.benchmark.score_table import score_grid
from geotether.maps.figure import COLOURS, FAINT, INK, MARKERS, dress, name_lines, new_figure
from geotether.probes.scores import Score

Ladders = Mapping[tuple[str, str], Mapping[str, Mapping[float, Score]]]
FLOOR = -0.1
UNCLEAR = "#e9edf0"
# Pale ends, so that the numbers stay readable on every colour.
HARM_TO_HELP = LinearSegmentedColormap.from_list("harm_to_help", ["#e58a95", "#fbf3ee", "#7fb6dc"])


def score_intervals(
    outcomes: Sequence[Outcome],
    probe: str,
    split: str,
    labels: int,
    baselines: Sequence[str] = (),
    title: str | None = None,
) -> Figure:
    """Draw the mean score and 95 % interval of every encoder; scores below -0.1 become triangles at the edge.

    Args:
        outcomes: From `evaluate`.
        probe: The probe.
        split: Name of the split.
        labels: Number of labelled rows.
        baselines: Encoders drawn in grey, below the others.
        title: Title of the figure. None: probe, split and number of labels.

    Raises:
        ValueError: If nothing fits.
    """
    encoders, tasks, grid = score_grid(outcomes, probe, split, labels)
    encoders = [e for e in encoders if e not in baselines] + [e for e in encoders if e in baselines]
    columns = min(len(tasks), 4)
    lines = math.ceil(len(tasks) / columns)
    height = 0.26 * len(encoders) + 0.9
    if title is None:
        title = f"Scores with 95 % intervals ({probe}, split {split}, {labels:,} labels)"
    figure = new_figure(2.0 + 2.6 * columns, height * lines + 0.5, title)
    panels = figure.subplots(lines, columns, squeeze=False, sharey=True).ravel()
    places = np.arange(len(encoders))[::-1]
    for axes, task in zip(panels, tasks, strict=False):
        name, metric = task.rsplit(", ", 1)
        dress(axes, name, metric, "")
        for place, encoder in zip(places, encoders, strict=True):
            if (encoder, task) not in grid:
                continue
            one = grid[encoder, task]
            colour = FAINT if encoder in baselines else COLOURS[encoder != encoders[0]]
            if one.mean < FLOOR:
                axes.plot(FLOOR, place, marker="<", color=colour, markersize=6, clip_on=False)
                continue
            axes.plot([max(one.low, FLOOR), one.high], [place, place], color=colour, linewidth=2.0)
            axes.plot(one.mean, place, marker="o", color=colour, markersize=5.5)
        low, _ = axes.get_xlim()
        axes.set_xlim(left=max(low, FLOOR))
        axes.set_yticks(places, encoders)
        axes.grid(axis="y", visible=False)
    for axes in panels[len(tasks) :]:
        axes.set_axis_off()
    return figure


def accuracy_against_labels(outcomes: Sequence[Outcome], probe: str = "ridge", split: str = "own") -> Figure:
    """Draw mean scores over the label ladder, of at most seven encoders: the user's own before baselines.

    Args:
        outcomes: From `evaluate`.
        probe: The probe.
        split: Name of the split.

    Raises:
        ValueError: If no row fits.
    """
    charts: dict[tuple[str, str], dict[str, dict[float, Score]]] = {}
    for labels in sorted({one.labels for one in outcomes if one.split == split}):
        for (encoder, task), score in score_grid(outcomes, probe, split, labels)[2].items():
            name, metric = task.rsplit(", ", 1)
            charts.setdefault((name, metric), {}).setdefault(encoder, {})[labels] = score
    if not charts:
        score_grid(outcomes, probe, split, -1)  # raises, and lists what exists
    return draw_ladders(charts, "labels", f"Score against labels ({probe}, split {split})")


def draw_ladders(charts: Ladders, x: str, title: str = "", floor: float = FLOOR, same_scale: bool = False) -> Figure:
    """Draw scores over amounts of labels, named at their ends; the first line of a chart has its 95 % interval.

    Args:
        charts: (title, measure) of each chart to its lines: name to amount to score. Of more than seven names, those
            are drawn that are no baselines or rank best; a note lists the others.
        x: Label of the amounts.
        title: Title of the figure.
        floor: Lowest score drawn, so that an R2 far below 0 does not compress the others.
        same_scale: Whether all charts share one scale.

    Returns:
        The figure, with two charts per row. A name keeps its colour in all charts.
    """
    columns = min(len(charts), 2)
    lines = math.ceil(len(charts) / columns)
    figure = new_figure(6.2 * columns, 3.5 * lines + 0.5, title)
    panels = figure.subplots(lines, columns, squeeze=False, sharey=same_scale).ravel()
    names = list(dict.fromkeys(name for ladders in charts.values() for name in ladders))
    drawn = leading(charts)
    looks = dict(zip(drawn, zip(COLOURS, MARKERS, strict=True), strict=False))
    for axes, ((chart, measure), ladders) in zip(panels, charts.items(), strict=False):
        dress(axes, chart, x, measure)
        shown = {name: ladder for name, ladder in ladders.items() if name in looks}
        for number, (name, ladder) in enumerate(shown.items()):
            draw_line(axes, name, ladder, *looks[name], floor - 1.0, first=number == 0)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(sorted({n for ladder in shown.values() for n in ladder})))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda n, _: f"{n:,g}"))
    for axes in panels[: len(charts)]:  # after all lines are drawn, for shared scales
        low, high = axes.get_ylim()
        axes.set_ylim(max(low, floor), min(high, 1.0) if high > floor else high)
    for axes in panels[: len(charts)]:
        ends = [(line, line.get_xydata()[-1]) for line in axes.get_lines()]
        name_lines(axes, {str(one.get_label()): (end[0], end[1], str(one.get_color())) for one, end in ends})
    for axes in panels[len(charts) :]:
        axes.set_axis_off()
    if len(names) > len(drawn):
        others = ", ".join(name for name in names if name not in looks)
        figure.supxlabel(f"Not drawn: {others}", color=FAINT, fontsize=9)
    return figure


def leading(charts: Ladders) -> list[str]:
    """Choose at most seven names: those that are no baselines first, then by their best and their mean rank."""
    places: dict[str, list[int]] = {}
    for ladders in charts.values():
        last = {name: np.nan_to_num(ladder[max(ladder)].mean, nan=-np.inf) for name, ladder in ladders.items()}
        for place, name in enumerate(sorted(last, key=lambda name: -last[name])):
            places.setdefault(name, []).append(place)
    ranked = sorted(places, key=lambda name: (name in BASELINES, min(places[name]), np.mean(places[name])))
    chosen = ranked[: len(COLOURS)]
    return [name for name in dict.fromkeys(name for ladders in charts.values() for name in ladders) if name in chosen]


def draw_line(
    axes: Axes, name: str, ladder: Mapping[float, Score], colour: str, marker: str, floor: float, first: bool
) -> None:
    """Draw the means of one name, dashed for a baseline; of the first name also the band of its interval."""
    amounts = np.array(sorted(ladder))
    mean, low, high = (
        np.maximum([getattr(ladder[n], what) for n in amounts], floor) for what in ("mean", "low", "high")
    )
    look: dict[str, Any] = {"linewidth": 2.4 if first else 1.5, "zorder": 3 if first else 2, "markersize": 5.5}
    style = "--" if name in BASELINES else "-"
    axes.plot(amounts, mean, color=colour, marker=marker, linestyle=style, label=name, **look)
    if first:
        axes.fill_between(amounts, low, high, color=colour, alpha=0.16, linewidth=0)


def contribution_matrix(
    effects: Mapping[tuple[str, str], tuple[float, float, float]], title: str = "", label: str = "points of the score"
) -> Figure:
    """Draw tasks by modalities: blue helps, red harms, grey cannot be distinguished from zero.

    Args:
        effects: (task, modality) to (difference, lower end, upper end) in the score's own unit; the ends are NaN where
            there is no interval. Numbers are shown in points, hundredths of the score.
        title: Title of the figure.
        label: Label of the colour bar.

    Returns:
        The figure; missing pairs stay empty.

    Raises:
        ValueError: If there are no effects.
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
    note = "grey: the 95 % interval contains zero" if shown.size else "every interval contains zero"
    figure.supxlabel(note, color=FAINT, fontsize=9)
    return figure
