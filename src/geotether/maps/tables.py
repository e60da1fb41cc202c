"""Figures of feature tables: places by split, spread of features, overlap of two tables."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from geotether.diagnostics.contents import QUANTILES, Spread
from geotether.diagnostics.nearness import Overlap
from geotether.maps.figure import COLOURS, FAINT, INK, dress, new_figure
from geotether.maps.world import DRAWN_AT_MOST, Frame, map_panels, point_size

NEAR_KM = 100.0
SPLIT_COLOURS = {"train": COLOURS[1], "validation": COLOURS[2], "test": COLOURS[0], "buffer": "#5c6b73"}
WIDTH = 8.0


def split_map(lonlat: Float[np.ndarray, "n 2"], split: Shaped[np.ndarray, " n"] | None, title: str = "") -> Figure:
    """Draw the places of a table, coloured by split.

    Args:
        lonlat: Degrees, shape (n, 2). Of more than 20,000 places, every k-th is drawn.
        split: Split of each row, or None if the table was not split.
        title: Title of the map.
    """
    if split is None:
        return _map({"": (lonlat, COLOURS[1])}, title)
    parts = {part: (lonlat[split == part], colour) for part, colour in SPLIT_COLOURS.items()}
    return _map({part: one for part, one in parts.items() if len(one[0])}, title)


def overlap_map(found: Overlap) -> Figure:
    """Draw rows of two tables: the first table's rows near the second and farther, over the second's rows."""
    one, two = found.names
    near = found.forth.km <= NEAR_KM
    groups = {
        two: (found.back.lonlat, FAINT),
        f"{one}, farther": (found.forth.lonlat[~near], COLOURS[1]),
        f"{one}, within {NEAR_KM:g} km": (found.forth.lonlat[near], COLOURS[0]),
    }
    return _map({name: group for name, group in groups.items() if len(group[0])}, f"{one} and {two}")


def overlap_chart(found: Overlap) -> Figure:
    """Draw the share of rows with a row of the other table within a distance."""
    one, two = found.names
    curves = {
        f"rows of {one}, to {two}": (found.forth.km, COLOURS[0], "-"),
        f"rows of {two}, to {one}": (found.back.km, COLOURS[1], "-"),
        f"held-out rows of {two}, to training rows of {one}": (found.seen_forth.km, COLOURS[1], ":"),
        f"held-out rows of {one}, to training rows of {two}": (found.seen_back.km, COLOURS[0], ":"),
    }
    figure = new_figure(WIDTH, 4.0)
    axes = figure.subplots()
    distances = np.geomspace(0.1, 20_000.0, 200)
    for name, (km, colour, line) in curves.items():
        if len(km):
            shares = np.searchsorted(np.sort(km), distances, side="right") / len(km)
            axes.plot(distances, shares, color=colour, linestyle=line, label=name)
    dress(axes, "Distance to the nearest row of the other table", "great-circle distance (km)", "share of rows within")
    axes.set_xscale("log")
    axes.set_xlim(distances[0], distances[-1])
    axes.set_ylim(-0.02, 1.02)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.legend(frameon=False, labelcolor=INK, fontsize=9, loc="upper left")
    return figure


def spread_chart(found: Spread) -> Figure:
    """Draw standard deviations in order, and the quantiles of each feature in the same order."""
    order = np.argsort(-found.deviation, kind="stable")
    figure = new_figure(WIDTH, 6.0)
    above, below = figure.subplots(2, sharex=True, height_ratios=(1, 1.4))
    steps = np.arange(len(order) + 1) - 0.5
    above.stairs(found.deviation[order], steps, color=COLOURS[1], fill=len(order) < 400, alpha=0.85)
    dress(above, f"Standard deviation of {len(order):,} features, in order", "", "standard deviation")
    positive = found.deviation[found.deviation > 0]
    if len(positive) and positive.max() > 100 * positive.min():
        above.set_yscale("log")
    for low, high, shade in ((0, 6, 0.15), (1, 5, 0.25), (2, 4, 0.45)):
        name = f"{QUANTILES[low]:.0%} to {QUANTILES[high]:.0%}"
        below.fill_between(
            steps.repeat(2)[1:-1],
            found.quantiles[low, order].repeat(2),
            found.quantiles[high, order].repeat(2),
            color=COLOURS[1], alpha=shade, linewidth=0, label=name,
        )  # fmt: skip
    below.stairs(found.quantiles[3, order], steps, color=INK, linewidth=1.0, baseline=None, label="median")
    dress(below, f"Quantiles of each, over {found.rows:,} rows", "features by standard deviation", "value")
    widest = np.abs(found.quantiles).max(axis=0)
    if widest.max() > 30 * max(float(np.median(widest)), 1e-12):
        below.set_yscale("symlog", linthresh=max(float(np.median(widest)), 1e-12))
    below.set_xlim(steps[0], steps[-1])
    below.legend(frameon=False, labelcolor=INK, fontsize=9, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.2))
    if len(order) <= 24 and found.names != [str(number) for number in range(len(order))]:
        below.set_xticks(range(len(order)), [found.names[number] for number in order], rotation=45, ha="right")
        below.set_xlabel("")
        below.legend(frameon=False, labelcolor=INK, fontsize=9, ncols=4, loc="upper right")
    return figure


def _map(groups: Mapping[str, tuple[Float[np.ndarray, "_ 2"], str]], title: str) -> Figure:
    """Draw points in several colours, later groups on top."""
    everything = np.concatenate([places for places, _ in groups.values()])
    frame = Frame(everything)
    figure, (axes,), width = map_panels(frame, [""], title, below=0.45)
    step = max(1, math.ceil(len(everything) / DRAWN_AT_MOST))
    size = point_size(min(len(everything), DRAWN_AT_MOST), width)
    for name, (places, colour) in groups.items():
        frame.scatter(axes, places[::step], size, color=colour, alpha=0.75)
        if name:
            axes.scatter([], [], s=40, color=colour, linewidths=0, label=f"{name} ({len(places):,})")
    if any(groups):
        place: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.06 if frame.region else 0.0)}
        axes.legend(frameon=False, labelcolor=INK, fontsize=9, handletextpad=0.2, ncols=4, **place)
    return figure
