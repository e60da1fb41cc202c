"""Maps of values per place: one number with a colour bar, or predictions and true values."""

import colorsys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator

from geotether.maps.figure import COLOURS, FAINT, INK
from geotether.maps.world import Frame, map_panels, point_size

BACKDROP = "#b9c4cb"
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
    scaled_by: str | None = None,
) -> Figure:
    """Draw one map for each set of places, all in one colour scale.

    The scale runs from the 2nd to the 98th percentile of finite values. Infinite values are drawn in their own colour,
    with a legend; places whose value is NaN are omitted.

    Args:
        lonlat: Heading to places, degrees, shape (n, 2).
        values: The same headings to numbers, shape (n,).
        label: Label of the colour bar, with the unit.
        title: Title of the figure.
        colour_map: A name of Matplotlib.
        logarithmic: Whether the scale is logarithmic; values of 0 or less take the lowest colour.
        beyond: Legend of infinite values.
        backdrop: Other places, drawn in a pale colour behind, on every map.
        scaled_by: Heading of the map that decides the scale. None: all of them.

    Raises:
        ValueError: If there is no map, the headings differ, or the numbers of places and values of a map differ.
    """
    if not values or list(lonlat) != list(values):
        raise ValueError(f"value_maps needs the same headings twice, got {list(lonlat)} and {list(values)}.")
    for name, places in lonlat.items():
        if len(places) != len(values[name]):
            raise ValueError(f"map {name!r}: {len(places)} places, but {len(values[name])} values.")
    finite = {name: one[np.isfinite(one)] for name, one in values.items()}
    everything = np.concatenate(list(finite.values()))
    scale = colour_scale(everything if scaled_by is None else finite[scaled_by], logarithmic)
    behind = np.empty((0, 2)) if backdrop is None else backdrop
    frame = Frame(np.concatenate([*lonlat.values(), behind]))
    figure, panels, width = map_panels(frame, list(values), title, below=0.75)
    for axes, name in zip(panels, values, strict=True):
        frame.scatter(axes, behind, point_size(len(behind), width), zorder=1.5, color=BACKDROP)
        places, value, size = lonlat[name], values[name], point_size(len(lonlat[name]), width)
        known, far = np.isfinite(value), np.isinf(value)
        shown = np.maximum(value[known], float(scale.vmin or 0.0)) if logarithmic else value[known]
        frame.scatter(axes, places[known], size, c=shown, cmap=colour_map, norm=scale)
        if far.any():
            frame.scatter(axes, places[far], size, color=BEYOND)
            axes.scatter([], [], color=BEYOND, s=40, linewidths=0, label=beyond)
            place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0.0, -0.14), "handletextpad": 0.2}
            axes.legend(frameon=False, labelcolor=INK, fontsize=9, **place)
    if len(everything):
        add_bar(figure, panels, scale, colour_map, label, everything)
    return figure


def colour_scale(values: Float[np.ndarray, " n"], logarithmic: bool) -> Normalize:
    """Return a scale from the 2nd to the 98th percentile; never empty."""
    if logarithmic:
        values = values[values > 0]
    low, high = np.percentile(values, PERCENTILES) if len(values) else (1.0, 10.0)
    if high <= low:
        half = max(0.5, 1e-9 * abs(low))  # enough to differ from large numbers
        low, high = (low / 2, low * 2) if logarithmic else (low - half, low + half)
    return LogNorm(low, high) if logarithmic else Normalize(low, high)


def add_bar(
    figure: Figure,
    panels: Sequence[Axes],
    scale: Normalize,
    colour_map: str,
    label: str,
    values: Float[np.ndarray, " n"],
) -> None:
    """Draw one colour bar below all maps, with arrows where values lie outside the scale."""
    below, above = bool(values.min() < float(scale.vmin or 0)), bool(values.max() > float(scale.vmax or 0))
    extend = {(False, False): "neither", (True, False): "min", (False, True): "max"}.get((below, above), "both")
    place: dict[str, Any] = {"orientation": "horizontal", "shrink": 0.5, "aspect": 38, "pad": 0.02}
    bar = figure.colorbar(ScalarMappable(scale, colour_map), ax=list(panels), extend=extend, **place)
    if isinstance(scale, LogNorm):
        # Powers of ten alone would leave a narrow scale without a number.
        narrow = float(scale.vmax or 1.0) < 50 * float(scale.vmin or 1.0)
        bar.ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 3.0, 5.0) if narrow else (1.0,)))
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

    Raises:
        ValueError: If there are no places.
    """
    if not len(lonlat):
        raise ValueError("predicted_and_true needs at least one place, got none.")
    values = {"predicted": predicted, "true": true}
    if np.issubdtype(true.dtype, np.floating):
        return value_maps(dict.fromkeys(values, lonlat), values, label, title, scaled_by="true")
    frame = Frame(lonlat)
    figure, panels, width = map_panels(frame, list(values), title, below=0.6)
    shown = {name: [str(one) for one in value.tolist()] for name, value in values.items()}
    # The most frequent classes come first, so their hues differ most; classes that are only predicted come last.
    frequent = [name for name, _ in Counter(sorted(shown["true"])).most_common()]
    ranking = dict.fromkeys([*frequent, *sorted(shown["predicted"])])
    colours = dict(zip(ranking, class_colours(len(ranking)), strict=True))
    for axes, classes in zip(panels, shown.values(), strict=True):
        frame.scatter(axes, lonlat, point_size(len(lonlat), width), c=[colours[one] for one in classes])
    if len(colours) <= 16:
        for name, colour in colours.items():
            panels[0].scatter([], [], color=[colour], s=40, label=name)
        figure.legend(loc="outside lower center", ncols=8, frameon=False, title=label, labelcolor=INK)
    else:
        note = f"{label}: one colour for each of {len(colours)} classes"
        figure.supxlabel(note, color=FAINT, fontsize=10)
    return figure


def class_colours(count: int) -> list[tuple[float, float, float]]:
    """Return a colour per class: hues by the golden angle, three levels of saturation in turn."""
    depths = ((0.62, 0.78), (0.45, 0.92), (0.75, 0.55))
    return [colorsys.hsv_to_rgb((0.58 + i * 0.61803398875) % 1.0, *depths[i % 3]) for i in range(count)]
