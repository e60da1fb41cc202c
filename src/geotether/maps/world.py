"""World maps: the Equal Earth outline with a graticule and land, and the places of each modality."""

import math
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from geotether.geodesy.crs import equal_earth
from geotether.maps.figure import FAINT, INK, OCEAN, colour_of, new_figure
from geotether.sources.planet import read_land_places

# Nearly all land with labels lies between these latitudes; without Antarctica it is drawn larger.
SOUTH, NORTH = -60.0, 84.0
LAND = "#d5dade"
# Dots of about 105 km at the demo planet's places leave few gaps; a world map is 34,000 km wide.
LAND_DOT_SHARE = 105 / 34_000
DRAWN_AT_MOST = 20_000


def draw_world(axes: Axes, title: str = "", south: float = SOUTH, north: float = NORTH) -> None:
    """Draw outline and graticule, and hide the axes.

    Args:
        axes: Axes to draw on.
        title: Title above the map.
        south: Southern limit of the map in degrees.
        north: Northern limit of the map in degrees.

    Source:
        Savric, Patterson & Jenny (2018), Int. J. Geogr. Inf. Sci. 33:454 (the projection; areas are true).
    """
    lats = np.linspace(south, north, 91)
    edge = np.concatenate(
        [
            np.stack([np.full(91, -180.0), lats], axis=1),
            np.stack([np.linspace(-180.0, 180.0, 91), np.full(91, north)], axis=1),
            np.stack([np.full(91, 180.0), lats[::-1]], axis=1),
            np.stack([np.linspace(180.0, -180.0, 91), np.full(91, south)], axis=1),
        ]
    )
    outline = equal_earth(edge)
    axes.add_patch(Polygon(outline, closed=True, facecolor=OCEAN, edgecolor=FAINT, linewidth=0.8, zorder=0))
    for lon in range(-120, 180, 60):
        meridian = equal_earth(np.stack([np.full(91, float(lon)), lats], axis=1))
        axes.plot(*meridian.T, color="#ffffff", linewidth=0.8, zorder=1)
    for lat in range(-60, 90, 30):
        if south < lat < north:
            parallel = equal_earth(np.array([[-180.0, lat], [180.0, lat]], dtype=np.float64))
            axes.plot(*parallel.T, color="#ffffff", linewidth=0.8, zorder=1)
    margin = 0.01 * np.ptp(outline, axis=0)
    axes.set_xlim(outline[:, 0].min() - margin[0], outline[:, 0].max() + margin[0])
    axes.set_ylim(outline[:, 1].min() - margin[1], outline[:, 1].max() + margin[1])
    axes.set_aspect("equal")
    axes.set_axis_off()
    if title:
        axes.set_title(title, color=INK, fontsize=11)


def draw_land(axes: Axes, points: Float[np.ndarray, "n 2"], dot: float) -> None:
    """Draw land behind everything else on a map.

    Args:
        axes: Axes to draw on.
        points: Projected places of `geotether.sources.planet.read_land_places`, shape (n, 2).
        dot: Diameter of a dot in points (1/72 inch).
    """
    axes.scatter(
        points[:, 0], points[:, 1], s=dot**2, color=LAND, linewidths=0, zorder=0.5, rasterized=True, gid="land"
    )


def draw_world_land(axes: Axes, width: float) -> None:
    """Draw land on a world map.

    Args:
        axes: From `draw_world`.
        width: Width of the map in inches.
    """
    draw_land(axes, place_points(read_land_places()), LAND_DOT_SHARE * 72.0 * width)


def place_points(lonlat: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
    """Project places after wrapping their longitudes to [-180, 180)."""
    wrapped = lonlat.astype(np.float64)
    wrapped[:, 0] = (wrapped[:, 0] + 180.0) % 360.0 - 180.0
    return equal_earth(wrapped)


def limits(lonlat: Float[np.ndarray, "n 2"]) -> tuple[float, float]:
    """Return the southern and northern limit of a map of all places; wider than usual only if needed."""
    if not len(lonlat):
        return SOUTH, NORTH
    south, north = float(lonlat[:, 1].min()), float(lonlat[:, 1].max())
    return (-90.0 if south < SOUTH else SOUTH), (90.0 if north > NORTH else NORTH)


def point_size(count: int, width: float) -> float:
    """Return the area of a marker in square points, such that points spread over the land touch.

    Args:
        count: Number of points.
        width: Width of the map in inches.
    """
    # Land fills about a third of the map's width x half-width rectangle; one inch is 72 points.
    area = 0.33 * 0.45 * (72.0 * width) ** 2
    return float(np.clip(2.0 * area / max(count, 1), 0.6, 60.0))


def coverage_map(places: Mapping[str, Float[np.ndarray, "_ 2"]], title: str = "") -> Figure:
    """Draw one map of places per modality.

    Args:
        places: Modality to lonlat, degrees, shape (n, 2). Of more than 20,000 places, every k-th is drawn.
        title: Title of the figure.

    Returns:
        The figure.

    Raises:
        ValueError: If there are no modalities.
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
