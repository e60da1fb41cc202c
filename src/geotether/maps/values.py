"""World maps of values per place: one number with a colour bar, or predictions and true values."""

import colorsys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator

from geotether.maps.figure import COLOURS, FAINT, INK, new_figure
from geotether.maps.world import draw_world, limits, place_points, point_size

WIDTH, PANEL_WIDTH = 8.0, 6.6
BACKDROP = "#d5dde2"
BEYOND = COLOURS[0]
PERCENTILES = (2, 98)


def value_maps(
    lonlat: Mapping[str, Float[np.ndarray, "_ 2"]],
    values: Mapping[str, Float[np.ndarray, " _"]],
    label: str,
    title: str = "",
    colour_map: str = "viridis",
    logarithmic: bool = False,
    beyond: str = "beyond",
    backdrop: Float[np.ndarray, "_ 2"] | None = None,
) -> Figure:
    """Draw one map for each set of places, all in one colour scale.

    The scale runs from the 2nd to the 98th percentile of all finite values. Infinite values are drawn in their own
    colour, with a legend; places whose value is NaN are omitted.

    Args:
        lonlat: Heading to places, degrees, shape (n, 2).
        values: The same headings to numbers, shape (n,).
        label: Label of the colour bar, with the unit.
        title: Title of the figure.
        colour_map: A name of Matplotlib.
        logarithmic: Whether the scale is logarithmic; values of 0 or less take the lowest colour.
        beyond: Legend of infinite values.
        backdrop: Other places, drawn in a pale colour behind, on every map.

    Returns:
        The figure.

    Raises:
        ValueError: If there is no map, the headings differ, or the numbers of places and values of a map differ.
    """
    if not values or list(lonlat) != list(values):
        raise ValueError(f"value_maps needs the same headings twice, got {list(lonlat)} and {list(values)}.")
    for name, places in lonlat.items():
        if len(places) != len(values[name]):
            raise ValueError(f"map {name!r}: {len(places)} places, but {len(values[name])} values.")
    columns = min(len(values), 2)
    lines = -(-len(values) // columns)
    width = WIDTH if columns == 1 else 6.2
    height = lines * (0.47 * width + 0.3) + 0.75 + (0.35 if title else 0.0)
    figure = new_figure(columns * width, height, title)
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    everything = np.concatenate([one[np.isfinite(one)] for one in values.values()])
    scale = colour_scale(everything, logarithmic)
    behind = np.empty((0, 2)) if backdrop is None else backdrop
    south, north = limits(np.concatenate([*lonlat.values(), behind]))
    for axes, name in zip(panels, values, strict=False):
        draw_world(axes, name, south, north)
        draw_backdrop(axes, behind, width)
        draw_values(axes, lonlat[name], values[name], scale, colour_map, width, beyond)
    for axes in panels[len(values) :]:
        axes.set_axis_off()
    if len(everything):
        add_bar(figure, list(panels[: len(values)]), scale, colour_map, label, everything)
    return figure


def draw_backdrop(axes: Axes, lonlat: Float[np.ndarray, "n 2"], width: float) -> None:
    """Draw places in a pale colour behind the others, on a map of some width in inches."""
    size = point_size(len(lonlat), width)
    x, y = place_points(lonlat).T
    axes.scatter(x, y, s=size, color=BACKDROP, linewidths=0, zorder=1.5, rasterized=True)


def draw_values(
    axes: Axes,
    lonlat: Float[np.ndarray, "n 2"],
    values: Float[np.ndarray, " n"],
    scale: Normalize,
    colour_map: str,
    width: float,
    beyond: str,
) -> None:
    """Draw coloured points; infinite values in their own colour."""
    points, size = place_points(lonlat), point_size(len(lonlat), width)
    known, far = np.isfinite(values), np.isinf(values)
    look: dict[str, Any] = {"s": size, "linewidths": 0, "zorder": 2, "rasterized": True}
    shown = np.maximum(values[known], float(scale.vmin or 0.0))
    axes.scatter(points[known, 0], points[known, 1], c=shown, cmap=colour_map, norm=scale, **look)
    if far.any():
        axes.scatter(points[far, 0], points[far, 1], color=BEYOND, **look)
        axes.scatter([], [], color=BEYOND, s=40, linewidths=0, label=beyond)
        place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0.0, -0.14), "handletextpad": 0.2}
        axes.legend(frameon=False, labelcolor=INK, fontsize=9, **place)


def colour_scale(values: Float[np.ndarray, " n"], logarithmic: bool) -> Normalize:
    """Return a scale from the 2nd to the 98th percentile; never empty."""
    if logarithmic:
        values = values[values > 0]
    low, high = np.percentile(values, PERCENTILES) if len(values) else (1.0, 10.0)
    if high <= low:
        low, high = (low / 2, low * 2) if logarithmic else (low - 0.5, low + 0.5)
    return LogNorm(low, high) if logarithmic else Normalize(low, high)


def add_bar(
    figure: Figure,
    panels: Sequence[Axes],
    scale: Normalize,
    colour_map: str,
    label: str,
    values: Float[np.ndarray, " n"],
    shrink: float = 0.5,
) -> None:
    """Draw one colour bar below all maps, with arrows where values lie outside the scale."""
    below, above = bool(values.min() < float(scale.vmin or 0)), bool(values.max() > float(scale.vmax or 0))
    extend = {(False, False): "neither", (True, False): "min", (False, True): "max"}.get((below, above), "both")
    place: dict[str, Any] = {"orientation": "horizontal", "shrink": shrink, "aspect": 38, "pad": 0.02}
    bar = figure.colorbar(ScalarMappable(scale, colour_map), ax=list(panels), extend=extend, **place)
    if isinstance(scale, LogNorm):
        # Powers of ten alone would leave a narrow scale without a number.
        bar.ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 3.0, 5.0)))
        bar.ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
        bar.ax.xaxis.set_minor_locator(LogLocator(subs=()))
    bar.set_label(label, color=INK)
    bar.outline.set_visible(False)  # type: ignore[operator]
    bar.ax.tick_params(colors=INK, labelsize=9)
    bar.ax.tick_params(which="minor", color=FAINT)


def predicted_and_true(
    lonlat: Float[np.ndarray, "n 2"],
    predicted: Shaped[np.ndarray, " n"],
    true: Shaped[np.ndarray, " n"],
    label: str,
    title: str = "",
    colour_map: str = "viridis",
    backdrop: Float[np.ndarray, "_ 2"] | None = None,
) -> Figure:
    """Draw predictions and true values, numbers or classes, at the same places.

    Numbers share one colour scale from the 2nd to the 98th percentile of the true values. Classes share one colour
    each; with more than sixteen there is no legend, and the figure compares patterns.

    Args:
        lonlat: Places, degrees, shape (n, 2).
        predicted: Predicted numbers or classes, shape (n,).
        true: True numbers or classes, shape (n,).
        label: Label of the colour bar, with the unit.
        title: Title of the figure, such as the encoder, the split and the score.
        colour_map: A name of Matplotlib, for numbers.
        backdrop: Other places, drawn in a pale colour behind, to show land without predictions.

    Returns:
        The figure.

    Raises:
        ValueError: If there are no places.
    """
    if not len(lonlat):
        raise ValueError("predicted_and_true needs at least one place, got none.")
    numbers = np.issubdtype(true.dtype, np.floating)
    figure = new_figure(2 * PANEL_WIDTH, 0.5 * PANEL_WIDTH + (0.9 if numbers else 0.6), title)
    left, right = figure.subplots(1, 2)
    points, behind = place_points(lonlat), np.empty((0, 2)) if backdrop is None else backdrop
    south, north = limits(np.concatenate([lonlat, behind]))
    for axes, heading in ((left, "predicted"), (right, "true")):
        draw_world(axes, heading, south, north)
        draw_backdrop(axes, behind, PANEL_WIDTH)
    if numbers:
        draw_numbers(figure, (left, right), points, (predicted, true), label, colour_map)
    else:
        draw_classes(figure, (left, right), points, (predicted, true), label)
    return figure


def draw_numbers(
    figure: Figure,
    panels: tuple[Axes, Axes],
    points: Float[np.ndarray, "n 2"],
    values: tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]],
    label: str,
    colour_map: str,
) -> None:
    """Draw coloured points, in the scale of the second values, and one colour bar below both maps."""
    scale, size = colour_scale(values[1][~np.isnan(values[1])], logarithmic=False), point_size(len(points), PANEL_WIDTH)
    look: dict[str, Any] = {"s": size, "linewidths": 0, "zorder": 2, "rasterized": True}
    for axes, value in zip(panels, values, strict=True):
        axes.scatter(points[:, 0], points[:, 1], c=value, cmap=colour_map, norm=scale, **look)
    add_bar(figure, panels, scale, colour_map, label, np.concatenate(values), shrink=0.38)


def draw_classes(
    figure: Figure,
    panels: tuple[Axes, Axes],
    points: Float[np.ndarray, "n 2"],
    values: tuple[Shaped[np.ndarray, " n"], Shaped[np.ndarray, " n"]],
    label: str,
) -> None:
    """Draw points in the colour of their class, and a legend for up to sixteen classes."""
    true, counts = np.unique(values[1].astype(str), return_counts=True)
    # The most frequent classes come first, so their hues differ most; classes that are only predicted come last.
    ranking = dict.fromkeys([*true[np.argsort(-counts, kind="stable")], *np.unique(values[0].astype(str))])
    ranked = dict(zip(ranking, class_colours(len(ranking)), strict=True))
    size = point_size(len(points), PANEL_WIDTH)
    for axes, value in zip(panels, values, strict=True):
        shown = [ranked[name] for name in value.astype(str).tolist()]
        axes.scatter(points[:, 0], points[:, 1], c=shown, s=size, linewidths=0, zorder=2, rasterized=True)
    if len(ranked) <= 16:
        for name, colour in ranked.items():
            panels[0].scatter([], [], color=[colour], s=40, label=name)
        figure.legend(loc="outside lower center", ncols=8, frameon=False, title=label, labelcolor=INK)
    else:
        note = f"{label}: one colour for each of {len(ranked)} classes"
        figure.supxlabel(note, color=FAINT, fontsize=10)


def class_colours(count: int) -> list[tuple[float, float, float]]:
    """Return a colour per class: hues by the golden angle, three levels of saturation in turn."""
    depths = ((0.62, 0.78), (0.45, 0.92), (0.75, 0.55))
    return [colorsys.hsv_to_rgb((0.58 + i * 0.61803398875) % 1.0, *depths[i % 3]) for i in range(count)]
