"""Which rows of a published data set are read: parts of its split, and a draw of so many."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from geotether.suggestions import closest

_MEANT = {"val": "validation", "valid": "validation", "training": "train", "testing": "test"}


def split_name(name: str) -> str:
    """Give the name that this package uses of a part: "val" is "validation".

    Example:
        >>> split_name("val"), split_name("test")
        ('validation', 'test')
    """
    return _MEANT.get(name, name)


def wanted_splits(split: str | Sequence[str] | None, known: Iterable[str]) -> list[str] | None:
    """Check the parts that are asked for.

    Args:
        split: One part or several, or None for all.
        known: Parts that the data have.

    Returns:
        The parts, without doubles; None for all.

    Raises:
        ValueError: If the data have no such part, or none at all.

    Example:
        >>> wanted_splits("val", ["train", "validation"])
        ['validation']
    """
    if split is None:
        return None
    names = list(dict.fromkeys(split_name(name) for name in ([split] if isinstance(split, str) else split)))
    has = sorted({split_name(name) for name in known})
    for name in names:
        if name not in has:
            raise ValueError(unknown("part of the split", name, has))
    return names


def choose_rows(splits: Sequence[Any] | np.ndarray | None, split: Any, limit: int | None, seed: int, count: int) -> Any:
    """Choose rows: those of the wanted parts, and of these at most `limit`, drawn at random.

    Args:
        splits: The part of every row, or None where there is none.
        split: The parts wanted, as `wanted_splits` takes them.
        limit: At most so many rows. They are drawn, since the first rows of most archives lie in one place.
        seed: Of the draw.
        count: Number of rows there are.

    Returns:
        Row numbers in their order, shape (m,).

    Raises:
        ValueError: If a part is unknown, no row is left, or `limit` is below 1.

    Example:
        >>> choose_rows(["train", "val", "train"], "train", None, 0, 3).tolist()
        [0, 2]
    """
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be 1 or more, got {limit}.")
    numbers = np.arange(count)
    names = None if splits is None else np.array([split_name(str(name)) for name in splits])
    wanted = wanted_splits(split, [] if names is None else names)
    if wanted is not None and names is not None:
        numbers = numbers[np.isin(names, wanted)]
    if limit is not None and limit < len(numbers):
        numbers = np.sort(np.random.default_rng(seed).choice(numbers, limit, replace=False))
    if len(numbers) == 0:
        raise ValueError(f"None of {count} rows is left by split={split!r}.")
    return numbers


def check_names(what: str, names: Iterable[str], known: Sequence[str]) -> list[str]:
    """Refuse names that are not known.

    Args:
        what: What they name, for the message, such as "modality".
        names: What was asked for, or found.
        known: The names there are.

    Returns:
        The names, without doubles.

    Raises:
        ValueError: If one is not known; the closest is offered. Or if there are none.
    """
    given = list(dict.fromkeys([names] if isinstance(names, str) else names))
    for name in given:
        if name not in known:
            raise ValueError(unknown(what, name, known))
    if not given:
        raise ValueError(f"No {what} is asked for. Known: {', '.join(known)}.")
    return given


def unknown(what: str, name: Any, known: Iterable[str]) -> str:
    """Say that there is no such thing, which there are, and which is closest."""
    names = [str(one) for one in known]
    hint = closest(name, names)
    return f"There is no {what} {name!r}; known: {', '.join(names) or 'none'}.{hint}"
