"""Provenance: what a model was made from and how, the same on every machine."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from geotether.tables.origin import Origin
from geotether.tables.table import Table
from geotether.training.config import RunConfig
from geotether.training.loop_config import LoopConfig
from geotether.training.state import RunState
from geotether.version import __version__


def plain_settings(config: RunConfig) -> dict[str, Any]:
    """Give the configuration as plain values, without the tables' paths: their hashes are in the provenance."""
    return config.model_dump(mode="json", exclude={"tables", "data", "cache"})


def table_facts(table: Table) -> dict[str, Any]:
    """Name a table by its content and say how many of its rows serve which purpose.

    Args:
        table: With or without a split; without one every row is trained on.
    """
    facts = {
        "sha256": table.content_hash,
        "rows": len(table),
        "dim": table.dim,
        "split": _split_counts(table.split, len(table)),
    }
    return {**facts, **_origin_facts(table.origin)}


def paired_facts(table: Table) -> dict[str, Any]:
    """Name a paired table by its content and say what its sensors give.

    Args:
        table: With or without a split; without one every row is trained on.
    """
    sensors = {
        name: {"kind": sensor.kind, "shape": list(sensor.shape), "present": int(sensor.present.sum())}
        for name, sensor in table.modalities.items()
    }
    facts = {
        "sha256": table.content_hash,
        "rows": len(table),
        "sensors": sensors,
        "split": _split_counts(table.split, len(table)),
    }
    return {**facts, **_origin_facts(table.origin)}


def _split_counts(split: np.ndarray | None, rows: int) -> dict[str, int]:
    if split is None:
        return {"train": rows}
    names, counts = np.unique(np.asarray(split, dtype=str), return_counts=True)
    return {str(name): int(count) for name, count in zip(names, counts, strict=True)}


def _origin_facts(origin: Origin) -> dict[str, Any]:
    if origin.is_empty:
        return {}
    plain = origin.plain()
    # The features' names stay with the table: there can be thousands.
    made = {key: value for key, value in plain.pop("made", {}).items() if key != "features"}
    return {"origin": {**plain, **({"made": made} if made else {})}}


def run_provenance(config: RunConfig, tables: Mapping[str, Table], state: RunState) -> dict[str, Any]:
    """Collect where a trained model comes from.

    Args:
        config: The run's configuration.
        tables: Modality to its whole table.
        state: Where the run ended.

    Returns:
        Plain values, ready for JSON: `tables`, `recipe`, `seed`, `steps`, `seconds`, `versions` and more.
    """
    return _provenance({modality: table_facts(table) for modality, table in tables.items()}, config, state)


def paired_provenance(config: LoopConfig, table: Table, state: RunState) -> dict[str, Any]:
    """Collect where a model of paired sensors comes from; as `run_provenance`."""
    return _provenance({table.name: paired_facts(table)}, config, state)


def _provenance(facts: Mapping[str, Any], config: LoopConfig, state: RunState) -> dict[str, Any]:
    return {
        "tables": dict(facts),
        "recipe": config.recipe,
        "seed": config.seed,
        "steps": state.step,
        "best_step": state.best_step,
        "stopped_early": state.stopped,
        "seconds": round(state.seconds, 1),
        "versions": {"geotether": __version__, "torch": str(torch.__version__), "numpy": np.__version__},
    }
