"""Raw label columns as files bring them: which rows are known, of what type, and which contradict each other."""

import math

import numpy as np
from jaxtyping import Bool, Float, Shaped


def is_known(target: Shaped[np.ndarray, "n *c"]) -> Bool[np.ndarray, " n"]:
    """Mark the rows whose label is not missing: not NaN, None or an empty string.

    Example:
        >>> is_known(np.array(["a", "", None], dtype=object))
        array([ True, False, False])
    """
    if target.dtype.kind == "f":
        known = ~np.isnan(target)
    elif target.dtype.kind in "OUS":
        flat = [not (v is None or v == "" or (isinstance(v, float) and math.isnan(v))) for v in target.ravel()]
        known = np.array(flat, dtype=bool).reshape(target.shape)
    else:
        known = np.ones(target.shape, dtype=bool)
    return known if known.ndim == 1 else known.all(axis=1)


def kinds_of_value(values: Shaped[np.ndarray, "m *c"]) -> set[str]:
    """Tell whether known labels are "text", "number", or both."""
    if values.dtype.kind != "O":
        return {"text" if values.dtype.kind in "US" else "number"} if values.size else set()
    return {("text" if isinstance(v, str) else "number") for v in values.ravel().tolist()}


def check_numbers(
    who: str,
    raw: Float[np.ndarray, " n"],
    values: Float[np.ndarray, " n"],
    valid: Bool[np.ndarray, " n"],
    transform: str | None,
) -> None:
    """Raise for the first known label that is not finite, before or after its transform."""
    bad = np.flatnonzero(valid & ~np.isfinite(values))
    if len(bad):
        after = f" after {transform}" if transform else ""
        raise ValueError(f"{who}: the label of row {bad[0]} is {raw[bad[0]]:g}, not finite{after}.")


def conflicting_rows(lonlat: Float[np.ndarray, "n 2"], values: Shaped[np.ndarray, "n *c"]) -> Bool[np.ndarray, " n"]:
    """Mark rows that lie at exactly the place of another row with a different label.

    Args:
        lonlat: Places in degrees, shape (n, 2).
        values: Labels without missing ones, shape (n,) or (n, c).

    Returns:
        Boolean, shape (n,).

    Example:
        >>> conflicting_rows(np.array([[5.0, 52.0], [5.0, 52.0], [6.0, 52.0]]), np.array(["a", "b", "a"]))
        array([ True,  True, False])
    """
    _, place = np.unique(lonlat, axis=0, return_inverse=True)
    _, label = np.unique(values, axis=0, return_inverse=True)
    place, label = place.ravel(), label.ravel()
    pairs = np.unique(np.stack([place, label], axis=1), axis=0)
    labels_at_place = np.bincount(pairs[:, 0], minlength=len(lonlat))
    return labels_at_place[place] > 1
