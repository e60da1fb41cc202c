"""The order of rows: an endless stream of shuffled epochs that can be entered anywhere."""

import hashlib
from functools import lru_cache

import numpy as np
from jaxtyping import Int64, Integer


def rows_at(size: int, start: int, count: int, seed: int, modality: str) -> Int64[np.ndarray, "count"]:
    """Give rows `start` to `start + count - 1` of the endless stream of one table.

    The stream is one permutation of all rows after another, so every row comes once an epoch. Each
    permutation depends on (seed, modality, epoch) alone: nothing has to be saved to go on after an
    interruption. Where two epochs meet, or the table is smaller than `count`, a row can come twice in
    one call; `NearbyPairs(..., km=0)` keeps it from being its own negative.

    Args:
        size: Number of rows of the table, 1 or more.
        start: Position in the stream, 0 or more.
        count: Number of rows wanted, 0 or more.
        seed: Seed of the run.
        modality: Name of the table, so that tables are shuffled independently.

    Returns:
        Row numbers in [0, size), shape (count,).

    Raises:
        ValueError: If `size` is less than 1, or `start` or `count` is negative.

    Example:
        >>> first, again = rows_at(3, 0, 3, seed=0, modality="text"), rows_at(3, 1, 2, seed=0, modality="text")
        >>> sorted(first.tolist()), (first[1:] == again).all().item()
        ([0, 1, 2], True)
    """
    if size < 1:
        raise ValueError(f"The table of {modality!r} has {size} rows to draw from; it needs at least one.")
    if start < 0 or count < 0:
        raise ValueError(f"start and count must be 0 or more, got start={start} and count={count}.")
    rows = np.empty(count, dtype=np.int64)
    filled = 0
    while filled < count:
        epoch, position = divmod(start + filled, size)
        part = permutation(size, seed, modality, epoch)[position : position + count - filled]
        rows[filled : filled + len(part)] = part
        filled += len(part)
    return rows


@lru_cache(maxsize=32)  # Two epochs each of sixteen tables, where a batch can span the end of an epoch.
def permutation(size: int, seed: int, modality: str, epoch: int) -> Integer[np.ndarray, "size"]:
    """Shuffle the rows of a table for one epoch.

    The order is that of random 64-bit keys from a counter-based generator: NumPy promises that raw streams
    never change, which it does not of its own shuffle.

    Args:
        size: Number of rows, 1 or more.
        seed: Seed of the run.
        modality: Name of the table.
        epoch: Number of the epoch, 0 or more.

    Returns:
        Every number in [0, size) once, shape (size,); read-only, because it is kept for the next call.

    Source:
        Salmon et al. (2011), "Parallel random numbers: as easy as 1, 2, 3" (Philox).

    Example:
        >>> sorted(permutation(4, seed=0, modality="image", epoch=7).tolist())
        [0, 1, 2, 3]
    """
    key = hashlib.blake2b(f"{seed}/{epoch}/{modality}".encode(), digest_size=16).digest()
    keys = np.random.Philox(key=int.from_bytes(key, "little")).random_raw(size)
    order = np.argsort(keys, kind="stable").astype(np.int32 if size < 2**31 else np.int64)
    order.flags.writeable = False
    return order
