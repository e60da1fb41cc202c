"""Rows of a batch that are computed in several parts or processes, with the random numbers of the whole batch."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from jaxtyping import Int64
from torch import Tensor

from geotether.processes import Processes


class Draws:
    """What layers draw at random for a batch of which only some rows are computed at a time, or in this process.

    Numbers are drawn for all rows, as in a batch that is computed at once, and kept: every further part of the rows,
    and the repetition of a part, gets its rows of the same numbers.

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
        """Begin a part of the rows, for which the layers draw in the same order as for the part before."""
        self.used = 0

    @contextmanager
    def of(self, rows: slice | Tensor, total: int, processes: Processes | None = None) -> Iterator[None]:
        """Say which rows of how many the layers get now; with `processes`, these compute the others."""
        token = _BATCH.set(BatchRows(self, rows, total, processes))
        try:
            yield
        finally:
            _BATCH.reset(token)


@dataclass(frozen=True)
class BatchRows:
    """Which rows of a batch the layers get.

    Attributes:
        draws: What was drawn for the batch.
        rows: The rows, as a slice or as numbers.
        total: Number of rows of the batch.
        processes: The processes that compute the other rows at the same time; None if this process does.
    """

    draws: Draws
    rows: slice | Int64[Tensor, " r"]
    total: int
    processes: Processes | None

    @staticmethod
    def current() -> "BatchRows | None":
        """Return the rows that `Draws.of` has set; None if the layers get whole batches."""
        return _BATCH.get()


_BATCH: ContextVar[BatchRows | None] = ContextVar("rows of a batch", default=None)


def drawn(rows: int, draw: Callable[[int], Tensor]) -> Tensor:
    """Return random numbers of the rows that a layer gets.

    Args:
        rows: Number of these rows.
        draw: Draws for a number of rows, the first axis.
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
