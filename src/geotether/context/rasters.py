"""Fields of rasters on nodes: random convolutional features of pixels, averaged and reduced to components."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Float64, Num
from scipy.ndimage import binary_dilation

from geotether.context.blocks import Piece, RasterBlocks, filled
from geotether.context.observations import squeeze
from geotether.context.smoothing import NodeGrid
from geotether.features.convolution import RandomConvolution
from geotether.geodesy.coordinates import wrap_longitude
from geotether.moments import mean_and_scale, principal_axes
from geotether.sources.grids.cells import Raster
from geotether.sources.grids.grid import Grid
from geotether.sources.polygons import find_polygons

# Blocks from which components are found, and windows from which filters are drawn.
SAMPLE_BLOCKS, FILTER_WINDOWS = 20_000, 500
# Rectangles of the raster in which the sample lies.
_SAMPLE_PIECES = 64
# One flat look that covers at least this share of the sampled ground is background.
_BACKGROUND_SHARE = 0.05
# Filters are drawn where pixels deviate from their window's mean by this share of the raster's standard deviation.
_LEAST_CONTRAST = 0.05
# Components whose variance is below this share of the first are rounding.
_LEAST_VARIANCE = 1e-6
_NODES_AT_ONCE = 200_000
_log = logging.getLogger(__name__)


class ArrayRaster:
    """Pixels in memory as a raster of degrees, for `raster_field`; attributes as in `GdalRaster`.

    Args:
        values: Shape (height, width, bands), the northernmost row first; NaN without data.
        west: Longitude of the western edge in degrees.
        north: Latitude of the northern edge.
        step: Side of a pixel in degrees.
        name: For messages.
    """

    def __init__(
        self,
        values: Num[np.ndarray, "height width bands"],
        west: float,
        north: float,
        step: float,
        name: str = "array",
    ) -> None:
        self.values, self.path, self.dtype = values, Path(name), values.dtype
        height, width, bands = values.shape
        self.grid = Grid(height, width, (step, 0.0, west, 0.0, -step, north))
        self.names = [f"band {number}" for number in range(1, bands + 1)]
        self.missing: float | None = np.nan
        self.scales: np.ndarray | None = None
        self.offsets: np.ndarray | None = None
        self.tile = (min(height, 512), min(width, 512))

    def read(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        """Return pixels, shape (height, width, bands)."""
        return self.values[top : top + height, left : left + width]

    def files(self) -> list[Path]:
        """Return no files."""
        return []


@dataclass(frozen=True, eq=False)
class Look:
    """Components of what the pixels of a block look like, fitted on a sample of blocks.

    Missing pixels of a window (NaN) are left out of means and deviations; filters see the window's mean there.

    Attributes:
        filters: Random filters; None for means and standard deviations of the bands.
        mean, scale: Standardise the features, (d,).
        directions: Principal directions, divided by the components' standard deviations, (d, k).
    """

    filters: RandomConvolution | None
    mean: Float64[np.ndarray, " d"]
    scale: Float64[np.ndarray, " d"]
    directions: Float64[np.ndarray, "d k"]

    @classmethod
    def fit(
        cls, windows: Float32[np.ndarray, "n side side bands"], filters: int, patch: int, components: int, seed: int
    ) -> "Look":
        """Draw filters from windows with contrast, and find the principal components of the windows' features."""
        drawn = None
        if filters:
            windows = filled(windows)
            spread = mean_and_scale(windows, axis=3)[1]
            contrast = windows.std(axis=(1, 2)) / spread
            rows = np.flatnonzero(contrast.max(axis=1) > _LEAST_CONTRAST)
            if len(rows) == 0:
                raise ValueError(
                    "its pixels do not vary within blocks, so there is nothing to draw filters from; set filters: 0, "
                    "which takes mean and standard deviation of each band."
                )
            rows = np.random.default_rng(seed).permutation(rows)[:FILTER_WINDOWS]
            drawn = RandomConvolution(filters, patch, seed=seed).fit(windows[rows])
        features = _features(windows, drawn).astype(np.float64)
        mean, scale = mean_and_scale(features, constant=np.inf)
        if drawn is None:
            means, deviations = np.split(scale, 2)
            deviations[deviations < _LEAST_VARIANCE * means] = np.inf  # they vary by rounding only
        standardised = (features - mean) / scale
        variances, directions = principal_axes(standardised.T @ standardised / len(features), components)
        if not variances[0] > 0:
            raise ValueError("all its blocks look alike, so there is nothing to learn from it; choose another raster.")
        kept = variances > _LEAST_VARIANCE * variances[0]
        return cls(drawn, mean, scale, directions[:, kept] / np.sqrt(variances[kept]))

    def __call__(self, windows: Float32[np.ndarray, "n side side bands"]) -> Float32[np.ndarray, "n k"]:
        """Return the components of windows, about one standard deviation each and squeezed."""
        features = (_features(windows, self.filters) - self.mean) / self.scale
        return squeeze((features @ self.directions).astype(np.float32))


def _features(windows: np.ndarray, filters: RandomConvolution | None) -> np.ndarray:
    if filters is None:
        return np.concatenate([np.nanmean(windows, axis=(1, 2)), np.nanstd(windows, axis=(1, 2))], axis=1)
    return filters.transform(filled(windows))


def raster_field(
    rasters: Sequence[Raster],
    nodes: NodeGrid,
    *,
    filters: int = 96,
    patch: int = 5,
    components: int = 48,
    transform: str | None = None,
    land: Path | None = None,
    seed: int = 0,
) -> tuple[Float32[np.ndarray, "rows columns k"], Float32[np.ndarray, "rows columns"]]:
    """Compute components of what rasters show around nodes.

    The pixels of a block, about as large as the spacing of the nodes, give the features of `RandomConvolution`;
    pixels finer than a tenth of the spacing are averaged first. Features of a sample of blocks, drawn by area, are
    standardised and turned to principal components of unit variance, and squeezed by 4 tanh(x / 4). Nodes take the
    values of the blocks around them, interpolated where blocks do not lie at nodes.

    The background, whose values are 0, are blocks outside the polygons of `land`, and blocks of the most frequent flat
    look if it covers a twentieth of the ground.

    Args:
        rasters: One or more open rasters with the same bands, such as the tiles of a mosaic.
        nodes: Where values are wanted.
        filters: Number of random filters; 0 takes mean and standard deviation of each band, which suits single
            quantities such as temperature.
        patch: Side of a filter in pixels, odd.
        components: Number of components to keep, at most.
        transform: "sqrt" or "log1p" of the pixels first, for heavy tails.
        land: File of polygons, or None.
        seed: Seed of filters and sample.

    Returns:
        Values (rows, columns, k), and the share of the ground around each node that has data, (rows, columns).

    Raises:
        ValueError: If no pixel has data, a band is constant, the rasters' bands differ, or a transform is undefined.
    """
    margin = patch // 2 if filters else 0
    parts = [RasterBlocks(raster, nodes, margin, transform) for raster in rasters]
    names = " and ".join(str(raster.path) for raster in rasters[:2]) + (", ..." if len(rasters) > 2 else "")
    if len({len(raster.names) for raster in rasters}) > 1:
        raise ValueError(f"{names} have different numbers of bands; choose the same with bands: [...].")
    try:
        grounds = [_ground(blocks, land) for blocks in parts]
        rng = np.random.default_rng([seed, 1])
        drawn = _drawn(parts, rng)
        background = _most_frequent_look(parts, drawn)
        windows = _sample(parts, grounds, drawn, background, rng)
        _check_bands(rasters[0], windows)
        look = Look.fit(windows, filters, patch, components, seed)
    except ValueError as error:
        raise error if names in str(error) else ValueError(f"{names}: {error}") from error
    side = windows.shape[1]
    bare = np.zeros(len(look.directions.T), dtype=np.float32)
    if background is not None:
        bare = look(np.broadcast_to(background, (1, side, side, len(background))).astype(np.float32))[0]
    total = np.zeros((nodes.rows * nodes.columns, len(bare)), dtype=np.float32)
    weight = np.zeros(len(total), dtype=np.float32)
    lonlat = np.stack(np.meshgrid(wrap_longitude(nodes.lon), nodes.lat), axis=-1).reshape(-1, 2)
    for blocks, ground in zip(parts, grounds, strict=True):
        values = np.zeros((*blocks.shape, len(bare)), dtype=np.float32)
        share = np.zeros(blocks.shape, dtype=np.float32)
        for piece in blocks.pieces():
            here = (piece.rows, piece.columns)
            share[here] = piece.share
            shown = _shown(piece, ground[here], background)
            values[here][shown] = look(piece.windows[shown]) - bare
        for start in range(0, len(total), _NODES_AT_ONCE):
            some = slice(start, start + _NODES_AT_ONCE)
            added, weighed = blocks.at(lonlat[some], values, share)
            total[some] += added
            weight[some] += weighed
    total /= np.where(weight > 0, weight, 1)[:, None]
    shape = (nodes.rows, nodes.columns)
    return total.reshape(*shape, -1), weight.clip(max=1).reshape(shape)


def _ground(blocks: RasterBlocks, land: Path | None) -> Bool[np.ndarray, "rows columns"]:
    """Mark the blocks on land or beside it; all of them without polygons."""
    found = np.isfinite(blocks.lonlat).all(axis=-1)
    if land is None:
        return found
    found[found] = find_polygons(land, blocks.lonlat[found]).found
    if not found.any():
        raise ValueError(f"no part of it lies in the polygons of {land}; leave land out, or correct the file.")
    edges = np.pad(found, ((1, 1), (0, 0)))
    edges = np.pad(edges, ((0, 0), (1, 1)), mode="wrap" if blocks.wraps else "constant")
    return binary_dilation(edges, np.ones((3, 3), dtype=bool))[1:-1, 1:-1]


def _shown(
    piece: Piece, ground: Bool[np.ndarray, "rows columns"], background: Float32[np.ndarray, " bands"] | None
) -> Bool[np.ndarray, "rows columns"]:
    """Mark the blocks that have data and are not background."""
    shown = ground & (piece.share > 0)
    if background is not None:
        shown &= ~(piece.flat & (piece.looks == background).all(axis=-1))
    return shown


def _drawn(parts: Sequence[RasterBlocks], rng: np.random.Generator) -> list[list[tuple[slice, slice]]]:
    """Draw rectangles of all rasters, at most `_SAMPLE_PIECES`."""
    every = [(number, one) for number, blocks in enumerate(parts) for one in blocks.rectangles()]
    chosen = sorted(rng.permutation(len(every))[:_SAMPLE_PIECES].tolist())
    return [[every[at][1] for at in chosen if every[at][0] == number] for number in range(len(parts))]


def _most_frequent_look(
    parts: Sequence[RasterBlocks], drawn: list[list[tuple[slice, slice]]]
) -> Float32[np.ndarray, " bands"] | None:
    """Return the pixel of which most blocks consist entirely, if these are a twentieth of the ground with data."""
    ground, flat = 0.0, Counter[bytes]()
    for blocks, rectangles in zip(parts, drawn, strict=True):
        for piece in blocks.pieces(rectangles):
            areas = blocks.areas[piece.rows, piece.columns]
            ground += float((areas * piece.share).sum())
            looks, which = np.unique(piece.looks[piece.flat], axis=0, return_inverse=True)
            sums = np.bincount(which.reshape(-1), areas[piece.flat], len(looks))
            for look, area in zip(looks, sums, strict=True):
                flat[look.tobytes()] += area
    if not flat:
        return None
    look, area = flat.most_common(1)[0]
    return np.frombuffer(look, np.float32) if area >= _BACKGROUND_SHARE * ground else None


def _sample(
    parts: Sequence[RasterBlocks],
    grounds: Sequence[Bool[np.ndarray, "rows columns"]],
    drawn: list[list[tuple[slice, slice]]],
    background: Float32[np.ndarray, " bands"] | None,
    rng: np.random.Generator,
) -> Float32[np.ndarray, "n side side bands"]:
    """Draw windows by area from blocks that are not background.

    Every block draws an exponential number with the area as its rate; the smallest `SAMPLE_BLOCKS` numbers are those
    of a draw without replacement with probabilities by area, and need one pass.
    """
    numbers, windows = np.zeros(0), None
    for piece, areas, ground in chain.from_iterable(
        (
            (piece, blocks.areas[piece.rows, piece.columns], ground[piece.rows, piece.columns])
            for piece in blocks.pieces(rectangles)
        )
        for blocks, ground, rectangles in zip(parts, grounds, drawn, strict=True)
    ):
        weight = areas * piece.share
        shown = _shown(piece, ground, background) & (weight > 0)
        drawing = np.full(shown.shape, np.inf)
        drawing[shown] = rng.exponential(size=int(shown.sum())) / weight[shown]
        limit = np.partition(numbers, SAMPLE_BLOCKS - 1)[SAMPLE_BLOCKS - 1] if len(numbers) >= SAMPLE_BLOCKS else np.inf
        taken = drawing < limit
        own = piece.windows[taken]
        numbers = np.concatenate([numbers, drawing[taken]])
        windows = own if windows is None else np.concatenate([windows, own])
        if len(numbers) > SAMPLE_BLOCKS:
            kept = np.argpartition(numbers, SAMPLE_BLOCKS)[:SAMPLE_BLOCKS]
            numbers, windows = numbers[kept], windows[kept]
    if windows is None or len(windows) < 2:
        seen = "no pixel with data in all bands" if background is None else f"the one value {background.tolist()}"
        raise ValueError(f"it has {seen}, so there is nothing to learn from it; choose other bands or another file.")
    return windows


def _check_bands(raster: Raster, windows: Float32[np.ndarray, "n side side bands"]) -> None:
    """Raise ValueError if a band is constant."""
    low, high = np.nanmin(windows, axis=(0, 1, 2)), np.nanmax(windows, axis=(0, 1, 2))
    for number in np.flatnonzero(low == high):
        others = [int(band) + 1 for band in np.flatnonzero(low != high)]
        todo = f"leave it out, as in bands: {others}" if others else "choose another file"
        raise ValueError(
            f"band {number + 1} ({raster.names[number]}) has the value {low[number]:g} everywhere; {todo}."
        )
