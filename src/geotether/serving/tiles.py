"""Tiles of a layer: pictures of 256 x 256 pixels in Web Mercator, interpolated between the places of a planet."""

import io

import numpy as np
from jaxtyping import Float, Float32, Float64
from PIL import Image

from geotether.geodesy.mercator import tile_axes
from geotether.regions import Grid
from geotether.serving.landmask import SIZE, tile_land
from geotether.serving.layers import PlanetLayer
from geotether.serving.planet import Planet

HIGHEST_ZOOM = 14
FROM_ENCODER = 7  # tiles from this zoom on are finer than the places of a planet
_NODES = 33  # places on each side of a tile that the encoder computes, its edges included
_COMPRESSION = 1
_CENTERS = (np.arange(SIZE) + 0.5) / SIZE


def tile_png(layer: PlanetLayer, z: int, x: int, y: int, planet: Planet) -> bytes:
    """Draw a tile as PNG; transparent at sea and where the layer has no value.

    Args:
        layer: The layer.
        z: Zoom, 0 to 14.
        x: Column of the tile, 0 to 2**z - 1, from 180 degrees west.
        y: Row of the tile, 0 to 2**z - 1, from the north.
        planet: The planet whose places the layer's values belong to.
    """
    land = tile_land(z, x, y)
    if not land.any():
        return _EMPTY
    colours = layer.colours(tile_values(layer, z, x, y, planet))
    colours[..., 3] = (colours[..., 3].astype(np.uint16) * land + 127) // 255
    return _png(colours) if colours[..., 3].any() else _EMPTY


def tile_values(layer: PlanetLayer, z: int, x: int, y: int, planet: Planet) -> Float32[np.ndarray, "256 256 k"]:
    """Return the values of a layer at the centres of the pixels of a tile, NaN where there are none.

    From zoom 7 on they are computed by the encoder at 33 x 33 places of the tile, if the layer can be, and interpolated
    between these.

    Raises:
        ValueError: If there is no such tile.
    """
    at_places = layer.at_places
    if z >= FROM_ENCODER and at_places is not None:
        values = at_places(*tile_axes(z, x, y, np.linspace(0, 1, _NODES)))
        position = _CENTERS * (_NODES - 1)
        return interpolated(values, position, position)
    return grid_values(layer.values, planet.grid, *tile_axes(z, x, y, _CENTERS), nearest=layer.nearest)


def grid_values(
    values: Float32[np.ndarray, "n k"],
    grid: Grid,
    lon: Float64[np.ndarray, " c"],
    lat: Float64[np.ndarray, " r"],
    nearest: bool = False,
) -> Float32[np.ndarray, "r c k"]:
    """Interpolate values of the pixel centres of a grid around the Earth, without a seam at 180 degrees.

    Beyond the centres of the first and the last row, values are those of the row.

    Args:
        values: Row by row, shape (rows x columns, k).
        grid: A grid in degrees over 360 degrees of longitude.
        lon: Longitudes of the columns, degrees.
        lat: Latitudes of the rows, degrees.
        nearest: As for `interpolated`.
    """
    row = np.clip((grid.north - lat) / grid.step - 0.5, 0, grid.rows - 1)
    column = (lon - grid.west) / grid.step - 0.5
    first, last = int(np.floor(row.min())), int(np.floor(row.max())) + 2
    some = values.reshape(grid.rows, grid.columns, -1)[first:last]
    return interpolated(some, row - first, column, nearest)


def interpolated(
    values: Float32[np.ndarray, "rows columns k"],
    row: Float64[np.ndarray, " r"],
    column: Float64[np.ndarray, " c"],
    nearest: bool = False,
) -> Float32[np.ndarray, "r c k"]:
    """Interpolate bilinearly; columns go round.

    Args:
        values: Shape (rows, columns, k); NaN is not known, and the known neighbours of a place count alone.
        row: Where the rows of the result are, 0 to rows - 1, shape (r,).
        column: Where its columns are, shape (c,).
        nearest: The values are numbers of classes: the class of which the neighbours have the largest weight.
    """
    above, left = np.floor(row).astype(np.int64), np.floor(column).astype(np.int64)
    down, right = (row - above).astype(np.float32)[:, None, None], (column - left).astype(np.float32)[:, None]
    rows = above, np.minimum(above + 1, len(values) - 1)
    columns = left % values.shape[1], (left + 1) % values.shape[1]
    if nearest:
        return _heaviest(values, rows, columns, down, right)

    def weighed(numbers: np.ndarray) -> np.ndarray:
        across = numbers[:, columns[0]] * (1 - right) + numbers[:, columns[1]] * right
        return across[rows[0]] * (1 - down) + across[rows[1]] * down

    known = ~np.isnan(values[..., :1])
    if known.all():
        return weighed(values)
    weight = weighed(known.astype(np.float32))
    with np.errstate(invalid="ignore"):
        return weighed(np.where(known, values, np.float32(0.0))) / np.where(weight > 1e-6, weight, np.nan)


def _heaviest(
    values: Float32[np.ndarray, "rows columns 1"],
    rows: tuple[np.ndarray, np.ndarray],
    columns: tuple[np.ndarray, np.ndarray],
    down: Float[np.ndarray, "r 1 1"],
    right: Float[np.ndarray, "c 1"],
) -> Float32[np.ndarray, "r c 1"]:
    """Return the class that has the largest weight among the four neighbours of each place."""
    corners = [values[rows[i][:, None], columns[j]] for i in (0, 1) for j in (0, 1)]
    weights = [by_row * by_column for by_row in (1 - down, down) for by_column in (1 - right, right)]
    best, most = np.full_like(corners[0], np.nan), np.zeros_like(corners[0])
    for code in corners:
        total = sum(weight * (other == code) for weight, other in zip(weights, corners, strict=True))
        heavier = total > most
        best, most = np.where(heavier, code, best), np.where(heavier, total, most)
    return best


def _png(colours: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(colours).save(file, "PNG", compress_level=_COMPRESSION)
    return file.getvalue()


_EMPTY = _png(np.zeros((SIZE, SIZE, 4), dtype=np.uint8))
