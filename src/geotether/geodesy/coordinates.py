"""Places on Earth as (longitude, latitude): validation, and unit vectors."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Float, Float64

# Advice in messages, which the command line and the server replace by their own options.
SWAP_ADVICE = "pass lon= and lat= the other way round"
DROP_ADVICE = "Drop the rows without coordinates"
METRES_ADVICE = "projected metres need converting to EPSG:4326"
_CHECKED: ContextVar[bool] = ContextVar("checked places", default=False)


@contextmanager
def checked_places() -> Iterator[None]:
    """Skip the checks of tensors of places inside this block, for training steps, whose tables were checked before.

    Checking values on a GPU would wait for its pending work.
    """
    token = _CHECKED.set(True)
    try:
        yield
    finally:
        _CHECKED.reset(token)


def check_lonlat(lonlat: Any) -> None:
    """Raise if `lonlat` cannot be (longitude, latitude) in degrees.

    A swapped pair is found only where it leaves the valid range.

    Args:
        lonlat: NumPy array or torch tensor, shape (..., 2), degrees, WGS 84.

    Raises:
        TypeError: If `lonlat` is neither an array nor a tensor, or does not contain numbers.
        ValueError: If the last axis is not 2, a value is not finite, a latitude lies
            outside [-90, 90] or a longitude outside [-180, 360].

    Example:
        >>> check_lonlat(np.array([[5.66, 51.97]]))
        >>> check_lonlat(np.array([[-33.87, 151.21]]))
        Traceback (most recent call last):
            ...
        ValueError: 1 of 1 rows are not (longitude, latitude) in degrees; row 0 is (-33.87, 151.21). \
This looks like (latitude, longitude): pass lon= and lat= the other way round.
    """
    if hasattr(lonlat, "detach"):  # a torch tensor; importing torch to ask would cost a second
        from torch.compiler import is_compiling

        if is_compiling() or _CHECKED.get():  # values are not known while a model is exported
            return
        lonlat = lonlat.detach()
        if lonlat.device.type != "cpu" and lonlat.shape[-1:] == (2,) and _are_places(lonlat).all():
            return  # decided there, so that one boolean is copied
        lonlat = lonlat.cpu().numpy()
    if not isinstance(lonlat, np.ndarray) or lonlat.dtype.kind not in "fiu":
        kind = f"{type(lonlat).__name__} of {lonlat.dtype}" if hasattr(lonlat, "dtype") else type(lonlat).__name__
        raise TypeError(
            f"lonlat must be an array or tensor of numbers, got {kind}; build one with as_lonlat(lon=..., lat=...)."
        )
    if lonlat.ndim < 1 or lonlat.shape[-1] != 2:
        raise ValueError(
            f"lonlat needs a last axis of size 2 (longitude, latitude), got shape {lonlat.shape}; "
            "build it with as_lonlat(lon=..., lat=...)."
        )
    good = _are_places(lonlat)
    if good.all():
        return
    row = int(np.flatnonzero(~good)[0])
    x, y = (float(value) for value in lonlat.reshape(-1, 2)[row])
    if not np.isfinite([x, y]).all():
        hint = f" {DROP_ADVICE}."
    elif _swap_would_mend(lonlat):
        hint = f" This looks like (latitude, longitude): {SWAP_ADVICE}."
    else:
        hint = f" Longitudes lie in [-180, 360], latitudes in [-90, 90]; {METRES_ADVICE}."
    raise ValueError(
        f"{int((~good).sum())} of {good.size} rows are not (longitude, latitude) in degrees; "
        f"row {row} is ({x:g}, {y:g}).{hint}"
    )


def _are_places(lonlat: Any) -> Any:
    """Return which rows are places; comparisons with NaN are false, so this also catches what is not finite."""
    lon, lat = lonlat[..., 0], lonlat[..., 1]
    return (abs(lat) <= 90) & (lon >= -180) & (lon <= 360)


def _swap_would_mend(lonlat: np.ndarray) -> bool:
    """Whether every finite row is a place when swapped, and too many rows are invalid for typing errors."""
    lon, lat = lonlat[np.isfinite(lonlat).all(axis=-1)].T
    if not ((np.abs(lon) <= 90) & (np.abs(lat) <= 180)).all():
        return False
    return too_many_for_slips(int((np.abs(lat) > 90).sum()), len(lat))


def too_many_for_slips(swapped: int, rows: int) -> bool:
    """Decide whether the columns look swapped, or whether only some values are wrong.

    Within 90 degrees of longitude any pair can be swapped, so a few such rows prove nothing.

    Args:
        swapped: Number of rows whose latitude is beyond 90 degrees and which are valid as (latitude, longitude).
        rows: Number of all rows.

    Example:
        >>> too_many_for_slips(450, 1000), too_many_for_slips(1, 1000)
        (True, False)
    """
    return swapped > 0 and swapped >= 0.1 * rows


def as_lonlat(lon: Any, lat: Any) -> Float64[np.ndarray, "n 2"]:
    """Join longitudes and latitudes into one checked array.

    Args:
        lon: Longitude in degrees, [-180, 360]: a number, list, array or Series of n values.
        lat: Latitude in degrees, [-90, 90], as many values as `lon`.

    Returns:
        Shape (n, 2), float64, longitude first; longitudes are kept as given.

    Raises:
        TypeError: If one of them does not contain numbers.
        ValueError: If the lengths differ, there is more than one axis, or a value is not a
            coordinate; see `check_lonlat`.

    Example:
        >>> as_lonlat(lon=5.66, lat=51.97)
        array([[ 5.66, 51.97]])
    """
    columns = []
    for name, values in (("lon", lon), ("lat", lat)):
        masked = np.flatnonzero(np.ma.getmaskarray(values)) if isinstance(values, np.ma.MaskedArray) else np.arange(0)
        if len(masked):
            raise ValueError(f"{name} is masked in {len(masked)} rows, first in row {masked[0]}; drop such rows.")
        if np.asarray(values).dtype.kind in "Mmb":
            raise TypeError(f"{name} must be numbers in degrees, got {np.asarray(values).dtype}.")
        try:
            column = np.atleast_1d(np.asarray(values, dtype=np.float64))
        except (TypeError, ValueError):
            raise TypeError(f"{name} must be numbers in degrees, got {values!r:.60}.") from None
        if column.ndim != 1:
            raise ValueError(f"{name} must be one number or one axis of numbers, got shape {column.shape}.")
        columns.append(column)
    if len(columns[0]) != len(columns[1]):
        raise ValueError(f"lon has {len(columns[0])} values and lat has {len(columns[1])}; pass equally many.")
    lonlat = np.stack(columns, axis=1)
    check_lonlat(lonlat)
    return lonlat


def swap_suspicion(lonlat: Float[np.ndarray, "n 2"]) -> str | None:
    """Say why a whole table may contain (latitude, longitude), or return None.

    This is a guess for messages, not a reason to refuse: near the diagonal of the map both orders look alike.

    Args:
        lonlat: Supposedly (longitude, latitude) in degrees, shape (n, 2); need not be valid.

    Returns:
        A sentence to add to a message, or None where nothing looks wrong.

    Example:
        >>> swap_suspicion(np.array([[51.97, 5.66], [-33.87, 151.21]]))
        'The second column reaches 151.21, beyond any latitude, while the first stays within 90 degrees: \
pass lon= and lat= the other way round.'
    """
    finite = lonlat[np.isfinite(lonlat).all(axis=1)]
    if len(finite) == 0:
        return None
    first, second = np.abs(finite).max(axis=0)
    if _swap_would_mend(finite):
        return (
            f"The second column reaches {second:g}, beyond any latitude, while the first stays within "
            f"90 degrees: {SWAP_ADVICE}."
        )
    # People and photographs are mostly north of 60 degrees south.
    if len(finite) >= 20 and (finite[:, 1] < -60).mean() > 0.3 and first <= 90:
        share = (finite[:, 1] < -60).mean()
        return (
            f"{share:.0%} of the rows lie south of 60 degrees south: if these are not places in Antarctica, "
            f"{SWAP_ADVICE}."
        )
    return None


def wrap_longitude(lon: Any) -> Any:
    """Wrap longitudes into [-180, 180); values already in this range are returned bit for bit.

    Args:
        lon: Degrees: a number, array or tensor of any shape.

    Returns:
        The same kind and shape.

    Example:
        >>> wrap_longitude(np.array([190.0, 180.0, -75.5]))
        array([-170. , -180. ,  -75.5])
    """
    still = lon.detach() if hasattr(lon, "detach") else lon  # whole turns have no gradient
    lon = lon - 360 * ((still + 180) // 360)
    # Rounding in the sum above can leave a value one turn off at the very edge.
    return lon - 360 * (lon >= 180) + 360 * (lon < -180)


def unit_vectors(lonlat: Float[Any, "*batch 2"]) -> Float[Any, "*batch 3"]:
    """Convert places to points on the unit sphere.

    Args:
        lonlat: Array or tensor, shape (..., 2), degrees.

    Returns:
        The same kind, shape (..., 3): x points to (0 E, 0 N), y to (90 E, 0 N), z to the north pole.

    Example:
        >>> unit_vectors(np.array([[0.0, 0.0], [90.0, 0.0]])).round(6)
        array([[1., 0., 0.],
               [0., 1., 0.]])
    """
    xp = array_module(lonlat)
    lon, lat = xp.deg2rad(lonlat[..., 0]), xp.deg2rad(lonlat[..., 1])
    return xp.stack((xp.cos(lat) * xp.cos(lon), xp.cos(lat) * xp.sin(lon), xp.sin(lat)), -1)


def lonlat_of_unit_vectors(xyz: Float[Any, "*batch 3"]) -> Float[Any, "*batch 2"]:
    """Convert points on (or near) the unit sphere to places.

    Args:
        xyz: Array or tensor, shape (..., 3); of any length but 0.

    Returns:
        The same kind, shape (..., 2): longitude in [-180, 180) and latitude in degrees. At a
        pole every longitude is right; one of them is returned.

    Example:
        >>> lonlat_of_unit_vectors(np.array([[0.0, 2.0, 0.0]]))
        array([[90.,  0.]])
    """
    xp = array_module(xyz)
    x, y, z = xyz[..., 0], xyz[..., 1], xyz[..., 2]
    lon = wrap_longitude(xp.rad2deg(xp.arctan2(y, x)))
    # The arctangent keeps its precision near the poles, where the arcsine of z has none.
    lat = xp.rad2deg(xp.arctan2(z, xp.hypot(x, y)))
    return xp.stack((lon, lat), -1)


def array_module(values: Any) -> ModuleType:
    """Return the module, numpy or torch, whose functions work on `values`.

    Args:
        values: Array or tensor.

    Returns:
        `numpy` for an array, `torch` for a tensor; torch is imported only in that case.

    Example:
        >>> array_module(np.zeros(1)).__name__
        'numpy'
    """
    if isinstance(values, np.ndarray):
        return np
    import torch

    return torch
