"""Figures of feature tables: places by split, spread of features, overlap of two tables."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from geotether.diagnostics.contents import QUANTILES, Spread, bounds
from geotether.diagnostics.nearness import Overlap
from geotether.maps.figure import COLOURS, FAINT, INK, OCEAN, dress, new_figure
from geotether.maps.world import (
    draw_land,
    draw_world,
    draw_world_land,
    limits,
    place_points,
    point_size,
)
from geotether.sources.planet import read_land_places

DRAWN_AT_MOST = 20_000
NEAR_KM = 100.0
# Smaller regions are drawn by themselves: on a world map they would be dots.
REGION_DEGREES = (60.0, 40.0)
# In smaller regions, the places that show land are too far apart.
LAND_FROM_DEGREES = 10.0
LAND_DOT_DEGREES = 0.65
SPLIT_COLOURS = {"train": COLOURS[1], "validation": COLOURS[3], "test": COLOURS[0], "buffer": COLOURS[6]}
WIDTH = 8.0


def split_map(lonlat: Float[np.ndarray, "n 2"], split: Shaped[np.ndarray, " n"] | None, title: str = "") -> Figure:
    """Draw the places of a table, coloured by split.

    Args:
        lonlat: Degrees, shape (n, 2). Of more than 20,000 places, every k-th is drawn.
        split: Split of each row, or None if the table was not split.
        title: Title of the map.

    Returns:
        The figure.
    """
    if split is None:
        return _map({"": (lonlat, COLOURS[1])}, title)
    parts = {part: (lonlat[split == part], colour) for part, colour in SPLIT_COLOURS.items()}
    return _map({part: one for part, one in parts.items() if len(one[0])}, title)


def overlap_map(found: Overlap) -> Figure:
    """Draw rows of two tables: the first table's rows near the second and farther, over the second's rows.

    Args:
        found: From `overlap`.

    Returns:
        The figure.
    """
    one, two = found.names
    near = found.forth.km <= NEAR_KM
    groups = {
        two: (found.back.lonlat, FAINT),
        f"{one}, farther": (found.forth.lonlat[~near], COLOURS[1]),
        f"{one}, within {NEAR_KM:g} km": (found.forth.lonlat[near], COLOURS[0]),
    }
    return _map({name: group for name, group in groups.items() if len(group[0])}, f"{one} and {two}")


def overlap_chart(found: Overlap) -> Figure:
    """Draw the share of rows with a row of the other table within a distance.

    Args:
        found: From `overlap`.

    Returns:
        The figure.
    """
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
    """Draw standard deviations in order, and the quantiles of each feature in the same order.

    Args:
        found: From `spread`.

    Returns:
        The figure.
    """
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
    """Draw points in several colours, later groups on top, on a world map or on their region."""
    everything = np.concatenate([places for places, _ in groups.values()])
    west, south, east, north = bounds(everything)
    wide = (east - west) % 360.0
    alone = wide < REGION_DEGREES[0] and north - south < REGION_DEGREES[1] and np.abs((south, north)).max() < 80
    stretch = math.cos(math.radians((south + north) / 2))
    tall = max((north - south) / max(wide * stretch, 1e-9), 0.05) if alone else 0.47
    figure = new_figure(WIDTH, float(np.clip(tall, 0.35, 1.1)) * WIDTH + 0.8, title)
    axes = figure.subplots()
    if alone:
        _draw_region(axes, (west, south, west + wide, north), stretch)
        if max(wide * stretch, north - south) >= LAND_FROM_DEGREES:
            land = read_land_places()
            land[:, 0] = west - 30.0 + (land[:, 0] - west + 30.0) % 360.0
            inches = WIDTH / max(wide * stretch, (north - south) / min(tall, 1.1), 1e-9)  # of a degree
            draw_land(axes, land, LAND_DOT_DEGREES * 0.9 * 72.0 * inches)
    else:
        draw_world(axes, "", *limits(everything))
        draw_world_land(axes, WIDTH)
    step = max(1, math.ceil(len(everything) / DRAWN_AT_MOST))
    size = point_size(min(len(everything), DRAWN_AT_MOST), WIDTH)
    for name, (places, colour) in groups.items():
        some = places[::step]
        points = np.stack((west + (some[:, 0] - west) % 360.0, some[:, 1]), -1) if alone else place_points(some)
        axes.scatter(
            points[:, 0], points[:, 1], s=size, color=colour, linewidths=0, alpha=0.75, zorder=2, rasterized=True
        )
        if name:
            axes.scatter([], [], s=40, color=colour, linewidths=0, label=f"{name} ({len(places):,})")
    if any(groups):
        place: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.06 if alone else 0.0), "ncols": 4}
        axes.legend(frameon=False, labelcolor=INK, fontsize=9, handletextpad=0.2, **place)
    return figure


def _draw_region(axes: Axes, frame: tuple[float, float, float, float], stretch: float) -> None:
    """Set up axes in degrees, scaled so that the middle of the region has its true shape."""
    west, south, east, north = frame
    margin = 0.03 * max(east - west, north - south, 0.01)
    dress(axes)
    axes.set_facecolor(OCEAN)
    axes.set_xlim(west - margin, east + margin)
    axes.set_ylim(south - margin, north + margin)
    axes.set_aspect(1 / stretch)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda lon, _: f"{(lon + 180) % 360 - 180:g}°"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda lat, _: f"{lat:g}°"))
