"""What the cells of a window or a circle amount to."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float64

STATISTICS = ("mean", "std", "min", "max", "median", "missing")


def in_circle(size: int) -> Bool[np.ndarray, "size size"]:
    """Say which pixels of a square have their middle in the circle inside it.

    Example:
        >>> in_circle(4).astype(int)
        array([[0, 1, 1, 0],
               [1, 1, 1, 1],
               [1, 1, 1, 1],
               [0, 1, 1, 0]])
    """
    offsets = np.arange(size) - (size - 1) / 2
    return np.hypot(offsets[:, None], offsets) <= size / 2


def window_statistics(
    values: Float64[np.ndarray, "n cells bands"], statistics: Sequence[str], classes: Sequence[float] = ()
) -> dict[str, Float64[np.ndarray, "n bands"]]:
    """Sum up windows.

    Args:
        values: Cells of each window, NaN where missing.
        statistics: Some of `STATISTICS`; "std" is that of these cells (divided by n), "missing" the share of cells
            without data.
        classes: Values whose share among the cells with data is asked for.

    Returns:
        By name ("share of 3" for a class), NaN where a window has no data.

    Example:
        >>> forest = np.array([[[1.0], [1.0], [4.0], [np.nan]]])
        >>> {name: float(value[0, 0]) for name, value in window_statistics(forest, ["mean", "missing"], [1]).items()}
        {'mean': 2.0, 'missing': 0.25, 'share of 1': 0.6666666666666666}
    """
    known = ~np.isnan(values)
    count = known.sum(axis=1)
    some = count > 0
    divisor = np.maximum(count, 1)
    mean = np.where(known, values, 0.0).sum(axis=1) / divisor
    found = {}
    for name in statistics:
        if name == "mean":
            result = mean
        elif name == "std":
            result = np.sqrt(np.where(known, (values - mean[:, None]) ** 2, 0.0).sum(axis=1) / divisor)
        elif name == "min":
            result = np.where(known, values, np.inf).min(axis=1)
        elif name == "max":
            result = np.where(known, values, -np.inf).max(axis=1)
        elif name == "median":
            # NaN sorts last, so the middle of the known ones is where it would be without them.
            ordered = np.sort(values, axis=1)
            low, high = ((divisor - 1) // 2)[:, None], (divisor // 2)[:, None]
            result = sum(np.take_along_axis(ordered, at, axis=1)[:, 0] for at in (low, high)) / 2
        else:
            found[name] = 1.0 - count / values.shape[1]
            continue
        found[name] = np.where(some, result, np.nan)
    for value in classes:
        share = (known & (values == value)).sum(axis=1) / divisor
        found[f"share of {value:g}"] = np.where(some, share, np.nan)
    return found
