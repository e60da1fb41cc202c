"""The batch of paired samples: what several sensors saw of the same rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64
from torch import Tensor

from geotether.tables.table import Table


@dataclass(frozen=True)
class PairedBatch:
    """Rows of a paired table as tensors.

    Attributes:
        values: Modality to what its sensor saw, shape (n, *shape), float32, NaN where missing.
        present: Modality to whether a row has it, shape (n,).
        lonlat: Longitude and latitude in degrees, shape (n, 2), or None.
    """

    values: dict[str, Float32[Tensor, "n ..."]]
    present: dict[str, Bool[Tensor, "n"]]
    lonlat: Float64[Tensor, "n 2"] | None

    def to(self, device: torch.device | str) -> "PairedBatch":
        """Give the same batch on another device."""
        lonlat = None if self.lonlat is None else self.lonlat.to(device, non_blocking=True)
        values = {name: part.to(device, non_blocking=True) for name, part in self.values.items()}
        return PairedBatch(values, {name: part.to(device) for name, part in self.present.items()}, lonlat)


def gather_samples(table: Table, rows: np.ndarray, modalities: Sequence[str]) -> PairedBatch:
    """Collect rows of a paired table.

    Args:
        table: Where from.
        rows: Numbers of the rows, in the order wanted.
        modalities: Sensors wanted.

    Returns:
        The batch, on the CPU; its tensors are copies. Values of a row that lacks a modality are NaN.

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
