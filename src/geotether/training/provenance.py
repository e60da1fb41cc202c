"""Provenance: what a model was made from and how, the same on every machine."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from geotether.tables.table import FeatureTable
from geotether.training.config import RunConfig
from geotether.training.state import RunState
from geotether.version import __version__


def plain_settings(config: RunConfig) -> dict[str, Any]:
    """Give the configuration as plain values, without the tables' paths: their hashes are in the provenance."""
    return config.model_dump(mode="json", exclude={"tables", "data", "cache"})


def table_facts(table: FeatureTable) -> dict[str, Any]:
    """Name a table by its content and say how many of its rows serve which purpose.

    Args:
        table: With or without a split; without one every row is trained on.
    """
    if table.split is None:
        split = {"train": len(table)}
    else:
        names, counts = np.unique(np.asarray(table.split, dtype=str), return_counts=True)
        split = {str(name): int(count) for name, count in zip(names, counts, strict=True)}
    facts = {"sha256": table.content_hash, "rows": len(table), "dim": table.dim, "split": split}
    if table.origin.is_empty:
        return facts
    origin = table.origin.plain()
    # The features' names stay with the table: there can be thousands.
    made = {key: value for key, value in origin.pop("made", {}).items() if key != "features"}
    return {**facts, "origin": {**origin, **({"made": made} if made else {})}}


def run_provenance(config: RunConfig, tables: Mapping[str, FeatureTable], state: RunState) -> dict[str, Any]:
    """Collect where a trained model comes from.

    Args:
        config: The run's configuration.
        tables: Modality to its whole table.
        state: Where the run ended.

    Returns:
        Plain values, ready for JSON: `tables`, `recipe`, `seed`, `steps`, `seconds`, `versions` and more.
    """
    return {
        "tables": {modality: table_facts(table) for modality, table in tables.items()},
        "recipe": config.recipe,
        "seed": config.seed,
        "steps": state.step,
        "best_step": state.best_step,
        "stopped_early": state.stopped,
        "seconds": round(state.seconds, 1),
        "versions": {"geotether": __version__, "torch": str(torch.__version__), "numpy": np.__version__},
    }
