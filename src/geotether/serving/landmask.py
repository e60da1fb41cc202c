"""How much of each pixel of a map tile, or of a grid, is land."""

from functools import cache, lru_cache
from typing import Any

import numpy as np
import shapely
from jaxtyping import Bool, Float64, Int64, UInt8
from PIL import Image, ImageDraw

from geotether.geodesy.mercator import square_of_lonlat
from geotether.regions import Grid
from geotether.serving.basemap import land_polygons

SIZE = 256  # pixels on each side of a tile
_PARTS = 4  # each pixel is drawn as 4 x 4 parts
_LEAST_PIXELS = 0.02  # area of the smallest islands that are drawn


@lru_cache(maxsize=512)
def tile_land(z: int, x: int, y: int) -> UInt8[np.ndarray, "256 256"]:
    """Return how much of each pixel of a Web Mercator tile is land, 0 to 255; Antarctica is not land.

    The outlines are those of the base map.
    """
    origin, scale = np.array([x, y]), 2.0**z
    mask = _in_square().drawn(origin / scale, np.array([scale, scale]) * SIZE, SIZE, SIZE)
    mask.flags.writeable = False
    return mask


def near_land(grid: Grid) -> Bool[np.ndarray, " n"]:
    """Mark the pixels of a grid around the Earth that contain land or touch a pixel that does, row by row.

    These are the places that a tile of land needs; small islands without a pixel centre are among them.
    """
    west, south, east, north = grid.bounds
    size = np.array([grid.columns / (east - west), -grid.rows / (north - south)])
    land = _in_degrees().drawn(np.array([west, north]), size, grid.rows, grid.columns) > 0
    wide = land | np.roll(land, 1, axis=1) | np.roll(land, -1, axis=1)
    near = wide.copy()
    near[1:] |= wide[:-1]
    near[:-1] |= wide[1:]
    return near.ravel()


class _Rings:
    """Rings of polygons as arrays, to be drawn quickly.

    Args:
        polygons: Polygons of shapely in some plane.
        turn: Width of the Earth in that plane; polygons that continue beyond its edge are drawn on the other side too.
    """

    def __init__(self, polygons: np.ndarray, turn: float) -> None:
        rings, polygon = shapely.get_rings(polygons, return_index=True)
        is_hole = np.append(False, polygon[1:] == polygon[:-1])
        order = np.argsort(is_hole, kind="stable")  # holes are cut when all shells are drawn
        rings, self.is_hole = rings[order], is_hole[order]
        self.xy, ring = shapely.get_coordinates(rings, return_index=True)
        self.first = np.searchsorted(ring, np.arange(len(rings) + 1))
        self.bounds, self.area = shapely.bounds(rings), shapely.area(shapely.polygons(rings))
        self.turn = turn

    def drawn(
        self, corner: Float64[np.ndarray, "2"], scale: Float64[np.ndarray, "2"], rows: int, columns: int
    ) -> UInt8[np.ndarray, "rows columns"]:
        """Draw the polygons.

        Args:
            corner: Coordinates of the upper left corner of the picture.
            scale: Pixels per unit along x and y; a negative one for a y that grows upwards.
            rows: Height of the picture in pixels.
            columns: Width of the picture in pixels.

        Returns:
            How much of each pixel is inside, 0 to 255.
        """
        fine = Image.new("L", (columns * _PARTS, rows * _PARTS))
        draw, size = ImageDraw.Draw(fine), np.array(fine.size)
        for turn in (0.0, self.turn):
            start = corner + np.array([turn, 0.0])
            corners = (self.bounds.reshape(-1, 2, 2) - start) * scale * _PARTS
            shown = ((corners.max(axis=1) > 0) & (corners.min(axis=1) < size)).all(axis=1)
            shown &= self.area * abs(scale.prod()) >= _LEAST_PIXELS
            for ring in np.flatnonzero(shown).tolist():
                xy = (self.xy[self.first[ring] : self.first[ring + 1]] - start) * scale * _PARTS
                vertices: Any = _shortened(xy, size).astype(np.float32)  # Pillow reads float32 as they are
                draw.polygon(vertices, fill=0 if self.is_hole[ring] else 255)
        return np.asarray(fine.reduce(_PARTS))


def _shortened(xy: Float64[np.ndarray, "n 2"], size: Int64[np.ndarray, "2"]) -> Float64[np.ndarray, "m 2"]:
    """Leave out vertices that do not matter within a picture: those between others beyond the same edges of it."""
    if len(xy) < 100:
        return xy
    beyond = np.concatenate([xy < -_PARTS, xy > size + _PARTS], axis=1) @ np.array([1, 2, 4, 8])
    keep = np.ones(len(xy), dtype=bool)
    keep[1:-1] = (beyond[1:-1] == 0) | (beyond[1:-1] != beyond[:-2]) | (beyond[1:-1] != beyond[2:])
    return xy[keep]


@cache
def _in_square() -> _Rings:
    return _Rings(shapely.transform(land_polygons(), square_of_lonlat), 1.0)


@cache
def _in_degrees() -> _Rings:
    return _Rings(land_polygons(), 360.0)
