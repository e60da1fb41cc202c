"""Nodes on longitude and latitude, and Gaussians of true ground between them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64

from geotether.geodesy.coordinates import wrap_longitude
from geotether.geodesy.distance import EARTH_CIRCUMFERENCE_KM, EARTH_RADIUS_KM

KM_PER_DEGREE = EARTH_CIRCUMFERENCE_KM / 360
# Nodes of a field with a Gaussian of standard deviation s are about this many s apart.
NODES_PER_SCALE = 1.8
# Nodes are at most this many degrees apart.
_LARGEST_STEP = 30.0
# Steps in degrees, times powers of ten, of which most divide 180.
_STEPS = (1.0, 1.2, 1.25, 1.5, 1.8, 2.0, 2.25, 2.5, 3.0, 3.6, 4.0, 4.5, 5.0, 6.0, 7.5, 9.0)
# A node is known if it sees at least this share of a Gaussian's weight: it lies up to 2.3 standard deviations off.
LEAST_SHARE = 0.01
# Smaller differences from the background, a thousandth of a standard deviation, are rounding.
_LEAST_VALUE = 1e-3
_COLUMNS_AT_ONCE = 12  # for memory


@dataclass(frozen=True)
class NodeGrid:
    """Nodes at latitudes 90 - i step and longitudes -180 + j step; both poles can be nodes.

    Attributes:
        west: Longitude of the first column, -180 <= west < 180.
        north: Latitude of the first row.
        step: Degrees between nodes, a divisor of 180.
        rows: Number of rows, southwards.
        columns: Number of columns, eastwards and possibly beyond 180 degrees; 360 / step is a full turn.
    """

    west: float
    north: float
    step: float
    rows: int
    columns: int

    @classmethod
    def around(cls, bounds: Sequence[float], step: float, margin_km: float = 0.0) -> "NodeGrid":
        """Return the nodes that cover bounds (west, south, east, north in degrees, east > west) and a margin."""
        west, south, east, north = bounds
        degrees = margin_km / KM_PER_DEGREE
        north, south = min(90.0, north + degrees), max(-90.0, south - degrees)
        degrees /= max(math.cos(math.radians(max(abs(north), abs(south)))), 1e-2)
        top, bottom = _floor((90 - north) / step), min(_ceil((90 - south) / step), round(180 / step))
        left, right = _floor((west - degrees + 180) / step), _ceil((east + degrees + 180) / step)
        turn = round(360 / step)
        if right - left + 2 >= turn:  # a gap of one column would be left
            left, right = 0, turn - 1
        return cls(-180 + left % turn * step, 90 - top * step, step, bottom - top + 1, right - left + 1)

    @property
    def lat(self) -> Float64[np.ndarray, " rows"]:
        """Latitudes of the rows."""
        return self.north - self.step * np.arange(self.rows)

    @property
    def lon(self) -> Float64[np.ndarray, " columns"]:
        """Longitudes of the columns, rising, up to 540."""
        return self.west + self.step * np.arange(self.columns)

    @property
    def turn(self) -> int:
        """Number of columns in a full turn."""
        return round(360 / self.step)

    @property
    def areas(self) -> Float64[np.ndarray, " rows"]:
        """Square kilometres of ground that a node of each row stands for; a pole's cap is shared by its nodes."""
        lat, half = self.lat, self.step / 2
        band = np.sin(np.radians(np.minimum(lat + half, 90))) - np.sin(np.radians(np.maximum(lat - half, -90)))
        return EARTH_RADIUS_KM**2 * math.radians(self.step) * band

    def level(self, source: str, scale_km: float, groups: Mapping[str, int]) -> dict[str, Any]:
        """Return the plain description of a level of `geotether.encoders.context.LocalContext`, nothing stored yet."""
        place = {"west": self.west, "north": self.north, "step": self.step, "rows": self.rows, "columns": self.columns}
        return {"source": source, "scale_km": float(scale_km), **place, "groups": dict(groups), "stored": 0}


def node_step(scale_km: float) -> float:
    """Return the step in degrees that suits a Gaussian: about 1.8 standard deviations, a divisor of 180.

    Example:
        >>> [node_step(km) for km in (15, 30, 100, 300)]
        [0.25, 0.5, 1.5, 5.0]
    """
    wanted = min(NODES_PER_SCALE * scale_km / KM_PER_DEGREE, _LARGEST_STEP)
    power = math.floor(math.log10(wanted))
    steps = [round(step * 10.0**exponent, 12) for exponent in (power - 1, power, power + 1) for step in _STEPS]
    steps = [step for step in steps if step <= _LARGEST_STEP and abs(180 / step - round(180 / step)) < 1e-6]
    return min(steps, key=lambda step: abs(math.log(step / wanted)))


def node_steps(scales_km: Sequence[float]) -> tuple[float, list[float]]:
    """Return the finest step of several Gaussians, and one step for each that is a whole multiple of it."""
    finest = node_step(min(scales_km))
    rows = round(180 / finest)
    divisors = [number for number in range(1, rows + 1) if rows % number == 0 and number * finest <= _LARGEST_STEP]
    steps = []
    for km in scales_km:
        wanted = NODES_PER_SCALE * km / KM_PER_DEGREE / finest
        steps.append(round(finest * min(divisors, key=lambda number: abs(math.log(number / wanted))), 12))
    return finest, steps


def gaussian_sums(
    values: Float32[np.ndarray, "rows columns k"], nodes: NodeGrid, km: float, targets: NodeGrid
) -> Float32[np.ndarray, "rows_out columns_out k"]:
    """Sum values of nodes around other nodes, with weight exp(-d**2 / (2 km**2)) at distance d.

    The squared distance is that along the meridian plus that along the target's parallel, which is exact for small
    distances; sums are one matrix product over rows and one product of spectra per row.

    Args:
        values: Values at `nodes`.
        nodes: Where the values are.
        km: Standard deviation in kilometres.
        targets: Where sums are wanted; its step is a multiple of that of `nodes`.
    """
    from scipy.fft import irfft, next_fast_len, rfft

    rows, columns, k = values.shape
    north = (targets.lat[:, None] - nodes.lat) * (KM_PER_DEGREE / km)
    mixed = np.exp(-0.5 * north**2).astype(np.float32) @ values.reshape(rows, columns * k)
    mixed = mixed.reshape(targets.rows, columns, k)

    turn, every = nodes.turn, round(targets.step / nodes.step)
    shift = round((targets.west - nodes.west) / nodes.step)
    shift -= turn * round(shift / turn)
    wanted = shift + every * np.arange(targets.columns)
    span = max(columns, wanted[-1] + 1) - min(0, shift)
    size = turn if 2 * span >= turn else min(turn, next_fast_len(2 * span, real=True))
    offsets = (np.arange(size) + size // 2) % size - size // 2
    sums = np.zeros((targets.rows, targets.columns, k), dtype=np.float32)
    for row, lat in enumerate(targets.lat):
        if not mixed[row].any():
            continue
        east = offsets * (nodes.step * KM_PER_DEGREE * math.cos(math.radians(lat)) / km)
        spectrum = rfft(np.exp(-0.5 * east**2).astype(np.float32))
        found = irfft(rfft(mixed[row], size, axis=0) * spectrum[:, None], size, axis=0)
        sums[row] = found[wanted % size]
    return sums


def smooth(
    values: Float32[np.ndarray, "rows columns k"],
    weight: Float[np.ndarray, "rows columns"],
    nodes: NodeGrid,
    km: float,
    targets: NodeGrid,
) -> tuple[Float32[np.ndarray, "rows_out columns_out k"], Bool[np.ndarray, "rows_out columns_out"]]:
    """Average values around nodes with a Gaussian of true ground, over the ground that has data.

    Args:
        values: Values at `nodes`, 0 for the background.
        weight: Share of the ground of each node that has data, 0 to 1.
        nodes: Where the values are.
        km: Standard deviation in kilometres.
        targets: As for `gaussian_sums`.

    Returns:
        Averages, and which targets have data within about two standard deviations; the others are 0.
    """
    ground = (weight * nodes.areas[:, None]).astype(np.float32)[..., None]
    total = gaussian_sums(ground, nodes, km, targets)
    known = total[..., 0] >= LEAST_SHARE * 2 * math.pi * km**2
    found = np.empty((targets.rows, targets.columns, values.shape[2]), dtype=np.float32)
    for start in range(0, values.shape[2], _COLUMNS_AT_ONCE):
        some = slice(start, start + _COLUMNS_AT_ONCE)
        found[..., some] = gaussian_sums(values[..., some] * ground, nodes, km, targets)
    found /= np.where(known[..., None], total, np.inf)
    found[np.abs(found) < _LEAST_VALUE] = 0
    return found, known


def bounds_of(lonlat: Float[np.ndarray, "n 2"]) -> tuple[float, float, float, float]:
    """Return west, south, east, north of places, with east above west; the widest gap of longitudes is outside.

    Example:
        >>> bounds_of(np.array([[179.0, -10.0], [-178.0, 10.0]]))
        (179.0, -10.0, 182.0, 10.0)
    """
    lon = np.unique(wrap_longitude(lonlat[:, 0]))
    gaps = np.diff(lon, append=lon[0] + 360)
    after = int(gaps.argmax())
    west = float(lon[(after + 1) % len(lon)])
    return west, float(lonlat[:, 1].min()), west + 360 - float(gaps[after]), float(lonlat[:, 1].max())


def _floor(number: float) -> int:
    return math.floor(number + 1e-6)


def _ceil(number: float) -> int:
    return math.ceil(number - 1e-6)
