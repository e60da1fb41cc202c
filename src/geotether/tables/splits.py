"""Splits of rows into training, validation and test parts, and folds for cross-validation."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Float64, Int64, Integer, Shaped, UInt64

from geotether.geodesy.blocks import block_id, within_km_of
from geotether.tables.table import SPLITS

_PARTS = SPLITS[:3]


def assign_split(
    lonlat: Float[np.ndarray, "n 2"],
    block_km: float,
    shares: Mapping[str, float],
    seed: int,
    buffer_km: float = 0.0,
    away_from: Float[np.ndarray, "m 2"] | None = None,
) -> Shaped[np.ndarray, "n"]:
    """Split places by whole equal-area blocks, with a buffer between the parts.

    The part of a block depends only on the block and the seed: tables split with the same seed, side and shares hold
    out the same regions. The shares are therefore met only on average; a few blocks with many rows can shift them.

    Args:
        lonlat: Longitude and latitude in degrees, shape (n, 2).
        block_km: Side of a block in kilometres.
        shares: Part to its share of the blocks, such as {"train": 0.8, "validation": 0.1, "test": 0.1}.
        seed: Seed of the assignment of blocks to parts.
        buffer_km: Training rows closer than this to a held-out row, and validation rows closer than this to a test
            row, become "buffer".
        away_from: Further places, such as those of another table's test rows, shape (m, 2): training and validation
            rows closer than `buffer_km` to them become "buffer" too.

    Returns:
        "train", "validation", "test" or "buffer" for each row, shape (n,).

    Raises:
        ValueError: If coordinates, shares or `buffer_km` are invalid, or a part with a share gets no rows.

    Source:
        Roberts et al. (2017), Cross-validation strategies for data with temporal, spatial, hierarchical, or
        phylogenetic structure, Ecography 40:913 (blocks); Ploton et al. (2020), Nature Communications
        11:4540 (buffers).

    Example:
        >>> towns = np.array([[5.7, 52.0], [4.9, 52.4], [151.2, -33.9], [-74.0, 40.7], [36.8, -1.3]])
        >>> split = assign_split(towns, block_km=500.0, shares={"train": 0.5, "test": 0.5}, seed=1)
        >>> sorted(set(split.tolist()))
        ['test', 'train']
    """
    if not buffer_km >= 0:
        raise ValueError(f"buffer_km must be 0 or more, got {buffer_km}.")
    split = block_parts(lonlat, block_km, shares, seed)
    for name, share in shares.items():
        if share > 0 and not (split == name).any():
            raise ValueError(
                f"No row fell into {name!r}: {len(np.unique(block_id(lonlat, block_km)))} blocks of {block_km:g} km "
                "hold rows. Use a smaller block_km or another seed."
            )
    if buffer_km > 0:
        split = _with_buffer(split, lonlat, buffer_km, lonlat[:0] if away_from is None else away_from)
    return split


def block_parts(
    lonlat: Float[np.ndarray, "n 2"], block_km: float, shares: Mapping[str, float], seed: int
) -> Shaped[np.ndarray, "n"]:
    """Return the part of each place's block, as `assign_split` without a buffer; also for few rows.

    Returns:
        "train", "validation" or "test" for each row, shape (n,). A part may have no rows.

    Raises:
        ValueError: If coordinates, side or shares are invalid.

    Example:
        >>> block_parts(np.array([[5.7, 52.0]]), block_km=500.0, shares={"train": 0.5, "test": 0.5}, seed=1).tolist()
        ['test']
    """
    return _cut(_uniform(block_id(lonlat, block_km), seed), shares)


def assign_folds(group: Any, n: int, folds: int, seed: int) -> Int64[np.ndarray, " n"]:
    """Assign rows to folds of about equal size; the rows of a group are in one fold.

    Groups are assigned from the largest to the smallest, equal ones in random order, each to the fold with the fewest
    rows so far.

    Args:
        group: One value per row, shape (n,); None: each row is its own group.
        n: Number of rows.
        folds: Number of folds, 2 or more.
        seed: Seed of the order of equal groups.

    Returns:
        Numbers from 0 to folds - 1, shape (n,).

    Raises:
        ValueError: If lengths differ, or there are fewer groups than folds.

    Example:
        >>> folds = assign_folds(["a", "a", "a", "b", "b", "c"], n=6, folds=2, seed=0)
        >>> folds.tolist()
        [0, 0, 0, 1, 1, 1]
    """
    if folds < 2:
        raise ValueError(f"folds must be 2 or more, got {folds}.")
    groups = np.arange(n) if group is None else np.asarray(group)
    if groups.shape != (n,):
        raise ValueError(f"group needs one value for each of {n} rows, got shape {groups.shape}.")
    names, of_row, counts = np.unique(groups, return_inverse=True, return_counts=True)
    if len(names) < folds:
        raise ValueError(f"{len(names)} groups cannot fill {folds} folds; use fewer folds or smaller groups.")
    shuffled = np.random.default_rng(seed).permutation(len(names))
    order = shuffled[np.argsort(-counts[shuffled], kind="stable")]
    fold_of_group, rows = np.empty(len(names), dtype=np.int64), np.zeros(folds, dtype=np.int64)
    for one in order:
        smallest = int(rows.argmin())
        fold_of_group[one] = smallest
        rows[smallest] += counts[one]
    return fold_of_group[of_row]


def _cut(position: Float64[np.ndarray, "n"], shares: Mapping[str, float]) -> np.ndarray:
    """Return the part of positions in [0, 1), which the parts divide in the order of `_PARTS`."""
    unknown = sorted(set(shares) - set(_PARTS))
    if unknown:
        raise ValueError(f"Unknown part {unknown[0]!r} in shares; the parts are {', '.join(_PARTS)}.")
    values = np.array([shares.get(name, 0.0) for name in _PARTS], dtype=np.float64)
    if not (values >= 0).all() or abs(values.sum() - 1) > 1e-6:
        raise ValueError(f"shares must be 0 or more and sum to 1, got {dict(shares)}.")
    borders = np.cumsum(values)[:-1]
    return np.array(_PARTS)[np.searchsorted(borders, position, side="right")]


def _with_buffer(split: np.ndarray, lonlat: np.ndarray, buffer_km: float, away_from: np.ndarray) -> np.ndarray:
    split = split.astype("<U10")
    test, validation = lonlat[split == "test"], lonlat[split == "validation"]
    for name, others in (("validation", [test, away_from]), ("train", [validation, test, away_from])):
        rows = np.flatnonzero(split == name)
        split[rows[within_km_of(lonlat[rows], np.concatenate(others), buffer_km)]] = "buffer"
    return split


def _uniform(numbers: Integer[np.ndarray, "n"], seed: int) -> Float64[np.ndarray, "n"]:
    """Hash integers to numbers in [0, 1), the same for the same (seed, integer) on every machine.

    Source:
        Steele et al. (2014), Fast splittable pseudorandom number generators, OOPSLA (the SplitMix64 mix).
    """

    def mix(z: UInt64[np.ndarray, "..."]) -> UInt64[np.ndarray, "..."]:
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))

    step = np.uint64(0x9E3779B97F4A7C15)
    start = mix(np.array([seed % 2**64], dtype=np.uint64) + step)
    mixed = mix(start + (numbers.astype(np.uint64) + np.uint64(1)) * step)
    return (mixed >> np.uint64(11)).astype(np.float64) / 2.0**53
