"""Repeats of an experiment on paired sensors: folds of whole groups and seeds, or seeds on the table's own split."""

from dataclasses import dataclass, replace

import numpy as np

from geotether.tables.splits import assign_folds
from geotether.tables.table import Table


@dataclass(frozen=True)
class Repeat:
    """One repeat.

    Attributes:
        number: From 0.
        seed: Of everything random in it.
        table: With a split: test rows are looked at once, at the end, and no validation row is among them.
        unit: Repeats of the same unit judge the same test rows and are averaged before any interval; None: this repeat
            is a unit of its own.
    """

    number: int
    seed: int
    table: Table
    unit: int | None = None


def fold_repeats(table: Table, folds: int, seed: int = 0, times: int = 1) -> list[Repeat]:
    """Make every fold the test rows; the fold after it validates, the others are trained on.

    Args:
        table: Whole groups stay in one fold, if it has groups. Rows whose split is "buffer" stay out.
        folds: 3 or more.
        seed: Of folds of equal size, and the first of the repeats' own.
        times: Repeats of every fold, each with another seed; a fold is their unit.

    Raises:
        ValueError: If there are fewer than three folds, fewer groups than folds, or no repeat is wanted.
    """
    if times < 1:
        raise ValueError(f"Every fold is trained once or more often, got {times}.")
    if folds < 3:
        raise ValueError(f"folds must be 3 or more (training, validation and test differ), got {folds}.")
    fold = assign_folds(table.group, len(table), folds, seed)
    repeats = []
    for number in range(folds):
        split = np.full(len(table), "train", dtype="<U10")
        split[fold == number] = "test"
        split[fold == (number + 1) % folds] = "validation"
        if table.split is not None:
            split[table.split == "buffer"] = "buffer"
        repeats.append(Repeat(number, seed + number, replace(table, split=split), number))
    # All folds once before any of them again: a comparison that is stopped has whole rounds.
    later = range(folds, times * folds)
    return repeats + [Repeat(at, seed + at, repeats[at % folds].table, at % folds) for at in later]


def without_test_rows(table: Table) -> Table:
    """Drop the test rows, so that settings can be chosen on folds of the rest and test rows stay unseen.

    Raises:
        ValueError: If the table has no split with test rows, and every row would be a choice made on rows judged later.
    """
    if table.split is None or not (table.split == "test").any():
        raise ValueError(f"{table.name} has no split with test rows to set aside; give it one (`split:`).")
    return table.rows(np.flatnonzero(table.split != "test"))


def seed_repeats(table: Table, seeds: int, first: int = 0) -> list[Repeat]:
    """Repeat with other seeds on the table's own split.

    Raises:
        ValueError: If the table has no split with test rows, or there are fewer than two seeds.
    """
    if table.split is None or not {"train", "test"} <= set(table.split.tolist()):
        raise ValueError(f"{table.name} has no split with train and test rows; judge by folds instead (folds=5).")
    if seeds < 2:
        raise ValueError(f"An interval needs two seeds or more, got {seeds}.")
    return [Repeat(number, first + number, table) for number in range(seeds)]
