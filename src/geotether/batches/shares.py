"""Shares of a batch: whole rows for each table that sum to the batch exactly."""

from collections.abc import Collection, Mapping, Sequence

from geotether.suggestions import closest

MIN_ROWS = 2
"""A contrast needs two rows; no table gets a smaller share."""


def apportion(rows: int, weights: Sequence[int], least: int = MIN_ROWS) -> list[int]:
    """Divide rows in proportion to weights, in whole numbers.

    Whoever is due less than `least` gets `least`; the others divide what is left by largest remainder,
    ties to the earlier one.

    Args:
        rows: Rows to divide, at least `least` for each weight.
        weights: Positive numbers.
        least: Smallest share.

    Returns:
        One share for each weight; they sum to `rows`.

    Raises:
        ValueError: If there are too few rows.

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
        # Those whose due is below the least get the least; the others divide what is then left.
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
    """Raise if a batch cannot be made of these tables.

    Args:
        table_sizes: Rows of each table, by modality.
        batch_size: Rows of a batch.
        tables_in_a_batch: How many tables meet in one batch.

    Raises:
        ValueError: If there is no table, a table is empty or the batch is too small.
    """
    if not table_sizes:
        raise ValueError("A schedule needs at least one table, got none.")
    for modality, size in table_sizes.items():
        if size < 1:
            raise ValueError(f"The table of {modality!r} has {size} rows; leave it out or check its split.")
    if batch_size < MIN_ROWS * tables_in_a_batch:
        raise ValueError(
            f"batch_size is {batch_size}, but {tables_in_a_batch} tables in a batch need at least {MIN_ROWS} rows "
            f"each: set batch_size to {MIN_ROWS * tables_in_a_batch} or more."
        )


def check_known(what: str, name: object, known: Collection[str]) -> None:
    """Raise if a name is not among the known ones.

    Args:
        what: What it is the name of, for the message.
        name: The name that came.
        known: The names that would do.

    Raises:
        ValueError: If it is unknown; the message lists the known ones and the closest.
    """
    if name not in known:
        hint = closest(name, known)
        raise ValueError(f"Unknown {what} {name!r}; known are {', '.join(known) or 'none'}.{hint}")
