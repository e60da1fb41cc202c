"""The tables of a run: read where they are ready, built where the configuration says from what."""

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

from geotether.tables.store import read_table
from geotether.tables.table import Table
from geotether.training.config import RunConfig
from geotether.user_cache import user_cache

logger = logging.getLogger(__name__)


def open_tables(config: RunConfig, workers: int | None = None, progress: str = "auto") -> dict[str, Table]:
    """Open the table of every modality.

    Tables that were built before are used again if neither specification nor data nor code changed; that is told
    without reading them.

    Args:
        config: Its `tables` name ready tables or say what to build them from.
        workers: Processes to build with; by default as many as are worth it.
        progress: As for `geotether.featurizing.build_table`.

    Returns:
        Modality to its table, in the configuration's order.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a table cannot be read or built; the modality is named.
    """
    tables = {}
    for name, given in config.tables.items():
        try:
            path = given if isinstance(given, Path) else _built(config, name, given, workers, progress)
            tables[name] = read_table(path, name=name)
        except (FileNotFoundError, ValueError) as error:
            raise type(error)(f"Modality {name!r}: {error}") from error
    return tables


def table_folder(config: RunConfig, name: str) -> Path:
    """Name the folder that a built table is kept in.

    It has a hash of the specification in its name, so that configurations with modalities of the same name do not
    take each other's place.

    Args:
        config: Of the run.
        name: A modality that is built.
    """
    cache = user_cache() / "tables" if config.cache is None else config.cache
    text = json.dumps([str(config.data), config.tables[name]], sort_keys=True, default=str)
    return cache / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _built(config: RunConfig, name: str, given: dict[str, Any], workers: int | None, progress: str) -> Path:
    # Late, because a run whose tables are ready needs nothing of the job.
    from geotether.featurizing.build import cached_table
    from geotether.featurizing.specification import TableSpec

    spec = TableSpec.of(given, config.data or Path())
    return cached_table(spec, table_folder(config, name), name, workers=workers, progress=progress)
