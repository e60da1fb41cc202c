"""Colours of numbers and classes, and the legends that explain them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Float, Integer, UInt8

from geotether.maps.prediction import class_palette
from geotether.maps.values import colour_scale

_STOPS = 9
_LEVELS = 256
_LARGEST = 1e300  # differences of larger numbers may be infinite
_OPAQUE_FROM = 0.5  # share of a ramp that fades from which it hides the base map


@dataclass(frozen=True)
class Ramp:
    """Colours of numbers from a lowest to a highest one; those beyond have the colour of the nearer end.

    Args:
        low: Number of the first colour.
        high: Number of the last colour, above `low`.
        unit: Unit of the numbers.
        colour_map: A name of Matplotlib.
        fades: Whether the first colours are transparent, so that the base map shows.
        start: Share of the colour map that is left out at its beginning, such as colours that are nearly black.
        above: Colour of numbers above `high`, "#rrggbb"; "" for that of `high`.

    Example:
        >>> Ramp(0.0, 1.0).hex(np.array([0.0, 1.0, 7.0]))
        ['#440154', '#fde725', '#fde725']
    """

    low: float
    high: float
    unit: str = ""
    colour_map: str = "viridis"
    fades: bool = False
    start: float = 0.0
    above: str = ""

    @classmethod
    def over(cls, values: Float[np.ndarray, "*n"], unit: str = "", colour_map: str = "viridis") -> "Ramp":
        """Return colours from the 2nd to the 98th percentile of finite numbers."""
        finite = values[np.isfinite(values)].astype(np.float64)
        scale = colour_scale(np.clip(finite, -_LARGEST, _LARGEST), logarithmic=False)
        return cls(float(scale.vmin or 0.0), float(scale.vmax or 0.0), unit, colour_map)

    def colours(self, values: Float[np.ndarray, "*n"]) -> UInt8[np.ndarray, "*n 4"]:
        """Return red, green, blue and opacity of numbers; NaN is transparent."""
        known = np.isfinite(values)
        level = (np.where(known, values, self.low) - self.low) / (self.high - self.low) * (_LEVELS - 1)
        level = np.where(level > _LEVELS - 1, _LEVELS, np.rint(np.maximum(level, 0)))
        found = _table(self.colour_map, self.fades, self.start, self.above)[level.astype(np.intp)]
        found[~known] = 0
        return found

    def hex(self, values: Float[np.ndarray, " n"]) -> list[str]:
        """Return the colours of numbers as "#rrggbb"."""
        return hex_colours(self.colours(values))

    def legend(self) -> dict[str, Any]:
        """Return the legend; with the opacity of each stop if the first colours are transparent."""
        values = np.linspace(self.low, self.high, _STOPS)
        stops = [[value, colour] for value, colour in zip(values.tolist(), self.hex(values), strict=True)]
        stops += [[self.high, self.above]] if self.above else []
        found = {"kind": "ramp", "unit": self.unit, "stops": stops}
        if not self.fades:
            return found
        opacity = self.colours(values)[:, 3] / 255
        return found | {"opacity": [round(float(one), 3) for one in opacity] + ([1.0] if self.above else [])}


@cache
def _table(colour_map: str, fades: bool, start: float, above: str) -> UInt8[np.ndarray, "l 4"]:
    """Return the colours of the levels of a ramp, and that of numbers above."""
    from matplotlib import colormaps
    from matplotlib.colors import to_rgba

    share = np.linspace(0, 1, _LEVELS)
    table = colormaps[colour_map](start + (1 - start) * share)
    if fades:
        table[:, 3] = np.minimum(1, share / _OPAQUE_FROM)
    last = to_rgba(above) if above else table[-1]
    return np.rint(255 * np.concatenate([table, [last]])).astype(np.uint8)


@dataclass(frozen=True)
class Classes:
    """A colour for each class, which colour-blind readers can tell apart if there are at most fourteen.

    Args:
        names: The classes.
    """

    names: Sequence[str]

    def colours(self, codes: Integer[np.ndarray, "*n"]) -> UInt8[np.ndarray, "*n 4"]:
        """Return red, green, blue and opacity of classes by their number; a negative one is transparent."""
        palette = np.array([(*colour, 255) for colour in class_palette(len(self.names))] + [(0, 0, 0, 0)], np.uint8)
        return palette[np.where(codes < 0, len(self.names), codes)]

    def legend(self) -> dict[str, Any]:
        """Return the legend."""
        colours = hex_colours(self.colours(np.arange(len(self.names))))
        pairs = zip(self.names, colours, strict=True)
        return {"kind": "classes", "classes": [{"name": name, "colour": colour} for name, colour in pairs]}


def hex_colours(colours: UInt8[np.ndarray, "n c"]) -> list[str]:
    """Return colours as "#rrggbb"."""
    return [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in colours[:, :3].tolist()]
