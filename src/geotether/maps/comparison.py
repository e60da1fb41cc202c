"""Two world maps side by side: what was predicted and what is true, in one colour scale."""

import colorsys
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from geotether.maps.figure import FAINT, INK, new_figure
from geotether.maps.world import draw_world, limits, place_points, point_size

PANEL_WIDTH = 6.6


def predicted_and_true(
    lonlat: Float[np.ndarray, "n 2"],
    predicted: Shaped[np.ndarray, " n"],
    true: Shaped[np.ndarray, " n"],
    label: str,
    title: str = "",
    colour_map: str = "viridis",
    backdrop: Float[np.ndarray, "_ 2"] | None = None,
) -> Figure:
    """Draw predictions beside the truth at the same places; numbers or classes.

    Numbers share one colour scale from the 2nd to the 98th percentile of the true values. Classes share one colour
    each, without a legend where there are more than sixteen: it is the pattern that is compared.

    Args:
        lonlat: Places, degrees, shape (n, 2).
        predicted: Predicted numbers or classes, shape (n,).
        true: True ones, shape (n,).
        label: What they are, with the unit: the label of the colour bar.
        title: Title of the figure, such as the encoder, the split and the score.
        colour_map: Matplotlib's name, for numbers.
        backdrop: Other places, drawn pale behind, so that the land shows where nothing is predicted.

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
    points, (south, north) = (
        place_points(lonlat),
        limits(lonlat if backdrop is None else np.concatenate([lonlat, backdrop])),
    )
    for axes, heading in ((left, "predicted"), (right, "true")):
        draw_world(axes, heading, south, north)
        if backdrop is not None and len(backdrop):
            shade: dict[str, Any] = {"color": "#d5dde2", "linewidths": 0, "zorder": 1.5, "rasterized": True}
            axes.scatter(
                place_points(backdrop)[:, 0],
                place_points(backdrop)[:, 1],
                s=point_size(len(backdrop), PANEL_WIDTH),
                **shade,
            )
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
    """Coloured points and one colour bar below both maps."""
    low, high = np.nanpercentile(values[1], [2, 98])
    if low == high:
        low, high = low - 0.5, high + 0.5
    scale, size = Normalize(low, high), point_size(len(points), PANEL_WIDTH)
    for axes, value in zip(panels, values, strict=True):
        drawn = axes.scatter(
            points[:, 0],
            points[:, 1],
            c=value,
            s=size,
            cmap=colour_map,
            norm=scale,
            linewidths=0,
            zorder=2,
            rasterized=True,
        )
    below, above = (bool(min(map(np.min, values)) < low), bool(max(map(np.max, values)) > high))
    extend = {(False, False): "neither", (True, False): "min", (False, True): "max"}.get((below, above), "both")
    bar = figure.colorbar(drawn, ax=panels, orientation="horizontal", shrink=0.38, aspect=38, pad=0.02, extend=extend)
    bar.set_label(label, color=INK)
    bar.outline.set_visible(False)  # type: ignore[operator]
    bar.ax.tick_params(colors=INK, labelsize=9)


def draw_classes(
    figure: Figure,
    panels: tuple[Axes, Axes],
    points: Float[np.ndarray, "n 2"],
    values: tuple[Shaped[np.ndarray, " n"], Shaped[np.ndarray, " n"]],
    label: str,
) -> None:
    """Points in the colour of their class, and a legend if it fits."""
    true, counts = np.unique(values[1].astype(str), return_counts=True)
    # The most frequent classes come first and so get the hues that lie farthest apart; wrong guesses come last.
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
    """Colours for any number of classes: hues by the golden angle, three depths in turn."""
    depths = ((0.62, 0.78), (0.45, 0.92), (0.75, 0.55))
    return [colorsys.hsv_to_rgb((0.58 + i * 0.61803398875) % 1.0, *depths[i % 3]) for i in range(count)]
