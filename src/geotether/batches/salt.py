"""SALT: one modality at a time, in turn."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from geotether.batches.shares import check_known, check_sizes
from geotether.batches.tie import Tie


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
