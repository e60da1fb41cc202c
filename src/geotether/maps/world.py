"""Maps of the world (Equal Earth, with a graticule and land) or of a region, and the places of each modality."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from matplotlib.ticker import FuncFormatter

from geotether.diagnostics.contents import bounds
from geotether.geodesy.crs import equal_earth
from geotether.maps.figure import COLOURS, FAINT, INK, OCEAN, dress, new_figure
from geotether.sources.planet import read_land_places

# Nearly all land with labels lies between these latitudes; without Antarctica it is drawn larger.
SOUTH, NORTH = -60.0, 84.0
LAND = "#d5dade"
# Dots of about 105 km at the demo planet's places leave few gaps; a world map is 34,000 km wide.
LAND_DOT_SHARE = 105 / 34_000
# In smaller regions, the places that show land are too far apart.
LAND_FROM_DEGREES, LAND_DOT_DEGREES = 10.0, 0.65
# Smaller regions are drawn by themselves: on a world map they would be dots.
REGION_DEGREES = (60.0, 40.0)
DRAWN_AT_MOST = 20_000
# Width of a map in inches, by the number of maps side by side.
WIDTHS = {1: 8.0, 2: 6.2, 3: 4.0}


class Frame:
    """The part of the Earth that a map shows: the world, or the region of its places if that is small.

    Args:
        lonlat: All places of the map, degrees, shape (n, 2).

    Attributes:
        height: Height of the map, relative to its width.
        region: West, south, east and north in degrees, east possibly above 180; None for the world.

    Source:
        Savric, Patterson & Jenny (2018), Int. J. Geogr. Inf. Sci. 33:454 (the projection of the world; areas are true).
    """

    def __init__(self, lonlat: Float[np.ndarray, "n 2"]) -> None:
        west, south, east, north = bounds(lonlat) if len(lonlat) else (-180.0, 0.0, 180.0, 0.0)
        wide, tall = east - west + (360.0 if east < west else 0.0), north - south
        small = wide < REGION_DEGREES[0] and tall < REGION_DEGREES[1] and max(-south, north) < 80
        self.region = (west, south, west + wide, north) if small else None
        self.height = 0.47
        if self.region:
            self._stretch = math.cos(math.radians((south + north) / 2))
            self.height = float(np.clip(tall / max(wide * self._stretch, 1e-9), 0.35, 1.1))
        self._limits = (-90.0 if south < SOUTH else SOUTH), (90.0 if north > NORTH else NORTH)

    def points(self, lonlat: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
        """Convert places to coordinates of the map; a region reaches 30 degrees beyond its western side."""
        west = -180.0 if self.region is None else self.region[0] - 30.0
        wrapped = lonlat.astype(np.float64)
        wrapped[:, 0] = (wrapped[:, 0] - west) % 360.0 + west
        return equal_earth(wrapped) if self.region is None else wrapped

    def scatter(self, axes: Axes, lonlat: Float[np.ndarray, "n 2"], size: float, **look: Any) -> None:
        """Draw places as dots of some area in square points."""
        x, y = self.points(lonlat).T
        axes.scatter(x, y, s=size, linewidths=0, rasterized=True, **{"zorder": 2, **look})

    def draw(self, axes: Axes, title: str, width: float) -> None:
        """Draw a map of some width in inches, without places: outline, graticule and land."""
        land = read_land_places()
        if self.region is None:
            self._draw_world(axes)
            dot = LAND_DOT_SHARE * 72.0 * width
        else:
            west, south, east, north = self.region
            self._draw_region(axes)
            inches = width / max((east - west) * self._stretch, (north - south) / self.height, 1e-9)  # per degree
            dot = LAND_DOT_DEGREES * 0.9 * 72.0 * inches
            if max((east - west) * self._stretch, north - south) < LAND_FROM_DEGREES:
                land = land[:0]
        self.scatter(axes, land, dot**2, zorder=0.5, color=LAND, gid="land")
        if title:
            axes.set_title(title, color=INK, fontsize=11)

    def _draw_world(self, axes: Axes) -> None:
        south, north = self._limits
        lats, lons = np.linspace(south, north, 91), np.linspace(-180.0, 180.0, 91)
        sides = [(np.full(91, -180.0), lats), (lons, np.full(91, north))]
        sides += [(np.full(91, 180.0), lats[::-1]), (lons[::-1], np.full(91, south))]
        outline = equal_earth(np.concatenate([np.stack(side, axis=1) for side in sides]))
        axes.add_patch(Polygon(outline, closed=True, facecolor=OCEAN, edgecolor=FAINT, linewidth=0.8, zorder=0))
        lines = [np.stack([np.full(91, float(lon)), lats], axis=1) for lon in range(-120, 180, 60)]
        lines += [
            np.stack([lons, np.full(91, float(lat))], axis=1) for lat in range(-60, 90, 30) if south < lat < north
        ]
        for line in lines:
            axes.plot(*equal_earth(line).T, color="#ffffff", linewidth=0.8, zorder=1)
        margin = 0.01 * np.ptp(outline, axis=0)
        axes.set_xlim(outline[:, 0].min() - margin[0], outline[:, 0].max() + margin[0])
        axes.set_ylim(outline[:, 1].min() - margin[1], outline[:, 1].max() + margin[1])
        axes.set_aspect("equal")
        axes.set_axis_off()

    def _draw_region(self, axes: Axes) -> None:
        """Set up axes in degrees, scaled so that the middle of the region has its true shape."""
        assert self.region is not None
        west, south, east, north = self.region
        margin = 0.03 * max(east - west, north - south, 0.01)
        dress(axes)
        axes.set_facecolor(OCEAN)
        axes.set_xlim(west - margin, east + margin)
        axes.set_ylim(south - margin, north + margin)
        axes.set_aspect(1 / self._stretch)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda lon, _: f"{(lon + 180) % 360 - 180:.6g}°"))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda lat, _: f"{lat:.6g}°"))


def map_panels(
    frame: Frame, headings: Sequence[str], title: str = "", columns: int = 2, below: float = 0.0
) -> tuple[Figure, list[Axes], float]:
    """Make a figure with one empty map per heading.

    Args:
        frame: What the maps show.
        headings: Titles of the maps.
        title: Title of the figure.
        columns: Number of maps side by side, at most 3.
        below: Height of a legend or colour bar below the maps, in inches.

    Returns:
        The figure, the axes of each map, and the width of a map in inches.
    """
    columns = min(len(headings), columns)
    lines, width = math.ceil(len(headings) / columns), WIDTHS[columns]
    height = lines * (frame.height * width + 0.35) + below + (0.35 if title else 0.0)
    figure = new_figure(columns * width, height, title)
    panels = figure.subplots(lines, columns, squeeze=False).ravel().tolist()
    for axes, heading in zip(panels, headings, strict=False):
        frame.draw(axes, heading, width)
    for axes in panels[len(headings) :]:
        axes.set_axis_off()
    return figure, panels[: len(headings)], width


def point_size(count: int, width: float) -> float:
    """Return the area of a marker in square points, such that points spread over the land touch.

    Args:
        count: Number of points.
        width: Width of the map in inches.
    """
    # Land fills about a third of the map's width x half-width rectangle; one inch is 72 points.
    area = 0.33 * 0.45 * (72.0 * width) ** 2
    return float(np.clip(2.0 * area / max(count, 1), 0.6, 60.0))


def coverage_map(places: Mapping[str, Float[np.ndarray, "_ 2"]]) -> Figure:
    """Draw one map of places per modality.

    Args:
        places: Modality to lonlat, degrees, shape (n, 2). Of more than 20,000 places, every k-th is drawn.

    Raises:
        ValueError: If there are no modalities.
    """
    if not places:
        raise ValueError("coverage_map needs the places of at least one modality, got none.")
    frame = Frame(np.concatenate(list(places.values())))
    headings = [f"{name} · {len(lonlat):,} places" for name, lonlat in places.items()]
    figure, panels, width = map_panels(frame, headings, columns=3)
    for axes, lonlat in zip(panels, places.values(), strict=True):
        some = lonlat[:: max(1, math.ceil(len(lonlat) / DRAWN_AT_MOST))]
        size = float(np.clip(2.2e3 * (width / 4) ** 2 / max(len(some), 1), 0.5, 12.0))
        frame.scatter(axes, some, size, color=COLOURS[1], alpha=0.65)
    return figure
