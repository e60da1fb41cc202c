"""World maps of one number a place, with a colour bar."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator

from geotether.maps.figure import COLOURS, FAINT, INK, new_figure
from geotether.maps.world import draw_world, limits, place_points, point_size

WIDTH = 8.0
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

    The scale runs from the 2nd to the 98th percentile of all finite values. Infinite values are drawn in a colour of
    their own, with a legend; places whose value is NaN are left out.

    Args:
        lonlat: Heading to places, degrees, shape (n, 2).
        values: The same headings to numbers, shape (n,).
        label: What the numbers are, with the unit.
        title: Title of the figure.
        colour_map: Matplotlib's name.
        logarithmic: Whether equal steps of colour are equal ratios; values of 0 or less take the lowest colour.
        beyond: What an infinite value means.
        backdrop: Other places, drawn pale behind on every map.

    Returns:
        The figure.

    Raises:
        ValueError: If there is no map, the headings differ, or a map has other numbers of places and values.
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
        shade: dict[str, Any] = {"color": "#d5dde2", "linewidths": 0, "zorder": 1.5, "rasterized": True}
        axes.scatter(*place_points(behind).T, s=point_size(len(behind), width), **shade)
        draw_values(axes, lonlat[name], values[name], scale, colour_map, width, beyond)
    for axes in panels[len(values) :]:
        axes.set_axis_off()
    if len(everything):
        add_bar(figure, list(panels[: len(values)]), scale, colour_map, label, everything)
    return figure


def draw_values(
    axes: Axes,
    lonlat: Float[np.ndarray, "n 2"],
    values: Float[np.ndarray, " n"],
    scale: Normalize,
    colour_map: str,
    width: float,
    beyond: str,
) -> None:
    """Coloured points; infinite ones in a colour of their own."""
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
    """From the 2nd to the 98th percentile; never empty."""
    if logarithmic:
        values = values[values > 0]
    low, high = np.percentile(values, PERCENTILES) if len(values) else (1.0, 10.0)
    if high <= low:
        low, high = (low / 2, low * 2) if logarithmic else (low - 0.5, low + 0.5)
    return LogNorm(low, high) if logarithmic else Normalize(low, high)


def add_bar(
    figure: Figure, panels: list[Axes], scale: Normalize, colour_map: str, label: str, values: Float[np.ndarray, " n"]
) -> None:
    """One colour bar below all maps."""
    from matplotlib.cm import ScalarMappable

    below, above = bool(values.min() < float(scale.vmin or 0)), bool(values.max() > float(scale.vmax or 0))
    extend = {(False, False): "neither", (True, False): "min", (False, True): "max"}.get((below, above), "both")
    bar = figure.colorbar(
        ScalarMappable(scale, colour_map),
        ax=panels,
        orientation="horizontal",
        shrink=0.5,
        aspect=38,
        pad=0.02,
        extend=extend,
    )
    if isinstance(scale, LogNorm):
        # Powers of ten alone leave a narrow scale without a number.
        bar.ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 3.0, 5.0)))
        bar.ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
        bar.ax.xaxis.set_minor_locator(LogLocator(subs=()))
    bar.set_label(label, color=INK)
    bar.outline.set_visible(False)  # type: ignore[operator]
    bar.ax.tick_params(colors=INK, labelsize=9)
    bar.ax.tick_params(which="minor", color=FAINT)
