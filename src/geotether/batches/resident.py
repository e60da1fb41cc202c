"""Batches on the device of a run: tables that fit in its memory are copied there once, others are read in advance.

Batches equal those of `assemble` bit by bit.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from geotether.batches.batch import ALL_ROWS, Batch, Share, assemble, rows_at
from geotether.batches.schedule import TyingSchedule

BLOCK_STEPS = 64
"""Number of steps whose rows are looked up, and sent to the device, at once."""
_COPIED_ROWS = 2**18
# Share of a GPU's free memory that tables may take; models, batches and logits need the rest.
_LARGEST_SHARE = 0.5


def batches(
    tables: Mapping[str, Any], schedule: TyingSchedule, seed: int, device: torch.device, share: Share = ALL_ROWS
) -> Callable[[int], Batch]:
    """Return the function from a step to its batch on a device; arguments as for `assemble`."""
    if device.type == "cpu":
        return partial(assemble, tables, schedule, seed=seed, share=share)
    if table_bytes(tables) <= _LARGEST_SHARE * torch.cuda.mem_get_info(device)[0]:
        return ResidentRows(tables, schedule, seed, device, share)
    return FetchedRows(partial(assemble, tables, schedule, seed=seed, share=share), device)


def table_bytes(tables: Mapping[str, Any]) -> int:
    """Return the number of bytes that places and features of tables take on a device."""
    return sum(
        len(t.lonlat) * (16 + t.features.shape[1] * np.dtype(t.features.dtype).itemsize) for t in tables.values()
    )


class ResidentRows:
    """Batches of tables that are on the device; row numbers are sent there for many steps at once.

    Args:
        tables: Modality to its training rows, as for `assemble`; a memory map is read once.
        schedule: Which modalities take part, and with which rows.
        seed: Seed of the run.
        device: Device to which the tables are copied.
        share: As for `assemble`.
    """

    def __init__(
        self,
        tables: Mapping[str, Any],
        schedule: TyingSchedule,
        seed: int,
        device: torch.device,
        share: Share = ALL_ROWS,
    ) -> None:
        self.tables, self.schedule, self.seed, self.device, self.share = tables, schedule, seed, device, share
        self.features = {name: copied(table.features, device) for name, table in tables.items()}
        self.lonlat = torch.cat([copied(table.lonlat, device).double() for table in tables.values()])
        ends = np.cumsum([len(table.lonlat) for table in tables.values()]).tolist()
        # Number of the first row of each table in `lonlat`.
        self.begins = dict(zip(tables, [0, *ends], strict=False))
        self.block = -1

    def __call__(self, step: int) -> Batch:
        """Return the batch of a step."""
        block, at = divmod(step, BLOCK_STEPS)
        if block != self.block:
            self.block, self.rows = block, self._rows_of_block(block)
        rows, groups, features = self.rows[at], {}, {}
        end = 0
        for tie in self.schedule.ties(step):
            name, group = tie.modality, slice(end, end := end + tie.rows)
            own = rows[group][self.share(tie.rows)] - self.begins[name]
            features[name] = self.features[name].index_select(0, own).float()
            groups[name] = group
        return Batch(self.lonlat.index_select(0, rows), features, groups)

    def _rows_of_block(self, block: int) -> list[Int64[Tensor, " n"]]:
        """Return the numbers in `lonlat` of the rows of each step of a block: one call per table, one transfer."""
        steps = [self.schedule.ties(step) for step in range(block * BLOCK_STEPS, (block + 1) * BLOCK_STEPS)]
        streams = {}
        for name, table in self.tables.items():
            count = sum(tie.rows for ties in steps for tie in ties if tie.modality == name)
            if count:
                start = self.schedule.rows_before(name, block * BLOCK_STEPS)
                rows = rows_at(len(table.lonlat), start, count, self.seed, name, getattr(table, "block_rows", None))
                streams[name] = rows + self.begins[name]
        used = dict.fromkeys(streams, 0)
        parts = []
        for tie in (tie for ties in steps for tie in ties):
            first = used[tie.modality]
            parts.append(streams[tie.modality][first : first + tie.rows])
            used[tie.modality] += tie.rows
        numbers = torch.from_numpy(np.concatenate(parts))
        numbers = numbers.pin_memory() if self.device.type == "cuda" else numbers
        return list(numbers.to(self.device, non_blocking=True).split([sum(tie.rows for tie in ties) for ties in steps]))


class FetchedRows:
    """Batches of tables that do not fit on the device: the next one is read while a step is computed.

    Args:
        read: Returns the batch of a step, on the CPU.
        device: Where batches are sent.
    """

    def __init__(self, read: Callable[[int], Batch], device: torch.device) -> None:
        self.read, self.device = read, device
        self.reader = ThreadPoolExecutor(1, "batches")
        self.coming: dict[int, Future[Batch]] = {}

    def __call__(self, step: int) -> Batch:
        """Return the batch of a step, and begin to read the next one."""
        batch = self.coming.pop(step, None) or self.reader.submit(self._read, step)
        self.coming = {step + 1: self.reader.submit(self._read, step + 1)}
        return batch.result().to(self.device)

    def _read(self, step: int) -> Batch:
        batch = self.read(step)
        if self.device.type != "cuda":
            return batch
        features = {name: rows.pin_memory() for name, rows in batch.features.items()}
        return Batch(batch.lonlat.pin_memory(), features, batch.groups)


def copied(values: Any, device: torch.device) -> Tensor:
    """Copy an array to a device, some rows at a time, so that a memory map is never read into memory as a whole."""
    first = torch.from_numpy(np.array(values[:1]))
    out = torch.empty(values.shape, dtype=first.dtype, device=device)
    for start in range(0, len(values), _COPIED_ROWS):
        rows = slice(start, start + _COPIED_ROWS)
        out[rows] = torch.from_numpy(np.array(values[rows])).to(device)
    return out
