"""A world to draw on: the Equal Earth outline with a graticule, and land as the demo planet's places show it."""

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.patches import Polygon

from geotether.geodesy.projections import equal_earth
from geotether.maps.figure import FAINT, INK, OCEAN
from geotether.sources.planet import read_land_places

# Land, and so nearly all labels, lies between these latitudes; cutting Antarctica off leaves more room for it.
SOUTH, NORTH = -60.0, 84.0
LAND = "#d5dade"
# Dots of about 105 km at the demo planet's places leave few gaps; a map of the world is 34,000 km wide.
LAND_DOT_SHARE = 105 / 34_000


def draw_world(axes: Axes, title: str = "", south: float = SOUTH, north: float = NORTH) -> None:
    """Draw outline and graticule and switch the frame off.

    Args:
        axes: Where to draw.
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
    """Draw land behind what is drawn on a map.

    Args:
        axes: Where to draw.
        points: `geotether.sources.planet.read_land_places`, projected.
        dot: Diameter of a dot in points (1/72 inch).
    """
    axes.scatter(
        points[:, 0], points[:, 1], s=dot**2, color=LAND, linewidths=0, zorder=0.5, rasterized=True, gid="land"
    )


def draw_world_land(axes: Axes, width: float) -> None:
    """Draw land on a map of the world.

    Args:
        axes: From `draw_world`.
        width: Of the map in inches.
    """
    draw_land(axes, place_points(read_land_places()), LAND_DOT_SHARE * 72.0 * width)


def place_points(lonlat: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
    """Project places; longitudes beyond 180 come back from the other side."""
    wrapped = lonlat.astype(np.float64)
    wrapped[:, 0] = (wrapped[:, 0] + 180.0) % 360.0 - 180.0
    return equal_earth(wrapped)


def limits(lonlat: Float[np.ndarray, "n 2"]) -> tuple[float, float]:
    """South and north of a map that holds all places; wider than usual only if it must be."""
    if not len(lonlat):
        return SOUTH, NORTH
    south, north = float(lonlat[:, 1].min()), float(lonlat[:, 1].max())
    return (-90.0 if south < SOUTH else SOUTH), (90.0 if north > NORTH else NORTH)


def point_size(count: int, width: float) -> float:
    """Area of a marker in square points, so that n points spread over the land touch on a map of some width.

    Args:
        count: Number of points.
        width: Width of the map in inches.
    """
    # Land fills about a third of the map's width x half-width rectangle; one inch is 72 points.
    area = 0.33 * 0.45 * (72.0 * width) ** 2
    return float(np.clip(2.0 * area / max(count, 1), 0.6, 60.0))
