"""Tying schedules: which ties are active at which step. MELT, SALT and pairwise CLIP differ in nothing else."""

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

from geotether.suggestions import closest

MIN_ROWS = 2
"""A contrast needs two rows; no table gets a smaller share."""

SCHEDULE_OPTIONS = {"melt": ("shares",), "salt": ("switch", "steps_per_epoch"), "pairwise": ("modality",)}
"""Name of each schedule and its options."""


@dataclass(frozen=True)
class Tie:
    """Rows of one modality that are tied to their places in one step.

    Attributes:
        modality: Name of the modality.
        rows: Number of its rows, 1 or more.
    """

    modality: str
    rows: int


@dataclass(frozen=True)
class MeltSchedule:
    """MELT: every modality in every batch. The number of steps per epoch is that of the batches in all tables together.

    With a single table this is the pairwise CLIP of SatCLIP.

    Args:
        table_sizes: Rows of each table, by modality, in the order of their rows in a batch.
        batch_size: Rows of a batch, at least 2 per modality; the shares sum to it exactly.
        shares: "equal" gives every modality the same number of rows (the first ones get one more if there is a
            remainder), "proportional" gives at least 2 rows, in proportion to the size of its table.

    Raises:
        ValueError: If no table is given, one is empty, the batch is too small, or `shares` is unknown.

    Source:
        Hecht et al. (2026), "Multi-Modal Contrastive Learning for Implicit Earth Embeddings via Location
        Tying" (equal shares); proportional shares are ours. Klemmer et al. (2025), "SatCLIP", AAAI, arXiv:2311.17179
        (one modality).

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
    def rows_per_step(self) -> dict[str, int]:
        """Rows of each modality in every batch."""
        equal = self.shares == "equal"
        weights = [1 if equal else size for size in self.table_sizes.values()]
        return dict(zip(self.table_sizes, apportion(self.batch_size, weights), strict=True))

    @cached_property
    def steps_per_epoch(self) -> int:
        """Steps of one epoch, at least 1."""
        return max(1, sum(self.table_sizes.values()) // self.batch_size)

    def ties(self, step: int) -> tuple[Tie, ...]:
        """Return all modalities, with the same shares in every step."""
        return tuple(Tie(modality, rows) for modality, rows in self.rows_per_step.items())

    def rows_before(self, modality: str, step: int) -> int:
        """Return the number of rows of a modality that were used before a step."""
        check_known("modality", modality, self.table_sizes)
        return step * self.rows_per_step[modality]

    def epoch_of(self, step: int) -> int:
        """Return the epoch that a step belongs to, counted from 0."""
        return step // self.steps_per_epoch

    def steps_in(self, epochs: int) -> int:
        """Return the number of steps in the first `epochs` epochs."""
        return epochs * self.steps_per_epoch


@dataclass(frozen=True)
class SaltSchedule:
    """SALT: one modality per batch, in turn, changing by epoch or by step.

    Args:
        table_sizes: Rows of each table, by modality; the turns follow this order.
        batch_size: Rows of a batch, 2 or more.
        switch: "epoch" keeps one modality for an epoch, which is a pass over its table alone; "step"
            changes with every step, and one epoch is then a pass over all tables, as in MELT.
        steps_per_epoch: Length of an epoch, for switch="epoch" only. None is one pass over the active
            table (whole batches, at least 1), so that large tables are active for longer; "smallest" is one
            pass over the smallest table for every modality, so that all are active equally long; a
            number is that many steps. Rows not reached in one turn are the first of the next.

    Raises:
        ValueError: If no table is given, one is empty, the batch is too small, or an option is unknown.

    Source:
        Hecht et al. (2026), "Multi-Modal Contrastive Learning for Implicit Earth Embeddings via Location
        Tying"; the order of turns and the length of an epoch are not published.

    Example:
        >>> salt = SaltSchedule({"image": 300, "text": 100}, batch_size=100)
        >>> [salt.ties(step)[0].modality for step in range(5)]
        ['image', 'image', 'image', 'text', 'image']
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
            raise ValueError('steps_per_epoch applies to switch="epoch" only; leave it out for switch="step".')
        if isinstance(self.steps_per_epoch, str):
            check_known("steps_per_epoch", self.steps_per_epoch, ("smallest",))
        elif self.steps_per_epoch < 1:
            raise ValueError(f"steps_per_epoch must be 1 or more, got {self.steps_per_epoch}.")

    @cached_property
    def turns(self) -> dict[str, int]:
        """Number of steps for which each modality stays active, in the order of the turns."""
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
        """Step of a round at which each turn has ended."""
        return list(accumulate(self.turns.values()))

    def _turn(self, step: int) -> tuple[int, int]:
        """Return the round, and the turn within the round, that a step belongs to."""
        rounds, rest = divmod(step, self._ends[-1])
        return rounds, bisect_right(self._ends, rest)

    def ties(self, step: int) -> tuple[Tie, ...]:
        """Return the one active modality, with the whole batch."""
        _, turn = self._turn(step)
        return (Tie(list(self.turns)[turn], self.batch_size),)

    def rows_before(self, modality: str, step: int) -> int:
        """Return the number of rows of a modality that were used before a step."""
        check_known("modality", modality, self.table_sizes)
        rounds, rest = divmod(step, self._ends[-1])
        length = self.turns[modality]
        begin = self._ends[list(self.turns).index(modality)] - length
        return self.batch_size * (rounds * length + min(max(rest - begin, 0), length))

    def epoch_of(self, step: int) -> int:
        """Return the epoch that a step belongs to, counted from 0."""
        if self.switch == "step":
            return step // self.steps_in(1)
        rounds, turn = self._turn(step)
        return rounds * len(self.turns) + turn

    def steps_in(self, epochs: int) -> int:
        """Return the number of steps in the first `epochs` epochs."""
        if self.switch == "step":
            return epochs * max(1, sum(self.table_sizes.values()) // self.batch_size)
        rounds, rest = divmod(epochs, len(self.turns))
        return rounds * self._ends[-1] + (self._ends[rest - 1] if rest else 0)


TyingSchedule = MeltSchedule | SaltSchedule


def build_schedule(name: str, table_sizes: Mapping[str, int], batch_size: int, **options: Any) -> TyingSchedule:
    """Build a schedule by name.

    Args:
        name: One of `SCHEDULE_OPTIONS`.
        table_sizes: Rows of each table, by modality.
        batch_size: Rows of a batch.
        **options: `shares` for melt; `switch`, `steps_per_epoch` for salt; `modality` for pairwise,
            needed if there is more than one table.

    Raises:
        ValueError: If the name, an option or the modality is unknown, or the sizes do not fit the schedule.

    Example:
        >>> build_schedule("pairwise", {"image": 300, "text": 100}, 50, modality="text").epoch_of(step=2)
        1
    """
    check_known("schedule", name, SCHEDULE_OPTIONS)
    for option in options:
        check_known(f"option of schedule {name!r}:", option, SCHEDULE_OPTIONS[name])
    if name == "melt":
        return MeltSchedule(table_sizes, batch_size, **options)
    if name == "salt":
        return SaltSchedule(table_sizes, batch_size, **options)
    if len(table_sizes) > 1 and options.get("modality") is None:
        raise ValueError(f"Schedule 'pairwise' needs one of {', '.join(table_sizes)}: set modality.")
    chosen = options.get("modality") or next(iter(table_sizes), None)
    if table_sizes:
        check_known("modality", chosen, table_sizes)
    return MeltSchedule({name: size for name, size in table_sizes.items() if name == chosen}, batch_size)


def apportion(rows: int, weights: Sequence[int], least: int = MIN_ROWS) -> list[int]:
    """Divide rows in proportion to weights, in whole numbers.

    Shares below `least` are raised to it; the others divide the remaining rows by largest remainder, ties to the
    earlier one.

    Returns:
        One share for each weight, at least `least`; they sum to `rows`.

    Raises:
        ValueError: If there are fewer than `least` rows for each weight.

    Source:
        The method of largest remainder (Hamilton 1792).

    Example:
        >>> apportion(10, [1, 1, 1]), apportion(10, [1000, 1, 500])
        ([4, 3, 3], [5, 2, 3])
    """
    if rows < least * len(weights):
        raise ValueError(f"{rows} rows cannot be divided into {len(weights)} shares of at least {least}.")
    small: set[int] = set()
    while True:
        others = [i for i in range(len(weights)) if i not in small]
        left, total = rows - least * len(small), sum(weights[i] for i in others)
        below = {i for i in others if left * weights[i] < least * total}
        if not below:
            break
        small |= below
    shares = [least] * len(weights)
    for i in others:
        shares[i] = left * weights[i] // total
    by_remainder = sorted(others, key=lambda i: -(left * weights[i] % total))
    for i in by_remainder[: rows - sum(shares)]:
        shares[i] += 1
    return shares


def check_sizes(table_sizes: Mapping[str, int], batch_size: int, tables_in_a_batch: int) -> None:
    """Raise ValueError if no table is given, one is empty, or the batch is too small."""
    if not table_sizes:
        raise ValueError("A schedule needs at least one table, got none.")
    for modality, size in table_sizes.items():
        if size < 1:
            raise ValueError(f"The table of {modality!r} has {size} rows; remove it or check its split.")
    if batch_size < MIN_ROWS * tables_in_a_batch:
        raise ValueError(
            f"batch_size is {batch_size}, but {tables_in_a_batch} tables in a batch need at least {MIN_ROWS} rows "
            f"each: set batch_size to {MIN_ROWS * tables_in_a_batch} or more."
        )


def check_known(what: str, name: object, known: Collection[str]) -> None:
    """Raise ValueError, with the known names and the closest, if a name is not among them."""
    if name not in known:
        raise ValueError(f"Unknown {what} {name!r}; known: {', '.join(known) or 'none'}.{closest(name, known)}")
