"""What a tying schedule answers: which modality is tied to its places, with how many rows."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


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
