"""Maps of predictions: rasters in colour, hatched where not applicable, with borders, graticule, scale and legend."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from jaxtyping import Bool, Float, Shaped
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap, Normalize, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter

from geotether.geodesy.crs import lonlat_of_xy, xy_of_lonlat
from geotether.geodesy.distance import great_circle_km
from geotether.maps.figure import COLOURS, FAINT, INK, OCEAN, new_figure
from geotether.maps.values import class_colours, colour_scale
from geotether.regions import Grid
from geotether.regions.named import land_outlines

# Paul Tol's discrete rainbow of fourteen colours, which colour-blind readers can tell apart in a legend's order.
_RAINBOW = (
    "#d1bbd7", "#ae76a3", "#882e72", "#1965b0", "#5289c7", "#7bafde", "#4eb265", "#90c987", "#cae0ab", "#f7f056",
    "#f6c141", "#f1932d", "#e8601c", "#dc050c",
)  # fmt: skip
PIXELS_SHOWN = 1200
_HATCH = "#5d6a73"
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60)


@dataclass(frozen=True, eq=False)
class Picture:
    """A band of a raster, reduced for drawing and cut to where it has data.

    Attributes:
        values: Shape (r, c), NaN without data.
        extent: West, east, south and north in units of the CRS.
        crs: CRS of the grid.
    """

    values: Float[np.ndarray, "r c"]
    extent: tuple[float, float, float, float]
    crs: str
    is_geographic: bool

    @property
    def middle(self) -> Float[np.ndarray, " 2"]:
        """Longitude and latitude of the middle."""
        west, east, south, north = self.extent
        xy = np.array([[(west + east) / 2, (south + north) / 2]])
        return xy[0] if self.is_geographic else lonlat_of_xy(xy, self.crs)[0]


def read_pictures(path: str | Path, grid: Grid, bands: Sequence[int], nodata: float | None = None) -> list[Picture]:
    """Read bands of a raster, every k-th pixel of large ones, all cut to where the first has data.

    Args:
        path: A raster of the grid.
        grid: Where its pixels lie.
        bands: Numbers of bands, from 1.
        nodata: Value without data, of rasters of whole numbers.
    """
    import rasterio

    every = max(1, math.ceil(max(grid.rows, grid.columns) / PIXELS_SHOWN))
    shape = (math.ceil(grid.rows / every), math.ceil(grid.columns / every))
    with rasterio.open(path) as file:
        values = file.read(list(bands), out_shape=(len(bands), *shape)).astype(np.float64)
    if nodata is not None:
        values[values == nodata] = np.nan
    known = np.isfinite(values[0])
    rows, columns = (np.flatnonzero(known.any(axis=axis)) for axis in (1, 0))
    top, left = (max(int(index[0]) - 2, 0) if len(index) else 0 for index in (rows, columns))
    bottom, right = (
        int(index[-1]) + 3 if len(index) else end for index, end in zip((rows, columns), shape, strict=True)
    )
    bottom, right = min(bottom, shape[0]), min(right, shape[1])
    west, south, east, north = grid.bounds
    across, down = (east - west) / shape[1], (north - south) / shape[0]
    extent = (west + left * across, west + right * across, north - bottom * down, north - top * down)
    return [Picture(band[top:bottom, left:right], extent, grid.crs, grid.is_geographic) for band in values]


def number_map(picture: Picture, inside: Picture, title: str, label: str, colour_map: str = "viridis") -> Figure:
    """Draw a raster of numbers, in colours from the 2nd to the 98th percentile of those that may be trusted.

    Args:
        picture: The numbers.
        inside: 1 where the numbers may be trusted, 0 where they are hatched.
        title: Title of the figure.
        label: Label of the colour bar, with the unit.
        colour_map: A name of Matplotlib.
    """
    known = picture.values[np.isfinite(picture.values)]
    scale = trusted_scale(picture.values, inside.values == 1)
    figure, axes = _map_figure(picture, title)
    axes.imshow(picture.values, cmap=colour_map, norm=scale, **_placed(picture))
    _dress(axes, picture, inside)
    below, above = (known < float(scale.vmin or 0)).any(), (known > float(scale.vmax or 0)).any()
    extend = {(False, False): "neither", (True, False): "min", (False, True): "max"}.get((below, above), "both")
    bar = figure.colorbar(ScalarMappable(scale, colour_map), ax=axes, shrink=0.7, aspect=26, pad=0.02, extend=extend)
    bar.set_label(label, color=INK)
    bar.outline.set_visible(False)  # type: ignore[operator]
    bar.ax.tick_params(colors=INK, labelsize=9)
    _add_legend(figure, [_hatched_patch()] if (inside.values == 0).any() else [])
    return figure


def trusted_scale(values: Float[np.ndarray, "*n"], inside: Bool[np.ndarray, "*n"]) -> Normalize:
    """Return a scale from the 2nd to the 98th percentile of the numbers that may be trusted, or of all if none may."""
    known = np.isfinite(values)
    trusted = values[known & inside]
    return colour_scale(trusted if len(trusted) else values[known], logarithmic=False)


def class_map(
    picture: Picture, inside: Picture, values: Shaped[np.ndarray, " c"], names: Sequence[str], title: str, label: str
) -> Figure:
    """Draw a raster of classes with a legend of the sixteen largest.

    Args:
        picture: Pixel values.
        inside: As for `number_map`.
        values: Pixel value of each class.
        names: Name of each class.
        title: Title of the figure.
        label: Title of the legend.
    """
    colours = [tuple(part / 255 for part in colour) for colour in class_palette(len(values))]
    codes = np.full(picture.values.shape, np.nan)
    known = np.isfinite(picture.values)
    codes[known] = np.searchsorted(values, picture.values[known])
    figure, axes = _map_figure(picture, title, legend=2.5)
    scale = Normalize(-0.5, len(values) - 0.5)
    axes.imshow(codes, cmap=ListedColormap(colours), norm=scale, interpolation="nearest", **_placed(picture))
    _dress(axes, picture, inside)
    counts = np.bincount(codes[known].astype(np.int64), minlength=len(values))
    largest = sorted(np.argsort(-counts, kind="stable")[:16].tolist())
    handles: list[Any] = [Patch(color=colours[i], label=names[i]) for i in largest if counts[i]]
    others = int((counts > 0).sum()) - len(handles)
    if others > 0:
        handles.append(Patch(color="none", label=f"and {others} others"))
    if (inside.values == 0).any():
        handles.append(_hatched_patch())
    look: dict[str, Any] = {"frameon": False, "labelcolor": INK, "fontsize": 9, "title": label, "alignment": "left"}
    figure.legend(handles=handles, loc="outside right center", **look)
    return figure


def class_palette(count: int) -> list[tuple[int, int, int]]:
    """Return a colour per class, red, green and blue from 0 to 255; safe for colour-blind readers up to fourteen."""
    if count <= len(COLOURS) - 1:
        chosen: Iterable[Any] = COLOURS[1 : count + 1]
    elif count <= len(_RAINBOW):
        chosen = [_RAINBOW[round(i)] for i in np.linspace(0, len(_RAINBOW) - 1, count)]
    else:
        chosen = class_colours(count)
    return [tuple(round(255 * part) for part in to_rgb(colour)) for colour in chosen]  # type: ignore[misc]


def _map_figure(picture: Picture, title: str, legend: float = 0.9) -> tuple[Figure, Axes]:
    west, east, south, north = picture.extent
    stretch = max(math.cos(math.radians(picture.middle[1])), 0.1) if picture.is_geographic else 1.0
    shape = float(np.clip((north - south) / ((east - west) * stretch), 0.3, 1.6))
    width = 8.0 if shape < 1 else 8.0 / shape
    figure = new_figure(width + legend, width * shape + 0.8, title)
    axes = figure.subplots()
    axes.set_facecolor(OCEAN)
    axes.set_aspect(1 / stretch)
    return figure, axes


def _placed(picture: Picture) -> dict[str, Any]:
    return {"extent": picture.extent, "origin": "upper", "aspect": "auto", "zorder": 1}


def _dress(axes: Axes, picture: Picture, inside: Picture) -> None:
    """Hatch what is not applicable, and draw borders, graticule and scale."""
    west, east, south, north = picture.extent
    stretch = max(math.cos(math.radians(picture.middle[1])), 0.1) if picture.is_geographic else 1.0
    outside = inside.values == 0
    if outside.any():
        finer = math.ceil(PIXELS_SHOWN / max(outside.shape))
        outside = outside.repeat(finer, axis=0).repeat(finer, axis=1)
        row, column = np.indices(outside.shape)
        side = max(2, round(max(outside.shape) / 400))
        stripes = (row + column) % (4 * side) < side
        cover = np.zeros((*outside.shape, 4))
        cover[outside] = (*to_rgb("#eef0f1"), 0.72)
        cover[outside & stripes] = (*to_rgb(_HATCH), 0.8)
        axes.imshow(cover, interpolation="nearest", **_placed(picture) | {"zorder": 2})
    _draw_borders(axes, picture)
    _draw_graticule(axes, picture)
    axes.set_xlim(west, east)
    axes.set_ylim(south, north)
    axes.set_aspect(1 / stretch)
    axes.tick_params(colors=INK, labelsize=8, length=2)
    for spine in axes.spines.values():
        spine.set_color(FAINT)
    _draw_scale(axes, picture)


def _lonlat_box(picture: Picture) -> tuple[float, float, float, float]:
    """Return west, south, east and north in degrees, east possibly above 180."""
    west, east, south, north = picture.extent
    if picture.is_geographic:
        return west, south, east, north
    lonlat = _lonlat_mesh(picture, 25)
    lon, lat = lonlat[..., 0], lonlat[..., 1]
    return float(np.nanmin(lon)), float(np.nanmin(lat)), float(np.nanmax(lon)), float(np.nanmax(lat))


def _lonlat_mesh(picture: Picture, count: int) -> Float[np.ndarray, "count count 2"]:
    """Return places of a mesh over the picture; longitudes are continuous around its middle."""
    west, east, south, north = picture.extent
    xy = np.stack(np.meshgrid(np.linspace(west, east, count), np.linspace(south, north, count)), axis=-1)
    lonlat = lonlat_of_xy(xy.reshape(-1, 2), picture.crs).reshape(xy.shape)
    middle = picture.middle[0]
    lonlat[..., 0] = (lonlat[..., 0] - middle + 180) % 360 - 180 + middle
    return lonlat


def _draw_borders(axes: Axes, picture: Picture) -> None:
    west, south, east, north = _lonlat_box(picture)
    box = shapely.box(west - 1, max(south - 1, -90), east + 1, min(north + 1, 90))
    for turn in (-360.0, 0.0, 360.0):
        if east < -180 + turn or west > 180 + turn:
            continue
        shapes = shapely.transform(land_outlines(), lambda xy, turn=turn: xy + np.array([turn, 0.0]))
        lines = shapely.intersection(shapely.boundary(shapes[shapely.intersects(shapes, box)]), box)
        if not picture.is_geographic:
            lines = shapely.transform(lines, lambda xy: xy_of_lonlat(xy, picture.crs))
        found = [xy for line in shapely.get_parts(lines) if len(xy := shapely.get_coordinates(line)) > 1]
        axes.add_collection(LineCollection(found, colors=INK, linewidths=0.45, alpha=0.75, zorder=3), autolim=False)


def _draw_graticule(axes: Axes, picture: Picture) -> None:
    west, south, east, north = _lonlat_box(picture)
    span = max((east - west) * max(math.cos(math.radians(picture.middle[1])), 0.3), north - south)
    step = next((one for one in _STEPS if span / one <= 6), 60)
    lons, lats = (
        np.arange(math.ceil(a / step), math.floor(b / step) + 1) * float(step)
        for a, b in ((west, east), (south, north))
    )
    look: dict[str, Any] = {"color": FAINT, "linewidth": 0.5, "alpha": 0.6, "zorder": 2.5}
    if picture.is_geographic:
        for lon in lons:
            axes.axvline(lon, **look)
        for lat in lats:
            axes.axhline(lat, **look)
        axes.set_xticks(lons)
        axes.set_yticks(lats)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda lon, _: _degrees(lon, "EW")))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda lat, _: _degrees(lat, "NS")))
        return
    mesh = _lonlat_mesh(picture, 80)
    left, right, bottom, top = picture.extent
    x, y = np.linspace(left, right, 80), np.linspace(bottom, top, 80)
    for values, levels, names in ((mesh[..., 0], lons, "EW"), (mesh[..., 1], lats, "NS")):
        if len(levels) and np.isfinite(values).all():
            drawn = axes.contour(x, y, values, levels=levels, colors=FAINT, linewidths=0.5, alpha=0.8, zorder=2.5)
            axes.clabel(drawn, fmt=lambda value, names=names: _degrees(value, names), fontsize=7, colors=INK)
    axes.set_xticks([])
    axes.set_yticks([])


def _degrees(value: float, names: str) -> str:
    turned = (value + 180) % 360 - 180 if names == "EW" else value
    side = "" if abs(turned) < 1e-9 or abs(turned) == 180 else names[int(turned < 0)]
    return f"{abs(turned):g}°{side}"


def _draw_scale(axes: Axes, picture: Picture) -> None:
    """Draw a bar of a round number of kilometres, which holds at the latitude of the middle; none on world maps."""
    west, east, south, north = picture.extent
    if picture.is_geographic:
        latitude = picture.middle[1]
        if north - south > 100 or east - west > 180:
            return
        one = float(great_circle_km(np.array([0.0, latitude]), np.array([1.0, latitude])))
    else:
        one = 1e-3
    wanted = 0.25 * (east - west) * one
    power = 10.0 ** math.floor(math.log10(wanted))
    length = max(part * power for part in (1, 2, 5) if part * power <= wanted)
    x, y = west + 0.04 * (east - west), south + 0.045 * (north - south)
    axes.plot([x, x + length / one], [y, y], color=INK, linewidth=2.5, solid_capstyle="butt", zorder=5)
    text = axes.text(
        x + length / one / 2, y + 0.012 * (north - south), f"{length:g} km", ha="center", va="bottom", fontsize=8,
        color=INK, zorder=5,
    )  # fmt: skip
    text.set_bbox({"facecolor": "#ffffff", "alpha": 0.7, "edgecolor": "none", "pad": 1})


def _hatched_patch() -> Patch:
    return Patch(
        facecolor="#eef0f1", edgecolor=_HATCH, hatch="////", linewidth=0, label="outside the area of applicability"
    )


def _add_legend(figure: Figure, handles: list[Any]) -> None:
    if handles:
        figure.legend(handles=handles, loc="outside lower center", frameon=False, labelcolor=INK, fontsize=9)
