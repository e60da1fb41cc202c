"""Where each modality has data: small maps, one a modality."""

import math
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from geotether.maps.figure import colour_of, new_figure
from geotether.maps.world import draw_world, limits, place_points

DRAWN_AT_MOST = 20_000


def coverage_map(places: Mapping[str, Float[np.ndarray, "_ 2"]], title: str = "") -> Figure:
    """Draw the places of every modality on a map of its own.

    Args:
        places: Modality to lonlat, degrees, shape (n, 2). Of more than 20,000 places an even choice is drawn.
        title: Title of the figure.

    Returns:
        The figure.

    Raises:
        ValueError: If there is no modality.
    """
    if not places:
        raise ValueError("coverage_map needs the places of at least one modality, got none.")
    columns = min(len(places), 3)
    lines = math.ceil(len(places) / columns)
    width = 12.0 / columns if columns > 1 else 7.0
    figure = new_figure(columns * width, lines * (0.5 * width + 0.35) + (0.4 if title else 0.0), title)
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    colours = colour_of(list(places))
    for axes, (name, lonlat) in zip(panels, places.items(), strict=False):
        draw_world(axes, f"{name} · {len(lonlat):,} places", *limits(lonlat))
        some = lonlat[:: max(1, math.ceil(len(lonlat) / DRAWN_AT_MOST))]
        size = float(np.clip(2.2e3 * (width / 4) ** 2 / max(len(some), 1), 0.5, 12.0))
        axes.scatter(*place_points(some).T, s=size, color=colours[name], alpha=0.65, linewidths=0, zorder=2)
    for axes in panels[len(places) :]:
        axes.set_axis_off()
    return figure
