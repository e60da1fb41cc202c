"""Tying schedules: which modalities are tied to their places in which step, with how many rows."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import accumulate
from typing import Any, Protocol, runtime_checkable

from geotether.batches.shares import apportion, check_known, check_sizes


@dataclass(frozen=True)
class Tie:
    """Rows of one modality that are tied to their places in one step.

    Attributes:
        modality: Name of the modality.
        rows: How many of its rows, 1 or more.
    """

    modality: str
    rows: int


@runtime_checkable
class TyingSchedule(Protocol):
    """What the training loop asks of a schedule; every answer is a pure function of the step."""

    def ties(self, step: int) -> tuple[Tie, ...]:
        """Give the ties that are active in a step, in the order of their rows in the batch."""

    def rows_before(self, modality: str, step: int) -> int:
        """Count the rows of a modality that were consumed before a step."""

    def epoch_of(self, step: int) -> int:
        """Give the epoch that a step belongs to, counted from 0."""

    def steps_in(self, epochs: int) -> int:
        """Count the steps of the first so many epochs."""

    def switches(self, total_steps: int) -> list[tuple[int, str]]:
        """List the steps below `total_steps` that change the active modality, and to which."""


@dataclass(frozen=True)
class MeltSchedule:
    """MELT: every modality in every batch. One epoch is as many steps as all tables together have batches.

    Args:
        table_sizes: Rows of each table, by modality, in the order of their rows in a batch.
        batch_size: Rows of a batch, at least 2 a modality; the shares sum to it exactly.
        shares: "equal" gives every modality the same number of rows (the first ones one more where that
            does not divide), "proportional" gives rows in proportion to its table, at least 2.

    Raises:
        ValueError: If there is no table, one is empty, the batch is too small, or `shares` is unknown.

    Source:
        Hecht et al. (2026), "Multi-Modal Contrastive Learning for Implicit Earth Embeddings via Location
        Tying" (equal shares); proportional shares are ours.

    Example:
        >>> MeltSchedule({"image": 300, "text": 100}, batch_size=8, shares="proportional").ties(step=0)
        (Tie(modality='image', rows=6), Tie(modality='text', rows=2))
    """

    table_sizes: Mapping[str, int]
    batch_size: int
    shares: str = "equal"

    def __post_init__(self) -> None:
        check_sizes(self.table_sizes, self.batch_size, tables_in_a_batch=len(self.table_sizes))
        check_known("shares", self.shares, ("equal", "proportional"))

    @cached_property
    def rows_a_step(self) -> dict[str, int]:
        """Rows of each modality in every batch."""
        equal = self.shares == "equal"
        weights = [1 if equal else size for size in self.table_sizes.values()]
        return dict(zip(self.table_sizes, apportion(self.batch_size, weights), strict=True))

    @cached_property
    def steps_an_epoch(self) -> int:
        """Steps of one epoch, at least 1."""
        return max(1, sum(self.table_sizes.values()) // self.batch_size)

    def ties(self, step: int) -> tuple[Tie, ...]:
        """Give all modalities, with the same shares in every step."""
        return tuple(Tie(modality, rows) for modality, rows in self.rows_a_step.items())

    def rows_before(self, modality: str, step: int) -> int:
        """Count the rows of a modality that were consumed before a step."""
        check_known("modality", modality, self.table_sizes)
        return step * self.rows_a_step[modality]

    def epoch_of(self, step: int) -> int:
        """Give the epoch that a step belongs to, counted from 0."""
        return step // self.steps_an_epoch

    def steps_in(self, epochs: int) -> int:
        """Count the steps of the first so many epochs."""
        return epochs * self.steps_an_epoch

    def switches(self, total_steps: int) -> list[tuple[int, str]]:
        """Give nothing: all modalities are active all the time."""
        return []


@dataclass(frozen=True)
class SaltSchedule:
    """SALT: one modality a batch, round robin, changing by epoch or by step.

    Args:
        table_sizes: Rows of each table, by modality; the turns follow this order.
        batch_size: Rows of a batch, 2 or more.
        switch: "epoch" keeps one modality for an epoch, which is a pass over its table alone; "step"
            changes with every step, and one epoch is then a pass over all tables, as in MELT.
        steps_per_epoch: Length of an epoch, for switch="epoch" only. None is one pass over the active
            table (whole batches, at least 1), so that large tables are active for longer; "smallest" is one
            pass over the smallest table for every modality, so that all are active equally long; a
            number is that many steps. Rows not reached in one turn come first in the next.

    Raises:
        ValueError: If there is no table, one is empty, the batch is too small, or an option is unknown.

    Source:
        Hecht et al. (2026), "Multi-Modal Contrastive Learning for Implicit Earth Embeddings via Location
        Tying"; the order of turns and the length of an epoch are not published.

    Example:
        >>> salt = SaltSchedule({"image": 300, "text": 100}, batch_size=100)
        >>> [salt.ties(step)[0].modality for step in range(5)], salt.switches(total_steps=5)
        (['image', 'image', 'image', 'text', 'image'], [(3, 'text'), (4, 'image')])
    """

    table_sizes: Mapping[str, int]
    batch_size: int
    switch: str = "epoch"
    steps_per_epoch: int | str | None = None

    def __post_init__(self) -> None:
        check_sizes(self.table_sizes, self.batch_size, tables_in_a_batch=1)
        check_known("switch", self.switch, ("epoch", "step"))
        if self.steps_per_epoch is None:
            return
        if self.switch == "step":
            raise ValueError('steps_per_epoch has a meaning for switch="epoch" only; leave it out for switch="step".')
        if isinstance(self.steps_per_epoch, str):
            check_known("steps_per_epoch", self.steps_per_epoch, ("smallest",))
        elif self.steps_per_epoch < 1:
            raise ValueError(f"steps_per_epoch must be 1 or more, got {self.steps_per_epoch}.")

    @cached_property
    def turns(self) -> dict[str, int]:
        """Steps for which each modality stays active, in the order of the turns."""
        if self.switch == "step":
            return dict.fromkeys(self.table_sizes, 1)
        whole = {modality: max(1, size // self.batch_size) for modality, size in self.table_sizes.items()}
        if self.steps_per_epoch is None:
            return whole
        smallest = min(whole.values())
        steps = smallest if isinstance(self.steps_per_epoch, str) else self.steps_per_epoch
        return dict.fromkeys(whole, steps)

    @cached_property
    def _ends(self) -> list[int]:
        """Step of a round before which each turn ends."""
        return list(accumulate(self.turns.values()))

    def _turn(self, step: int) -> tuple[int, int]:
        """Round and turn within the round that a step belongs to."""
        rounds, rest = divmod(step, self._ends[-1])
        return rounds, bisect_right(self._ends, rest)

    def ties(self, step: int) -> tuple[Tie, ...]:
        """Give the one active modality, with the whole batch."""
        _, turn = self._turn(step)
        return (Tie(list(self.turns)[turn], self.batch_size),)

    def rows_before(self, modality: str, step: int) -> int:
        """Count the rows of a modality that were consumed before a step."""
        check_known("modality", modality, self.table_sizes)
        rounds, rest = divmod(step, self._ends[-1])
        length = self.turns[modality]
        begin = self._ends[list(self.turns).index(modality)] - length
        return self.batch_size * (rounds * length + min(max(rest - begin, 0), length))

    def epoch_of(self, step: int) -> int:
        """Give the epoch that a step belongs to, counted from 0."""
        if self.switch == "step":
            return step // self.steps_in(1)
        rounds, turn = self._turn(step)
        return rounds * len(self.turns) + turn

    def steps_in(self, epochs: int) -> int:
        """Count the steps of the first so many epochs."""
        if self.switch == "step":
            return epochs * max(1, sum(self.table_sizes.values()) // self.batch_size)
        rounds, rest = divmod(epochs, len(self.turns))
        return rounds * self._ends[-1] + (self._ends[rest - 1] if rest else 0)

    def switches(self, total_steps: int) -> list[tuple[int, str]]:
        """List the steps below `total_steps` that change the active modality, and to which."""
        if len(self.turns) == 1:
            return []
        found, step = [], 0
        names, lengths = list(self.turns), list(self.turns.values())
        for turn in range(total_steps):
            step += lengths[turn % len(names)]
            if step >= total_steps:
                break
            found.append((step, names[(turn + 1) % len(names)]))
        return found


@dataclass(frozen=True)
class PairwiseSchedule:
    """Pairwise CLIP: one modality for the whole run, as in SatCLIP.

    Args:
        modality: Name of the modality.
        size: Rows of its table.
        batch_size: Rows of a batch, 2 or more.

    Raises:
        ValueError: If the table is empty or the batch too small.

    Source:
        Klemmer et al. (2025), "SatCLIP", AAAI, arXiv:2311.17179.

    Example:
        >>> PairwiseSchedule("image", size=1000, batch_size=100).steps_in(epochs=2)
        20
    """

    modality: str
    size: int
    batch_size: int

    def __post_init__(self) -> None:
        check_sizes({self.modality: self.size}, self.batch_size, tables_in_a_batch=1)

    def ties(self, step: int) -> tuple[Tie, ...]:
        """Give the one modality, with the whole batch."""
        return (Tie(self.modality, self.batch_size),)

    def rows_before(self, modality: str, step: int) -> int:
        """Count the rows that were consumed before a step."""
        check_known("modality", modality, (self.modality,))
        return step * self.batch_size

    def epoch_of(self, step: int) -> int:
        """Give the epoch that a step belongs to, counted from 0."""
        return step // self.steps_in(1)

    def steps_in(self, epochs: int) -> int:
        """Count the steps of the first so many epochs."""
        return epochs * max(1, self.size // self.batch_size)

    def switches(self, total_steps: int) -> list[tuple[int, str]]:
        """Give nothing: there is nothing to change to."""
        return []


SCHEDULES: dict[str, type[MeltSchedule] | type[SaltSchedule] | type[PairwiseSchedule]] = {
    "melt": MeltSchedule,
    "salt": SaltSchedule,
    "pairwise": PairwiseSchedule,
}
"""Name of each schedule and its class."""


def build_schedule(name: str, table_sizes: Mapping[str, int], batch_size: int, **options: Any) -> TyingSchedule:
    """Make a schedule from its name.

    Args:
        name: One of `SCHEDULES`.
        table_sizes: Rows of each table, by modality.
        batch_size: Rows of a batch.
        **options: `shares` for melt; `switch`, `steps_per_epoch` for salt; `modality` for pairwise,
            needed where there is more than one table.

    Returns:
        The schedule.

    Raises:
        ValueError: If the name, an option or the modality is unknown, or the schedule refuses the sizes.

    Example:
        >>> build_schedule("pairwise", {"image": 300, "text": 100}, 50, modality="text").epoch_of(step=2)
        1
    """
    check_known("schedule", name, SCHEDULES)
    known = {field.name for field in fields(SCHEDULES[name])} - {"table_sizes", "batch_size", "size"}
    for option in options:
        check_known(f"option of schedule {name!r}:", option, sorted(known))
    if name == "melt":
        return MeltSchedule(table_sizes, batch_size, **options)
    if name == "salt":
        return SaltSchedule(table_sizes, batch_size, **options)
    check_sizes(table_sizes, batch_size, tables_in_a_batch=1)
    if len(table_sizes) > 1 and options.get("modality") is None:
        raise ValueError(f"Schedule 'pairwise' needs one of {', '.join(table_sizes)}: set modality.")
    modality = options.get("modality") or next(iter(table_sizes))
    check_known("modality", modality, table_sizes)
    return PairwiseSchedule(modality, table_sizes[modality], batch_size)
