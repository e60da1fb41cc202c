"""The batch: the tensors of one step."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float32, Float64
from torch import Tensor

from geotether.batches.sampler import rows_at
from geotether.batches.schedule import TyingSchedule
from geotether.batches.shares import check_known


@runtime_checkable
class Rows(Protocol):
    """What a batch needs of a feature table: places, and what was observed there."""

    @property
    def lonlat(self) -> Float64[np.ndarray, "n 2"]:
        """Longitude and latitude in degrees, shape (n, 2)."""

    @property
    def features(self) -> Float32[np.ndarray, "n d"]:
        """Features, shape (n, d); may be a memory map."""


@dataclass(frozen=True)
class Batch:
    """Rows of one or more modalities with their places.

    Attributes:
        lonlat: Longitude and latitude in degrees of all rows, group after group, shape (n, 2), float64.
        features: Features of each modality's own rows, shape (n_k, d_k), float32.
        groups: Where each modality's rows stand in `lonlat`, in their order there.
    """

    lonlat: Float64[Tensor, "n 2"]
    features: dict[str, Float32[Tensor, "_ _"]]
    groups: dict[str, slice]

    def __len__(self) -> int:
        return len(self.lonlat)

    def to(self, device: torch.device | str) -> "Batch":
        """Give the same batch on another device.

        Args:
            device: Where to.

        Returns:
            A batch whose tensors are there; itself where they already are.
        """
        features = {name: rows.to(device, non_blocking=True) for name, rows in self.features.items()}
        return Batch(self.lonlat.to(device, non_blocking=True), features, self.groups)


def assemble(tables: Mapping[str, Rows], schedule: TyingSchedule, step: int, seed: int) -> Batch:
    """Collect the rows of one step: a pure function of tables, schedule, step and seed.

    Args:
        tables: Feature tables by modality (anything with `lonlat` and `features`; see `Rows`). They hold
            what may be trained on and nothing else: the split is decided before this.
        schedule: Says which modalities take part, and where their streams of rows stand.
        step: Number of the step, from 0.
        seed: Seed of the run.

    Returns:
        The batch, on the CPU; its tensors are copies.

    Raises:
        ValueError: If the step is negative, or the schedule asks for a modality without table.
    """
    if step < 0:
        raise ValueError(f"step must be 0 or more, got {step}.")
    lonlat, features, groups = [], {}, {}
    end = 0
    for tie in schedule.ties(step):
        check_known("modality", tie.modality, tables)
        table = tables[tie.modality]
        start = schedule.rows_before(tie.modality, step)
        rows = rows_at(len(table.lonlat), start, tie.rows, seed, tie.modality)
        lonlat.append(np.asarray(table.lonlat[rows], dtype=np.float64))
        features[tie.modality] = torch.from_numpy(np.asarray(table.features[rows], dtype=np.float32))
        groups[tie.modality] = slice(end, end := end + tie.rows)
    return Batch(torch.from_numpy(np.concatenate(lonlat)), features, groups)
