"""The Equal Earth map projection, for maps and for GeoCLIP's encoding."""

import math
from typing import Any

from jaxtyping import Float

from geotether.geodesy.coordinates import array_module

# Coefficients A1 to A4 of the polynomial, Šavrič et al. (2018), section 3.
A1, A2, A3, A4 = 1.340264, -0.081106, 0.000893, 0.003796


def equal_earth(lonlat: Float[Any, "*batch 2"]) -> Float[Any, "*batch 2"]:
    """Project places onto the Equal Earth map of the unit sphere.

    Args:
        lonlat: Array or tensor, shape (..., 2), degrees. Longitudes above 180 are turned
            back; 180 itself stays on the eastern edge and -180 on the western one.

    Returns:
        The same kind, shape (..., 2): x in about [-2.71, 2.71] and y in about [-1.32, 1.32],
        in radii of the sphere.

    Source:
        Šavrič, Patterson & Jenny (2018), Int. J. Geographical Information Science 33:454.

    Example:
        >>> import numpy as np
        >>> equal_earth(np.array([[180.0, 0.0], [0.0, 90.0]])).round(4)
        array([[2.7066, 0.    ],
               [0.    , 1.3174]])
    """
    xp = array_module(lonlat)
    lon, lat = lonlat[..., 0], lonlat[..., 1]
    lon = xp.deg2rad(lon - 360 * (lon > 180))
    t = xp.arcsin(math.sqrt(3) / 2 * xp.sin(xp.deg2rad(lat)))
    slope = A1 + 3 * A2 * t**2 + t**6 * (7 * A3 + 9 * A4 * t**2)
    x = 2 * math.sqrt(3) / 3 * lon * xp.cos(t) / slope
    y = t * (A1 + A2 * t**2 + t**6 * (A3 + A4 * t**2))
    return xp.stack((x, y), -1)
