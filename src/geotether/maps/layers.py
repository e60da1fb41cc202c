"""Pictures of the quick-look layers of an export: principal components as colours, and clusters."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter

from geotether.exporting.export import Exported
from geotether.maps.figure import FAINT, INK, dress, new_figure
from geotether.sources.grids.geotiff import open_geotiff

_MOST_PIXELS = 2400
_NO_DATA = "#e7e7e3"
_WIDTH = 9.0
_LEGEND_COLUMNS = 8


def layer_map(done: Exported) -> Figure:
    """Draw a layer with a title, its coordinates and a legend.

    Args:
        done: An export with `layer`; of more than 2,400 rows or columns, an overview is read.

    Returns:
        The figure; `geotether.maps.figure.save_figure` writes it.
    """
    with open_geotiff(done.path) as file:
        shrink = max(1, math.ceil(max(file.height, file.width) / _MOST_PIXELS))
        shape = (file.count, -(-file.height // shrink), -(-file.width // shrink))
        values = file.read(out_shape=shape)
        west, south, east, north = file.bounds
        geographic = file.crs.is_geographic
        name = file.crs.to_string() if file.crs.to_epsg() else "Lambert azimuthal equal-area"
    # A degree of longitude is shorter than one of latitude, except at the equator.
    stretch = 1 / max(math.cos(math.radians((south + north) / 2)), 0.1) if geographic and north - south < 90 else 1.0
    tall = (north - south) * stretch / (east - west)
    rows = math.ceil(len(done.coding.colours or ()) / _LEGEND_COLUMNS)
    height = min(max(tall, 0.3), 1.5) * (_WIDTH - 0.6) + 1.3 + 0.25 * rows
    figure = new_figure(_WIDTH, height, f"{_heading(done)}\n{done.title}")
    axes = figure.subplots()
    dress(axes)
    axes.set_facecolor(_NO_DATA)
    axes.imshow(_colours(done, values), extent=(west, east, south, north), aspect=stretch, interpolation="nearest")
    _label(axes, geographic, name)
    if done.coding.colours:
        handles = [
            Patch(color=(red / 255, green / 255, blue / 255), label=f"{at}")
            for at, (red, green, blue) in done.coding.colours.items()
        ]
        handles.append(Patch(facecolor=_NO_DATA, edgecolor=FAINT, label="no data"))
        figure.legend(
            handles=handles, loc="outside lower center", ncols=_LEGEND_COLUMNS + 1, frameon=False, fontsize=9,
            title="Clusters of places on land; the sea gets the nearest one. Neighbouring numbers are alike.",
            title_fontsize=9,
        )  # fmt: skip
    else:
        shares = ", ".join(
            f"{colour} {share:.0%}"
            for colour, share in zip(("red", "green", "blue"), done.coding.notes["variance"], strict=True)
        )
        figure.supxlabel(
            f"Similar colours: similar embeddings. Components 1 to 3 and their share of variance: {shares}; each from\n"
            "its 2nd to its 98th percentile on land. Colours have no meaning of their own. Grey: no data.",
            fontsize=9,
            color=INK,
        )
    return figure


def _heading(done: Exported) -> str:
    count = len(done.coding.colours or ())
    return f"{count} clusters of the embedding" if count else "Three principal components of the embedding"


def _colours(done: Exported, values: np.ndarray) -> np.ndarray:
    """Return a picture of shape (rows, columns, 4); pixels without data are transparent."""
    if done.coding.colours:
        table = np.zeros((256, 3), np.uint8)
        for number, colour in done.coding.colours.items():
            table[number] = colour
        picture = table[values[0]]
    else:
        picture = np.moveaxis(values, 0, -1)
    return np.concatenate([picture, 255 * (values[0] > 0)[..., None]], axis=-1).astype(np.uint8)


def _label(axes: Axes, geographic: bool, crs: str) -> None:
    if geographic:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda lon, _: f"{(lon + 180) % 360 - 180:.6g}°"))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda lat, _: f"{lat:.6g}°"))
        return
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda metres, _: f"{metres / 1000:,.6g}"))
    axes.set_xlabel(f"km, {crs}", color=INK)
    axes.set_ylabel("km", color=INK)
