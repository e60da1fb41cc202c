"""The door of a run: do configuration, tables, hardware and folder fit one another?"""

from collections.abc import Mapping

import torch

from geotether.tables.table import FeatureTable
from geotether.training.config import RunConfig


def check_tables(config: RunConfig, tables: Mapping[str, FeatureTable]) -> None:
    """Raise if a run cannot be made from these tables.

    Args:
        config: The run's configuration.
        tables: Modality to its whole table.

    Raises:
        ValueError: If there is no table, one has fewer than two rows to train on, or validation is
            asked for and no table has rows for it.
    """
    if not tables:
        raise ValueError("There is no feature table to learn from; give at least one, as `tables: {name: path}`.")
    held_out = 0  # rows of the table that has most of them
    for modality, table in tables.items():
        split = None if table.split is None else table.split.astype(str)
        rows = len(table) if split is None else int((split == "train").sum())
        held_out = max(held_out, 0 if split is None else int((split == "validation").sum()))
        if rows < 2:
            found = "none" if split is None else sorted(set(split.tolist()))
            raise ValueError(
                f"The table {modality} has {rows} rows whose split is 'train' (of {len(table)}); "
                f"a contrast needs two or more. Its split column holds {found}."
            )
    if held_out < 2 and (config.keep == "best" or config.patience is not None):
        raise ValueError(
            "keep: best and patience look at held-out rows, but no table has two rows whose split is 'validation'; "
            "assign splits (geotether.tables.splits) or set keep: last and patience: null."
        )


def taking_part(config: RunConfig, tables: Mapping[str, FeatureTable]) -> dict[str, FeatureTable]:
    """Keep the tables that the schedule will ever use, in their order.

    Args:
        config: The pairwise schedule ties one modality; the other schedules tie all.
        tables: Modality to its table.

    Raises:
        ValueError: If the schedule's modality has no table.
    """
    modality = config.schedule.modality
    if modality is None:
        return dict(tables)
    if modality not in tables:
        raise ValueError(f"schedule.modality is {modality!r}, but the tables are {', '.join(tables)}.")
    return {modality: tables[modality]}


def choose_device(wish: str) -> torch.device:
    """Turn `auto`, `cpu` or `cuda` into a device.

    Raises:
        ValueError: If a GPU is asked for and there is none.
    """
    available = torch.cuda.is_available()
    if wish == "cuda" and not available:
        raise ValueError("device: cuda needs an NVIDIA GPU that torch can see; take device: auto or cpu.")
    if wish == "cpu" or not available:
        return torch.device("cpu")
    return torch.device("cuda", torch.cuda.current_device())
