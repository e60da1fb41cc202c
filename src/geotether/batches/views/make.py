"""Views from plain configurations."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from geotether.batches.views.chip_views import ChipViews
from geotether.batches.views.series_views import SeriesViews
from geotether.batches.views.vector_views import VectorViews
from geotether.encoders.build import known_names

VIEWS: dict[str, Callable[..., Callable[[Tensor, torch.Generator], Tensor]]] = {
    "vector": VectorViews,
    "series": SeriesViews,
    "chip": ChipViews,
}


def make_views(config: Mapping[str, Any] | None, kind: str) -> Callable[[Tensor, torch.Generator], Tensor]:
    """Make the function that gives one more look at observations.

    Args:
        config: Options of `VectorViews`, `SeriesViews` or `ChipViews`; None or empty: their defaults.
        kind: "vector", "series" or "chip".

    Returns:
        A function of values (n, *shape), as in the table and NaN where missing, and a generator; it gives float32 of
        the same shape.

    Raises:
        ValueError: If the kind or an option is unknown (with the known ones), or an option is out of range.

    Example:
        >>> views = make_views({"flips": False, "crop": [0.8, 1.0]}, "chip")
        >>> views(torch.zeros(3, 12, 16, 16), torch.Generator().manual_seed(0)).dtype
        torch.float32
    """
    if kind not in VIEWS:
        raise ValueError(f"Unknown kind of observation {kind!r}; {known_names(kind, VIEWS)}")
    options = {key: tuple(value) if isinstance(value, list) else value for key, value in (config or {}).items()}
    known = inspect.signature(VIEWS[kind]).parameters
    for key, value in options.items():
        if key not in known:
            raise ValueError(f"Views of a {kind} have no option {key!r}; {known_names(key, known)}")
        if not _alike(value, known[key].default):
            raise ValueError(f"{key} of the views of a {kind} must be like {known[key].default!r}, got {value!r}.")
    return VIEWS[kind](**options)


def _alike(value: Any, default: Any) -> bool:
    """Whether a value is of its default's kind; a whole number does where a fraction is meant."""
    if isinstance(default, tuple):
        return isinstance(value, tuple) and len(value) == len(default) and all(map(_alike, value, default))
    if isinstance(value, bool) or isinstance(default, bool):
        return isinstance(value, bool) and isinstance(default, bool)
    return isinstance(value, int) or (isinstance(value, float) and isinstance(default, float))
