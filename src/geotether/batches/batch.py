"""The tensors of one step and which rows they consist of, as pure functions of (seed, step); jitter of their places."""

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64, Int64, Integer
from torch import Tensor

from geotether.batches.schedule import TyingSchedule, check_known
from geotether.files.mapped_rows import MappedRows
from geotether.geodesy.coordinates import lonlat_of_unit_vectors, unit_vectors
from geotether.geodesy.distance import EARTH_RADIUS_KM
from geotether.tables.table import POOL_BLOCKS, Table

Share = Callable[[int], slice]
"""Function from a number of rows to the slice of them whose features a process reads."""
ALL_ROWS: Share = partial(slice, 0)


@dataclass(frozen=True)
class Batch:
    """Rows of one or more modalities with their places.

    Attributes:
        lonlat: Longitude and latitude in degrees of all rows, group after group, shape (n, 2), float64.
        features: Features of each modality's own rows, shape (n_k, d_k), float32; each of several processes has only
            the features of its share.
        groups: Modality to its slice of `lonlat`, in order.
    """

    lonlat: Float64[Tensor, "n 2"]
    features: dict[str, Float32[Tensor, "_ _"]]
    groups: dict[str, slice]

    def __len__(self) -> int:
        return len(self.lonlat)

    def to(self, device: torch.device | str) -> "Batch":
        """Return the same batch on another device."""
        features = {name: rows.to(device, non_blocking=True) for name, rows in self.features.items()}
        return Batch(self.lonlat.to(device, non_blocking=True), features, self.groups)


def assemble(
    tables: Mapping[str, Any], schedule: TyingSchedule, step: int, seed: int, share: Share = ALL_ROWS
) -> Batch:
    """Collect the rows of one step, as a pure function of tables, schedule, step and seed.

    Args:
        tables: Modality to its training rows, with `lonlat` (n, 2), `features` (n, d), which may be a memory map, and
            possibly `block_rows`, as for `rows_at`.
        schedule: Which modalities take part, and with which rows.
        step: Number of the step, from 0.
        seed: Seed of the run.
        share: Rows whose features are read. The places of all rows are returned in any case.

    Returns:
        The batch, on the CPU; its tensors are copies.

    Raises:
        ValueError: If the step is negative, or the schedule names a modality without a table.
    """
    if step < 0:
        raise ValueError(f"step must be 0 or more, got {step}.")
    lonlat, features, groups = [], {}, {}
    end = 0
    for tie in schedule.ties(step):
        check_known("modality", tie.modality, tables)
        table = tables[tie.modality]
        start = schedule.rows_before(tie.modality, step)
        block_rows = getattr(table, "block_rows", None)
        rows = rows_at(len(table.lonlat), start, tie.rows, seed, tie.modality, block_rows)
        if block_rows and isinstance(table.features, MappedRows):
            read_ahead(table.features, start, tie.rows, seed, tie.modality, block_rows)
        lonlat.append(np.asarray(table.lonlat[rows], dtype=np.float64))
        own = rows[share(tie.rows)]
        features[tie.modality] = torch.from_numpy(np.asarray(table.features[own], dtype=np.float32))
        groups[tie.modality] = slice(end, end := end + tie.rows)
    return Batch(torch.from_numpy(np.concatenate(lonlat)), features, groups)


@dataclass(frozen=True)
class PairedBatch:
    """Rows of a paired table as tensors.

    Attributes:
        values: Modality to the observed values, shape (n, *shape), float32, NaN where missing.
        present: Modality to whether a row has it, shape (n,).
        lonlat: Longitude and latitude in degrees, shape (n, 2), or None.
    """

    values: dict[str, Float32[Tensor, "n ..."]]
    present: dict[str, Bool[Tensor, "n"]]
    lonlat: Float64[Tensor, "n 2"] | None

    def to(self, device: torch.device | str) -> "PairedBatch":
        """Return the same batch on another device."""
        lonlat = None if self.lonlat is None else self.lonlat.to(device, non_blocking=True)
        values = {name: part.to(device, non_blocking=True) for name, part in self.values.items()}
        return PairedBatch(values, {name: part.to(device) for name, part in self.present.items()}, lonlat)


def gather_samples(table: Table, rows: np.ndarray, modalities: Sequence[str]) -> PairedBatch:
    """Collect rows of a paired table.

    Returns:
        The batch, on the CPU; its tensors are copies. Values of a missing modality are NaN.

    Raises:
        ValueError: If the table has no such modality.
    """
    values, present = {}, {}
    for name in modalities:
        sensor = table.modality(name)
        there = sensor.present[rows]
        taken = np.array(sensor.values[rows], dtype=np.float32)
        taken[~there] = np.nan
        values[name], present[name] = torch.from_numpy(taken), torch.from_numpy(there.copy())
    lonlat = None if table.lonlat is None else torch.from_numpy(np.array(table.lonlat[rows], dtype=np.float64))
    return PairedBatch(values, present, lonlat)


def rows_at(
    size: int, start: int, count: int, seed: int, modality: str, block_rows: int | None = None
) -> Int64[np.ndarray, "count"]:
    """Return rows `start` to `start + count - 1` of the endless stream of one table.

    The stream consists of one permutation of all rows per epoch, which depends on (seed, modality, epoch) alone, so a
    resumed run needs no saved state. Across the end of an epoch, or if the table is smaller than `count`, one call can
    return a row twice; `NearbyPairs(..., km=0)` keeps it from being its own negative.

    With `block_rows`, a permutation is made such that a table on disk is read almost in sequence: it is cut into
    blocks of that many rows, blocks are shuffled, every 2,048 of them in a row are a pool, and the rows of each pool
    are shuffled. Each row still comes once per epoch, anywhere in it with equal probability. Two rows of one block are
    always in the same pool of P = 2,048 * `block_rows` rows, so they share a batch of b rows with probability
    (b - 1) / (P - 1) rather than (b - 1) / (size - 1): a batch has on average less than b / 2,048 other rows of a row's
    block. A table that fits in one pool is shuffled as without blocks.

    Args:
        size: Number of rows of the table, 1 or more.
        start: Position in the stream, 0 or more.
        count: Number of rows wanted, 0 or more.
        seed: Seed of the run.
        modality: Name of the table, so that tables are shuffled independently.
        block_rows: Rows of a block, 1 or more; None: all rows are shuffled together.

    Raises:
        ValueError: If `size` is less than 1, or `start` or `count` is negative.

    Example:
        >>> first, again = rows_at(3, 0, 3, seed=0, modality="text"), rows_at(3, 1, 2, seed=0, modality="text")
        >>> sorted(first.tolist()), (first[1:] == again).all().item()
        ([0, 1, 2], True)
    """
    if size < 1:
        raise ValueError(f"The table of {modality!r} has {size} rows; it needs at least one.")
    if start < 0 or count < 0:
        raise ValueError(f"start and count must be 0 or more, got start={start} and count={count}.")
    rows = np.empty(count, dtype=np.int64)
    filled = 0
    if _in_pools(size, block_rows):
        assert block_rows is not None
        for epoch, pool, (first, _), (begin, end) in _pieces(size, start, count, seed, modality, block_rows):
            own = _pool_rows(size, block_rows, seed, modality, epoch, pool)
            rows[filled : filled + end - begin] = own[begin - first : end - first]
            filled += end - begin
    while filled < count:
        epoch, position = divmod(start + filled, size)
        part = permutation(size, seed, modality, epoch)[position : position + count - filled]
        rows[filled : filled + len(part)] = part
        filled += len(part)
    return rows


def read_ahead(features: MappedRows, start: int, count: int, seed: int, modality: str, block_rows: int) -> None:
    """Ask the operating system to read the blocks of the next pool, and to drop those of the previous one.

    As each share of a pool's rows is drawn, the same share of the next pool's blocks is read. Results do not depend on
    it.

    Args:
        features: The features of the table.
        start: As for `rows_at`.
        count: As for `rows_at`.
        seed: As for `rows_at`.
        modality: As for `rows_at`.
        block_rows: As for `rows_at`.
    """
    size = len(features)
    if not _in_pools(size, block_rows):
        return

    def advise(advice: Callable[[int, int], None], epoch: int, pool: int, low: float, high: float) -> None:
        """Advise on the blocks between two shares of a pool; pools continue in the epoch before and after."""
        if pool < 0 or pool == _pool_count(size, block_rows):
            epoch, pool = (epoch - 1, _pool_count(size, block_rows) - 1) if pool < 0 else (epoch + 1, 0)
        own = _pool_blocks(size, block_rows, seed, modality, epoch, pool) if epoch >= 0 else np.arange(0)
        for block in own[math.ceil(low * len(own)) : math.ceil(high * len(own))].tolist():
            advice(block * block_rows, min((block + 1) * block_rows, size))

    for epoch, pool, (first, last), (begin, end) in _pieces(size, start, count, seed, modality, block_rows):
        if not features.is_read_ahead:
            advise(features.prefetch, epoch, pool, 0, 1)
            features.is_read_ahead = True
        share = (begin - first) / (last - first), (end - first) / (last - first)
        advise(features.prefetch, epoch, pool + 1, *share)
        advise(features.release, epoch, pool - 1, *share)


def _in_pools(size: int, block_rows: int | None) -> bool:
    return block_rows is not None and size > POOL_BLOCKS * block_rows


def _pool_count(size: int, block_rows: int) -> int:
    return -(-size // (block_rows * POOL_BLOCKS))


def _pieces(
    size: int, start: int, count: int, seed: int, modality: str, block_rows: int
) -> Iterator[tuple[int, int, tuple[int, int], tuple[int, int]]]:
    """Cut rows of the stream where pools end; yield epoch, pool, and begin and end of the pool and of the piece."""
    stop = start + count
    while start < stop:
        epoch, position = divmod(start, size)
        ends = _blocks(size, block_rows, seed, modality, epoch)[1]
        pool = int(np.searchsorted(ends, position, side="right"))
        first, last = int(ends[pool - 1]) if pool else 0, int(ends[pool])
        end = min(last, position + stop - start)
        yield epoch, pool, (first, last), (position, end)
        start += end - position


@lru_cache(maxsize=32)
def _blocks(size: int, block_rows: int, seed: int, modality: str, epoch: int) -> tuple[np.ndarray, np.ndarray]:
    """Shuffle the blocks of one epoch; also return the position in the epoch at which each pool ends."""
    count = -(-size // block_rows)
    order = permutation.__wrapped__(count, seed, f"{modality}\0blocks", epoch)
    rows = np.where(order == count - 1, size - (count - 1) * block_rows, block_rows)  # the last block may be shorter
    return order, np.add.reduceat(rows, np.arange(0, count, POOL_BLOCKS)).cumsum()


def _pool_blocks(size: int, block_rows: int, seed: int, modality: str, epoch: int, pool: int) -> np.ndarray:
    return _blocks(size, block_rows, seed, modality, epoch)[0][pool * POOL_BLOCKS : (pool + 1) * POOL_BLOCKS]


@lru_cache(maxsize=32)
def _pool_rows(
    size: int, block_rows: int, seed: int, modality: str, epoch: int, pool: int
) -> Integer[np.ndarray, "rows"]:
    """Shuffle the rows of one pool."""
    own = _pool_blocks(size, block_rows, seed, modality, epoch, pool)
    rows = (own[:, None].astype(np.int64) * block_rows + np.arange(block_rows)).ravel()
    rows = rows[rows < size].astype(np.int32 if size < 2**31 else np.int64)
    return rows[permutation.__wrapped__(len(rows), seed, f"{modality}\0pool {pool}", epoch)]


@lru_cache(maxsize=32)  # Two epochs of sixteen tables, because a batch can span the end of an epoch.
def permutation(size: int, seed: int, modality: str, epoch: int) -> Integer[np.ndarray, "size"]:
    """Shuffle the rows of a table for one epoch.

    Rows are sorted by random 64-bit keys from a counter-based generator: NumPy guarantees the stability of raw streams,
    but not of its own shuffle.

    Returns:
        Every number in [0, size) once, shape (size,); read-only, because it is cached.

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


def jitter_lonlat(
    lonlat: Float64[Tensor, "n 2"], sigma_m: float | int, generator: torch.Generator
) -> Float64[Tensor, "n 2"]:
    """Move every place by a random distance in a random direction.

    The step is drawn in the tangent plane of the sphere at the place and followed along a great circle. Unlike noise in
    degrees, it is equally long in every direction and at every latitude, and valid at the poles and the antimeridian.

    Args:
        lonlat: Longitude and latitude in degrees, shape (n, 2), float64: float32 would
            round the position by up to 1.7 m.
        sigma_m: Standard deviation per axis in metres, 0 or more; steps have the length
            sigma_m * sqrt(2) in the root mean square. 0 returns the places as they are.
        generator: Source of randomness, on the device of `lonlat`; two numbers per row are drawn.

    Returns:
        Shape (n, 2), longitudes in [-180, 180).

    Raises:
        ValueError: If `sigma_m` is negative or not a number.

    Example:
        >>> place = torch.tensor([[180.0, 89.9]], dtype=torch.float64)
        >>> moved = jitter_lonlat(place, sigma_m=20_000, generator=torch.Generator().manual_seed(0))
        >>> moved.shape
        torch.Size([1, 2])
    """
    if not sigma_m >= 0:
        raise ValueError(f"sigma_m must be 0 metres or more, got {sigma_m}.")
    if sigma_m == 0:
        return lonlat
    step = torch.randn(lonlat.shape, generator=generator, dtype=lonlat.dtype, device=lonlat.device)
    step = step * (sigma_m / 1000 / EARTH_RADIUS_KM)
    angle = step.norm(dim=-1, keepdim=True)

    up = unit_vectors(lonlat)
    lon = torch.deg2rad(lonlat[:, 0])
    east = torch.stack((-lon.sin(), lon.cos(), torch.zeros_like(lon)), dim=-1)
    north = torch.linalg.cross(up, east)
    tangent = step[:, :1] * east + step[:, 1:] * north
    # sinc is sin(angle) / angle without the division by zero.
    return lonlat_of_unit_vectors(angle.cos() * up + torch.sinc(angle / torch.pi) * tangent)
