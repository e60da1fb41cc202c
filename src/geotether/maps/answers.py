"""Maps of a search: how similar every candidate is, and the numbered answers."""

from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from geotether.maps.figure import COLOURS, INK, PAPER
from geotether.maps.values import add_bar, colour_scale
from geotether.maps.world import Frame, map_panels, point_size


def answers_map(
    lonlat: Float[np.ndarray, "n 2"],
    similarity: Float[np.ndarray, " n"],
    answers: Float[np.ndarray, "k 2"],
    title: str = "",
    place: Float[np.ndarray, "1 2"] | None = None,
) -> Figure:
    """Draw candidates by their similarity, with the answers numbered from the best.

    Args:
        lonlat: Candidates, degrees, shape (n, 2), at least one.
        similarity: Of each, shape (n,); drawn from the least similar to the most.
        answers: The answers in their order, degrees, shape (k, 2).
        title: Title of the figure.
        place: The place that was asked for, marked by a star; left out if it is outside of a map of a region.
    """
    frame = Frame(np.concatenate([lonlat, answers]))
    asked = np.empty((0, 2)) if place is None else place
    if frame.region is not None and len(asked):
        west, south, east, north = frame.region
        asked = asked[((asked[:, 0] - west) % 360 <= east - west) & (asked[:, 1] >= south) & (asked[:, 1] <= north)]
    figure, (axes,), width = map_panels(frame, [title], below=0.75)
    scale = colour_scale(similarity, logarithmic=False)
    order = np.argsort(similarity, kind="stable")
    frame.scatter(axes, lonlat[order], point_size(len(lonlat), width), c=similarity[order], cmap="viridis", norm=scale)
    look: dict[str, Any] = {"zorder": 4, "linewidths": 1.2, "edgecolors": PAPER}
    numbered = list(enumerate(frame.points(answers), start=1))
    for number, (x, y) in reversed(numbered):  # the best on top
        axes.scatter(x, y, s=130 if len(answers) <= 30 else 40, color=COLOURS[0], **look)
        if len(answers) <= 30:
            style: dict[str, Any] = {"color": PAPER, "fontsize": 7, "fontweight": "bold", "zorder": 4}
            axes.text(x, y, str(number), ha="center", va="center_baseline", **style)
    if len(asked):
        x, y = frame.points(asked)[0]
        axes.scatter(x, y, marker="*", s=260, color=COLOURS[2], zorder=6, linewidths=1.0, edgecolors=INK)
    add_bar(figure, [axes], scale, "viridis", "cosine similarity", similarity)
    return figure
