"""Tying schedules by name: MELT, SALT and pairwise CLIP differ in nothing else than which ties are active when."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from geotether.batches.salt import SaltSchedule
from geotether.batches.shares import apportion, check_known, check_sizes
from geotether.batches.tie import Tie, TyingSchedule


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
