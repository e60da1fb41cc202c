"""Random numbers of a batch that is computed in several parts or processes: the same as of the whole batch."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from jaxtyping import Int64
from torch import Tensor

from geotether.processes import Processes


class Draws:
    """Random numbers that layers draw for a batch of which only some rows are computed at a time, or in this process.

    Numbers are drawn for all rows, as for a batch that is computed at once. With `keep` they are kept, so that every
    further part of the rows, and the repetition of a part, takes its rows of the same numbers.

    Args:
        keep: Whether further parts follow.

    Example:
        >>> import torch
        >>> draws = Draws(keep=True)
        >>> for part in (slice(0, 2), slice(2, 4)):
        ...     draws.begin()
        ...     with draws.of(part, total=4):
        ...         print(drawn(2, torch.arange).tolist())
        [0, 1]
        [2, 3]
    """

    def __init__(self, keep: bool = False) -> None:
        self.keep = keep
        self.kept: list[Tensor] = []
        self.used = 0

    def begin(self) -> None:
        """Begin a part of the rows; the layers draw in the same order for every part."""
        self.used = 0

    @contextmanager
    def of(self, rows: slice | Tensor, total: int, processes: Processes | None = None) -> Iterator[None]:
        """Declare that layers get these rows of a batch of `total`; with `processes`, those compute the others."""
        token = _BATCH.set(BatchRows(self, rows, total, processes))
        try:
            yield
        finally:
            _BATCH.reset(token)


@dataclass(frozen=True)
class BatchRows:
    """Which rows of a batch the layers get.

    Attributes:
        draws: Random numbers of the batch.
        rows: Index of the rows.
        total: Number of rows of the batch.
        processes: The processes that compute the other rows at the same time; None if this process does.
    """

    draws: Draws
    rows: slice | Int64[Tensor, " r"]
    total: int
    processes: Processes | None

    @staticmethod
    def current() -> "BatchRows | None":
        """Return the rows set by `Draws.of`; None if layers get whole batches."""
        return _BATCH.get()


_BATCH: ContextVar[BatchRows | None] = ContextVar("rows of a batch", default=None)


def drawn(rows: int, draw: Callable[[int], Tensor]) -> Tensor:
    """Return the random numbers of the rows that a layer gets.

    Args:
        rows: Number of these rows.
        draw: Function that draws the numbers of a given number of rows, along the first axis.
    """
    batch = BatchRows.current()
    if batch is None:
        return draw(rows)
    draws = batch.draws
    if not draws.keep:
        return draw(batch.total)[batch.rows]
    if draws.used == len(draws.kept):
        draws.kept.append(draw(batch.total))
    draws.used += 1
    return draws.kept[draws.used - 1][batch.rows]
