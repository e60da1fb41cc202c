"""Rows of a published data set to read: parts of its split, and a random sample of them."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from geotether.suggestions import closest

_MEANT = {"val": "validation", "valid": "validation", "training": "train", "testing": "test"}


def split_name(name: str) -> str:
    """Return this package's name of a part: "val" is "validation"."""
    return _MEANT.get(name, name)


def choose_rows(splits: Sequence[Any] | np.ndarray | None, split: Any, limit: int | None, seed: int, count: int) -> Any:
    """Choose the rows of some parts, at most `limit` of them, drawn at random.

    Args:
        splits: The part of each row, or None if there are none.
        split: Name or names of parts ("val" is "validation"), or None for all.
        limit: Maximum number of rows. They are drawn because the first rows of most archives are from one place.
        seed: Of the draw.
        count: Number of rows in the data set.

    Returns:
        Row numbers in ascending order, shape (m,).

    Raises:
        ValueError: If a part is unknown, no row is left, or `limit` is below 1.

    Example:
        >>> choose_rows(["train", "val", "train"], "train", None, 0, 3).tolist()
        [0, 2]
    """
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be 1 or more, got {limit}.")
    numbers = np.arange(count)
    if split is not None:
        parts = [split_name(str(name)) for name in ([] if splits is None else splits)]
        asked = [split_name(name) for name in ([split] if isinstance(split, str) else split)]
        wanted = check_names("part of the split", asked, sorted(set(parts)))
        numbers = np.array([row for row, part in enumerate(parts) if part in wanted], dtype=np.int64)
    if limit is not None and limit < len(numbers):
        numbers = np.sort(np.random.default_rng(seed).choice(numbers, limit, replace=False))
    if len(numbers) == 0:
        raise ValueError(f"None of {count} rows is left with split={split!r}.")
    return numbers


def check_names(what: str, names: Iterable[str], known: Sequence[str]) -> list[str]:
    """Return one name or several without repetitions; ValueError if one is unknown or there are none."""
    given = list(dict.fromkeys([names] if isinstance(names, str) else names))
    for name in given:
        if name not in known:
            raise ValueError(unknown(what, name, known))
    if not given:
        raise ValueError(f"Give at least one {what}. Known: {', '.join(known)}.")
    return given


def unknown(what: str, name: Any, known: Iterable[str]) -> str:
    """Return the message for an unknown name, with the known ones and the closest."""
    names = [str(one) for one in known]
    return f"There is no {what} {name!r}; known: {', '.join(names) or 'none'}.{closest(name, names)}"
